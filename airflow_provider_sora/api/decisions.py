"""What to do next, decided from what is known: no clock, no I/O, no Airflow.

Whoever runs the exchange (a client, a trigger) tells the time and does what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_provider_sora.api import pacing
from airflow_provider_sora.api.acceptance import is_safe_to_resend
from airflow_provider_sora.api.errors import failed_video_error
from airflow_provider_sora.api.models import Video, VideoStatus
from airflow_provider_sora.api.pacing import Sight
from airflow_provider_sora.exceptions import (
    SoraAuthError,
    SoraConfigError,
    SoraConnectionError,
    SoraError,
    SoraNotFoundError,
    SoraRateLimitError,
    SoraServerError,
    SoraStatusError,
    SoraWaitError,
    SoraWaitTimeoutError,
)


@dataclass(frozen=True)
class RetryPolicy:
    """How one call is tried again.

    :param attempts: how often it is sent at most
    :param base_seconds: the first pause; each further one doubles
    :param max_seconds: the longest pause; a server that asks for more gets its error passed on, so no worker is held
    """

    attempts: int = 5
    base_seconds: float = 0.5
    max_seconds: float = 30.0

    def pause(self, attempt: int, jitter: float) -> float:
        """The pause after attempt number `attempt` (from 1); `jitter` is a random number in [0, 1)."""
        ceiling = min(self.max_seconds, self.base_seconds * 2.0 ** (attempt - 1))
        return ceiling * (0.5 + jitter / 2)


def retry_pause(policy: RetryPolicy, error: SoraError, attempt: int, *, paid: bool, jitter: float) -> float | None:
    """How many seconds to wait before sending again, or None to give up.

    A paid call is sent again only where the server cannot have accepted it (`acceptance`).
    """
    asked = error.retry_after_seconds if isinstance(error, SoraStatusError) else None
    if attempt >= policy.attempts or (asked or 0) > policy.max_seconds:
        return None
    if not (is_safe_to_resend(error) if paid else _is_transient(error)):
        return None
    pause = policy.pause(attempt, jitter)
    return pause if asked is None else max(pause, asked)


def _is_transient(error: SoraError) -> bool:
    return isinstance(error, SoraConnectionError | SoraRateLimitError | SoraServerError)


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for one job, as far as it has come.

    :param deadline: unix seconds after which waiting stops
    :param poll_interval_seconds: the longest pause between two looks
    :param since: unix seconds when the job was submitted, where that is known
    :param failures: looks in a row that brought no status
    :param last_status: the job's status when it was last seen
    :param last: what the newest sight of the job was, `before` the one before
    """

    video_id: str
    deadline: float
    poll_interval_seconds: float
    since: float | None = None
    failures: int = 0
    last_status: str = "never"
    last: Sight | None = None
    before: Sight | None = None


@dataclass(frozen=True)
class LookAgain:
    """Look once more after `seconds`; `wait` is how far things have come."""

    wait: Wait
    seconds: float


@dataclass(frozen=True)
class Done:
    """The video is there."""

    video: Video


@dataclass(frozen=True)
class GiveUp:
    """There will be no video from this wait."""

    error: SoraError


Verdict = LookAgain | Done | GiveUp

# Looks in a row without an answer before a wait is given up: with doubling pauses up to a minute, eight minutes at the
# default interval, which outlasts a server's restart. A 404 and a refused key are answered sooner, but not at once: a
# gateway may answer before its own database shows the new job, and a key may be changed here and there one by one.
MAX_FAILURES = 10
MAX_REFUSALS = 3
MAX_PAUSE_SECONDS = 60.0


def first_look(wait: Wait, now: float, *, history: Sequence[float] = (), jitter: float = 0.0) -> float:
    """The pause before the first look: none for a job of unknown age, which may have ended long ago."""
    if wait.since is None:
        return 0.0
    return min(_pause(wait, now, history, jitter), max(0.0, wait.deadline - now))


def after_look(
    wait: Wait,
    video: Video,
    now: float,
    *,
    hint_seconds: float | None = None,
    history: Sequence[float] = (),
    least_seconds: float = 0.0,
    jitter: float = 0.0,
) -> Verdict:
    """What a sight of the job means.

    :param hint_seconds: the server's own word on when to look again
    :param history: how long earlier jobs of the kind took, shortest first
    :param least_seconds: the shortest pause that many waits together can afford
    :param jitter: a random number in [0, 1), which keeps many waits from coming back at once
    """
    if video.status is VideoStatus.COMPLETED:
        return Done(video)
    if not video.status.is_running:
        return GiveUp(failed_video_error(video))
    seen = replace(
        wait,
        since=video.created_at if wait.since is None else wait.since,
        failures=0,
        last_status=video.status.value,
        last=Sight(now, video.progress),
        before=wait.last,
    )
    if hint_seconds:
        return postponed(seen, max(hint_seconds, min(least_seconds, wait.poll_interval_seconds)), now)
    return postponed(seen, _pause(seen, now, history, jitter, least_seconds), now)


def after_failure(wait: Wait, error: SoraError, now: float, *, jitter: float = 0.0) -> Verdict:
    """What it means that a look brought no status: a poll that fails is not a video that fails.

    :param jitter: a random number in [0, 1), which keeps many waits from coming back at once
    """
    failures = wait.failures + 1
    limit = MAX_REFUSALS if isinstance(error, SoraNotFoundError | SoraAuthError) else MAX_FAILURES
    if failures >= limit or not _may_pass(error):
        return GiveUp(_stopped_by(wait, error, failures))
    pause = min(MAX_PAUSE_SECONDS, wait.poll_interval_seconds * 2.0 ** (failures - 1)) * (1 + jitter / 4)
    asked = error.retry_after_seconds if isinstance(error, SoraStatusError) else None
    return postponed(replace(wait, failures=failures), max(pause, asked or 0), now)


def postponed(wait: Wait, seconds: float, now: float) -> Verdict:
    """Look again after so long, unless the deadline has passed."""
    left = wait.deadline - now
    return timed_out(wait) if left <= 0 else LookAgain(wait, min(seconds, left))


def timed_out(wait: Wait) -> GiveUp:
    """The deadline has passed."""
    return GiveUp(SoraWaitTimeoutError(wait.video_id, "the timeout has passed", last_status=wait.last_status))


def _pause(wait: Wait, now: float, history: Sequence[float], jitter: float, least: float = 0.0) -> float:
    age = None if wait.since is None else max(0.0, now - wait.since)
    return pacing.pause(
        wait.poll_interval_seconds,
        age=age,
        last=wait.last,
        before=wait.before,
        history=history,
        least=least,
        jitter=jitter,
    )


def _may_pass(error: SoraError) -> bool:
    return error.retryable or isinstance(error, SoraNotFoundError | SoraAuthError)


def _stopped_by(wait: Wait, error: SoraError, failures: int) -> SoraWaitError:
    times = f"{failures} looks in a row failed, the last with: " if failures > 1 else ""
    lasting = isinstance(error, SoraAuthError | SoraConfigError | SoraNotFoundError)
    return SoraWaitError(wait.video_id, f"{times}{error}", last_status=wait.last_status, retryable=not lasting)
