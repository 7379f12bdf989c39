"""What to do next, decided from what is known: no clock, no I/O, no Airflow.

The caller that polls (a client, a poller) passes the time and does what is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from airflow_provider_sora.api.decisions import intervals
from airflow_provider_sora.api.decisions.intervals import Observation
from airflow_provider_sora.api.decisions.poll_failures import FailureKind, failure_kind, is_throttled
from airflow_provider_sora.api.protocol import pause_limits
from airflow_provider_sora.api.protocol.error_mapping import failed_video_error
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.exceptions import (
    SoraConfigError,
    SoraError,
    SoraStatusError,
    SoraVideoGoneError,
    SoraWaitError,
    SoraWaitTimeoutError,
)


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for one job, as far as it has come.

    :param deadline: unix seconds after which waiting stops; while it is waited for, seconds of a monotonic clock
    :param poll_interval_seconds: the longest pause between two polls
    :param submitted_at: when the job was submitted, where that is known; a time as `deadline` is
    :param failures: status checks in a row that failed in the same way, `failure_kind`
    :param last_status: the job's status when it was last seen
    :param last: what the newest poll has shown, `before` the one before
    """

    video_id: str
    deadline: float
    poll_interval_seconds: float
    submitted_at: float | None = None
    failures: int = 0
    failure_kind: FailureKind | None = None
    last_status: str = "never"
    last: Observation | None = None
    before: Observation | None = None


def on_monotonic_clock(wait: Wait, epoch: float) -> Wait:
    """A wait with its times moved from unix time, as it is begun with, to a clock that nobody sets.

    :param epoch: unix seconds when that clock was at 0, by the wall clock of the moment when waiting begins
    """
    return replace(
        wait,
        deadline=wait.deadline - epoch,
        submitted_at=None if wait.submitted_at is None else wait.submitted_at - epoch,
    )


def on_wall_clock(wait: Wait, epoch: float) -> Wait:
    """The reverse of `on_monotonic_clock`."""
    return on_monotonic_clock(wait, -epoch)


@dataclass(frozen=True)
class PollAgain:
    """Poll again after `seconds`, with this state of the wait."""

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


@dataclass(frozen=True)
class AskList:
    """The server does not know the job: its list is asked before that is believed (`on_list_search`).

    :param error: what it said last
    """

    wait: Wait
    error: SoraError


class Presence(StrEnum):
    """What it means that a server's list does not show a job."""

    ABSENT = "absent"
    UNKNOWN = "unknown"  # it could not be read, or not to its end


Decision = PollAgain | Done | GiveUp
Verdict = Decision | AskList

# Failures of one kind in a row before a wait is given up: with doubling pauses up to a minute, eight minutes at the
# default interval, which outlasts a server's restart. That the API itself does not know the job counts
# sooner, but not at once: a gateway may answer before its own database shows the new job.
MAX_FAILURES = 10
MAX_NOT_FOUND = 3
MAX_PAUSE_SECONDS = 60.0
LAST_POLL_SECONDS = 5.0  # how long past its deadline a wait may last, for its last poll to be answered


def first_poll(wait: Wait, now: float, *, history: Sequence[float] = (), jitter: float = 0.0) -> float:
    """The pause before the first poll: none for a job of unknown age, which may have ended long ago."""
    if wait.submitted_at is None:
        return 0.0
    pause = pause_limits.poll_pause(_pause(wait, now, history, jitter), wait.poll_interval_seconds)
    return min(pause, max(0.0, wait.deadline - now))


def on_status(
    wait: Wait,
    video: Video,
    now: float,
    *,
    hint_seconds: float | None = None,
    history: Sequence[float] = (),
    least_seconds: float = 0.0,
    jitter: float = 0.0,
    epoch: float = 0.0,
) -> Decision:
    """What the status of the job means.

    :param hint_seconds: when the server wants to be polled again
    :param history: how long earlier jobs of the kind took, shortest first
    :param least_seconds: the shortest pause that many waits together can afford
    :param jitter: a random number in [0, 1), which keeps many waits from coming back at once
    :param epoch: see `on_monotonic_clock`
    """
    if video.status is VideoStatus.COMPLETED:
        return Done(video)
    if not video.status.is_running:
        return GiveUp(failed_video_error(video))
    created_at = None if video.created_at is None else video.created_at - epoch
    seen = replace(
        wait,
        submitted_at=created_at if wait.submitted_at is None else wait.submitted_at,
        failures=0,
        failure_kind=None,
        last_status=video.status.value,
        last=Observation(now, video.progress),
        before=wait.last,
    )
    if hint_seconds:
        return postponed(seen, max(hint_seconds, min(least_seconds, wait.poll_interval_seconds)), now)
    return postponed(seen, _pause(seen, now, history, jitter, least_seconds), now)


def on_error(wait: Wait, error: SoraError, now: float, *, jitter: float = 0.0) -> Verdict:
    """What a failed status check means: a poll that fails is not a video that fails.

    :param jitter: a random number in [0, 1), which keeps many waits from coming back at once
    """
    if isinstance(error, SoraConfigError):
        return GiveUp(_stopped_by(wait, error))
    if is_throttled(error):  # no failure: the server takes fewer requests
        return postponed(wait, max(wait.poll_interval_seconds, _asked_pause(error)), now)
    kind = failure_kind(error)
    failures = wait.failures + 1 if kind is wait.failure_kind else 1
    failed = replace(wait, failures=failures, failure_kind=kind)
    if kind is FailureKind.NOT_FOUND and failures >= MAX_NOT_FOUND and now < wait.deadline:
        return AskList(failed, error)
    return _after_counting(failed, error, now, jitter)


def on_list_search(
    asked: AskList, found: Video | Presence, now: float, *, jitter: float = 0.0, epoch: float = 0.0
) -> Decision:
    """What it means that the list shows a job whose own address answers 404, or does not.

    :param found: the job as the list shows it, or what it means that the list does not
    """
    if isinstance(found, Video):
        return on_status(asked.wait, found, now, jitter=jitter, epoch=epoch)
    if found is Presence.ABSENT:
        return GiveUp(SoraVideoGoneError(asked.wait.video_id, last_status=asked.wait.last_status))
    return _after_counting(asked.wait, asked.error, now, jitter)


def _after_counting(wait: Wait, error: SoraError, now: float, jitter: float) -> Decision:
    if wait.failures >= MAX_FAILURES:
        return GiveUp(_stopped_by(wait, error))
    pause = min(MAX_PAUSE_SECONDS, wait.poll_interval_seconds * 2.0 ** (wait.failures - 1)) * (1 + jitter / 4)
    return postponed(wait, max(pause, _asked_pause(error)), now)


def _asked_pause(error: SoraError) -> float:
    return (error.retry_after_seconds or 0.0) if isinstance(error, SoraStatusError) else 0.0


def postponed(wait: Wait, seconds: float, now: float) -> PollAgain | GiveUp:
    """Poll again after so long, unless the deadline has passed."""
    left = wait.deadline - now
    if left <= 0:
        return timed_out(wait)
    return PollAgain(wait, min(pause_limits.poll_pause(seconds, wait.poll_interval_seconds), left))


def poll_limit(wait: Wait, now: float) -> float:
    """How many seconds a poll may take altogether, so that the wait ends soon after its deadline."""
    return max(0.0, wait.deadline - now) + LAST_POLL_SECONDS


def timed_out(wait: Wait) -> GiveUp:
    """The deadline has passed."""
    return GiveUp(SoraWaitTimeoutError(wait.video_id, "the timeout has passed", last_status=wait.last_status))


def _pause(wait: Wait, now: float, history: Sequence[float], jitter: float, least: float = 0.0) -> float:
    age = None if wait.submitted_at is None else max(0.0, now - wait.submitted_at)
    return intervals.next_interval(
        wait.poll_interval_seconds,
        age=age,
        last=wait.last,
        before=wait.before,
        history=history,
        least=least,
        jitter=jitter,
    )


def _stopped_by(wait: Wait, error: SoraError) -> SoraWaitError:
    times = f"{wait.failures} consecutive status checks failed, the last with: " if wait.failures else ""
    lasting = isinstance(error, SoraConfigError) or wait.failure_kind is FailureKind.AUTH
    return SoraWaitError(wait.video_id, f"{times}{error}", last_status=wait.last_status, retryable=not lasting)
