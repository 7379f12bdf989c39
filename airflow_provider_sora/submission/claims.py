"""Which mapped task owns which job, if several of one DAG run search for theirs.

Mapped tasks with the same prompt may have each other's jobs: any assignment is right as long as no job has two owners.
XCom has no lock and no compare-and-set, only values that are read and written whole, so `acquire` is the one-bit
algorithm (Burns and Lynch, "Bounds on shared memory for mutual exclusion", 1993):

1. Publish that this task wants the job, then read what the others have published.
2. Without a rival, the job is this task's.
3. For a rival with a lower index, withdraw, back off and start again; for one with a higher index, wait until it
   withdraws.

Of two tasks that want one job at least one sees the other, and the lowest index gets it. A rival that was killed while
it wanted a job is waited for only for a limited time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission.prompts import PromptDigest
from airflow_provider_sora.submission.record import Record, Snapshot, id_digest

# A process needs about a second from wanting a job to owning it: after a minute without a change it is dead.
_MAX_ROUNDS = 16
_MAX_RIVAL_POLLS = 60
_BACKOFF_STEP_SECONDS = 0.5
_RIVAL_POLL_SECONDS = 1.0


class Claim(BaseModel):
    """What a mapped task publishes to those with the same prompt.

    A job that one of them finds may come from the request of any of them, so each also publishes when it submitted, and
    which jobs it knew then.

    :param video_id: the job that it owns or wants; None while it searches
    :param has_it: it owns the job
    :param intended_at: see `Record`
    :param snapshot: see `Record`
    :param earlier_ids: see `Record`; no task may re-attach to these
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    index: int
    video_id: str | None = None
    has_it: bool = False
    intended_at: float
    snapshot: Snapshot | None = None
    earlier_ids: frozenset[str] = frozenset()


class OwnedJob(BaseModel):
    """A job that a task owns, and what it was asked for.

    :param prompt: shows whether the server lists prompts as they were sent
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    video_id: str
    prompt: PromptDigest | None = None
    model: str | None = None


class Claims(Protocol):
    """What the tasks of a DAG run publish to each other."""

    index: int

    def jobs_of_others(self) -> Sequence[OwnedJob]:
        """The jobs of other tasks of the DAG, and of other steps of this task."""

    def siblings(self, prompt: str) -> Sequence[Claim]:
        """The claims of the other mapped tasks on jobs with this prompt (a digest)."""

    def publish(self, prompt: str, claim: Claim) -> None:
        """Publish this task's claim, in place of its previous one."""


class NoClaims:
    """The claims of a task that is not mapped."""

    index = 0

    def jobs_of_others(self) -> Sequence[OwnedJob]:
        return ()

    def siblings(self, prompt: str) -> Sequence[Claim]:  # noqa: ARG002
        return ()

    def publish(self, prompt: str, claim: Claim) -> None:
        """Nobody reads it."""


def publish_claim(claims: Claims, intent: Record, video_id: str | None = None, *, has_it: bool = False) -> None:
    """Publish that this task wants a job, or owns it; without an id, that it searches for one."""
    claim = Claim(
        index=claims.index,
        video_id=video_id,
        has_it=has_it,
        intended_at=intent.intended_at,
        snapshot=intent.snapshot,
        earlier_ids=intent.earlier_ids,
    )
    claims.publish(intent.fingerprint.prompt.text, claim)


def acquire(claims: Claims, intent: Record, videos: Sequence[Video], sleep: Callable[[float], None]) -> Video | None:
    """Make one of these jobs this task's alone; None if other mapped tasks own all of them."""
    for round_ in range(_MAX_ROUNDS):
        others = _others(claims, intent)
        free = [video for video in videos if not any(_is_on(other, video) and other.has_it for other in others)]
        if not free:
            return None
        unwanted = [video for video in free if not any(_is_on(other, video) for other in others)]
        video = (unwanted or free)[claims.index % len(unwanted or free)]
        if _wins(claims, intent, video, sleep, yields_to_lower=round_ < _MAX_ROUNDS - 1):
            publish_claim(claims, intent, video.id, has_it=True)
            return video
        publish_claim(claims, intent)
        sleep(_BACKOFF_STEP_SECONDS * (round_ + 1))
    return None


def _wins(
    claims: Claims, intent: Record, video: Video, sleep: Callable[[float], None], *, yields_to_lower: bool
) -> bool:
    """Whether this task gets the job that it wants.

    :param yields_to_lower: withdraw for a rival with a lower index; false in the last round: the rival must be dead
    """
    publish_claim(claims, intent, video.id)
    for _ in range(_MAX_RIVAL_POLLS):
        rivals = [other for other in _others(claims, intent) if _is_on(other, video)]
        if any(rival.has_it or (yields_to_lower and rival.index < claims.index) for rival in rivals):
            return False
        if not rivals:
            return True
        sleep(_RIVAL_POLL_SECONDS)
    return True


def _others(claims: Claims, intent: Record) -> Sequence[Claim]:
    return claims.siblings(intent.fingerprint.prompt.text)


def _is_on(claim: Claim, video: Video) -> bool:
    return claim.video_id is not None and id_digest(claim.video_id) == id_digest(video.id)
