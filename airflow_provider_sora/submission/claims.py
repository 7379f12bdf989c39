"""Which task has which job, where several of one DAG run look for theirs.

Mapped siblings with one prompt share it and not a job: any assignment of their jobs to them is right, as long as no job
is had by two. A job is taken by publishing a claim first and reading the others' claims afterwards. Of two that
claim one job at least the later one sees the other and withdraws; whoever sees nobody has it. Nothing is locked, so a
task that is killed blocks nobody for longer than its claim is visible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from airflow_provider_sora.api.models import Video
from airflow_provider_sora.exceptions import SoraUndecidedError
from airflow_provider_sora.submission.prompts import PromptDigest
from airflow_provider_sora.submission.record import Record, Snapshot, id_digest

_ROUNDS = 10
_STEP_SECONDS = 0.5


class Claim(BaseModel):
    """What a mapped instance of the task tells the others with the same prompt.

    A job may have been made for any of those who look for one, so they share what tells that a job is new, too.

    :param video_id: the job that it has; None while it looks for one
    :param intended_at: see `Record`
    :param snapshot: see `Record`
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    index: int
    video_id: str | None = None
    intended_at: float
    snapshot: Snapshot | None = None


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


def publish(claims: Claims, intent: Record, video_id: str | None = None) -> None:
    """Claim a job; without an id, tell that one is looked for."""
    claim = Claim(index=claims.index, video_id=video_id, intended_at=intent.intended_at, snapshot=intent.snapshot)
    claims.publish(intent.fingerprint.prompt.text, claim)


def take(claims: Claims, intent: Record, videos: Sequence[Video], sleep: Callable[[float], None]) -> Video | None:
    """One of these jobs, for this task alone; None where siblings have them all.

    Each task begins at another place, and waits for another time after a conflict, so that few meet twice.

    :raises SoraUndecidedError: siblings kept claiming the same jobs at the same time
    """
    for round_ in range(_ROUNDS):
        claimed = _claimed(claims, intent)
        free = [video for video in videos if id_digest(video.id) not in claimed]
        if not free:
            return None
        video = free[claims.index % len(free)]
        publish(claims, intent, video.id)
        if id_digest(video.id) not in _claimed(claims, intent):
            return video
        publish(claims, intent)
        sleep(_STEP_SECONDS * (round_ + 1) * (1 + claims.index % 16))
    raise SoraUndecidedError(
        f"mapped siblings with the same prompt claimed the same jobs {_ROUNDS} times in a row. Nothing was submitted: "
        "clear the task to let it look for its job again"
    )


def _claimed(claims: Claims, intent: Record) -> set[str]:
    siblings = claims.siblings(intent.fingerprint.prompt.text)
    return {id_digest(sibling.video_id) for sibling in siblings if sibling.video_id is not None}
