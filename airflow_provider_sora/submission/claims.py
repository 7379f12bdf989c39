"""Which task has which job, where several of one DAG run look for theirs.

Mapped siblings with one prompt share it and not a job: any assignment of their jobs to them is right, as long as no job
is had by two. XCom has no lock and no compare-and-set, only values that are read and written whole, so this is the
one-bit algorithm (Burns and Lynch, "Bounds on shared memory for mutual exclusion", 1993): a task publishes that it
wants a job, then reads what the others have published. It withdraws for one of a lower index that wants the job, and
waits for one of a higher index to withdraw; whoever sees no rival has the job. So at least one of two sees the other,
and of those who want it the lowest index gets it. A sibling that was killed in between is not waited for for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission.prompts import PromptDigest
from airflow_provider_sora.submission.record import Record, Snapshot, id_digest

# A process takes a second from wanting a job to having it: after a minute one that has not moved is dead.
_ROUNDS = 16
_PATIENCE = 60
_STEP_SECONDS = 0.5
_LOOK_SECONDS = 1.0


class Claim(BaseModel):
    """What a mapped instance of the task tells the others with the same prompt.

    A job may have been made for any of those who look for one, so they share what tells that a job is new, too.

    :param video_id: the job that it has, or wants; None while it looks for one
    :param has_it: it has the job
    :param intended_at: see `Record`
    :param snapshot: see `Record`
    :param earlier_ids: see `Record`: nobody's any more
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    index: int
    video_id: str | None = None
    has_it: bool = False
    intended_at: float
    snapshot: Snapshot | None = None
    earlier_ids: frozenset[str] = frozenset()


class Taken(BaseModel):
    """A job that a task has, and what it was asked for.

    :param prompt: tells whether the server shows prompts as they were sent
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    video_id: str
    prompt: PromptDigest | None = None
    model: str | None = None


class Claims(Protocol):
    """What the tasks of a DAG run tell each other."""

    index: int

    def taken(self) -> Sequence[Taken]:
        """The jobs that other tasks of the DAG, or other steps of this one, have."""

    def siblings(self, prompt: str) -> Sequence[Claim]:
        """What the other mapped instances of the task have published about this prompt (a digest)."""

    def publish(self, prompt: str, claim: Claim) -> None:
        """Tell them; replaces what was told before."""


class NoClaims:
    """A task without siblings."""

    index = 0

    def taken(self) -> Sequence[Taken]:
        return ()

    def siblings(self, prompt: str) -> Sequence[Claim]:  # noqa: ARG002
        return ()

    def publish(self, prompt: str, claim: Claim) -> None:
        """There is nobody to tell."""


def publish(claims: Claims, intent: Record, video_id: str | None = None, *, has_it: bool = False) -> None:
    """Want a job, or have it; without an id, tell that one is looked for."""
    claim = Claim(
        index=claims.index,
        video_id=video_id,
        has_it=has_it,
        intended_at=intent.intended_at,
        snapshot=intent.snapshot,
        earlier_ids=intent.earlier_ids,
    )
    claims.publish(intent.fingerprint.prompt.text, claim)


def take(claims: Claims, intent: Record, videos: Sequence[Video], sleep: Callable[[float], None]) -> Video | None:
    """One of these jobs, for this task alone; None where siblings have them all."""
    for round_ in range(_ROUNDS):
        others = _others(claims, intent)
        free = [video for video in videos if not any(_is_of(other, video) and other.has_it for other in others)]
        if not free:
            return None
        unwanted = [video for video in free if not any(_is_of(other, video) for other in others)]
        video = (unwanted or free)[claims.index % len(unwanted or free)]
        if _wins(claims, intent, video, sleep, minds_lower=round_ < _ROUNDS - 1):
            publish(claims, intent, video.id, has_it=True)
            return video
        publish(claims, intent)
        sleep(_STEP_SECONDS * (round_ + 1))
    return None


def _wins(claims: Claims, intent: Record, video: Video, sleep: Callable[[float], None], *, minds_lower: bool) -> bool:
    """Whether a job that is wanted may be had.

    :param minds_lower: withdraw for a sibling of a lower index that wants it, too; not where it has wanted it for long
    """
    publish(claims, intent, video.id)
    for _ in range(_PATIENCE):
        rivals = [other for other in _others(claims, intent) if _is_of(other, video)]
        if any(rival.has_it or (minds_lower and rival.index < claims.index) for rival in rivals):
            return False
        if not rivals:
            return True
        sleep(_LOOK_SECONDS)
    return True


def _others(claims: Claims, intent: Record) -> Sequence[Claim]:
    return claims.siblings(intent.fingerprint.prompt.text)


def _is_of(claim: Claim, video: Video) -> bool:
    return claim.video_id is not None and id_digest(claim.video_id) == id_digest(video.id)
