"""When to poll a job again: pure, without a clock.

The user's interval is the ceiling of every pause. Below it, two things indicate how long a job still takes: its own
progress, and how long earlier jobs of the same model, size and seconds took. Where neither is known, pauses begin short
and double.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_sora.api.protocol.models import Video

MIN_PAUSE_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 5.0
GUESSED_SHARE, KNOWN_SHARE = 0.6, 0.9  # of the time that seems to be left, until the next poll
MIN_HISTORY = 5  # finished jobs of a kind before their durations count
_KEPT = 64
_KINDS = 256

Kind = tuple[str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a poll of a running job has shown: when (seconds), and how much of it was done (0 to 100)."""

    at: float
    progress: float | None


class Durations:
    """How long jobs took, by model, size and seconds; the newest 64 of each kind."""

    def __init__(self) -> None:
        self._seen: dict[Kind | None, deque[float]] = {}

    def add(self, video: Video, seconds: float) -> None:
        """Record how long a job took."""
        if len(self._seen) >= _KINDS:
            self._seen.clear()
        for kind in (kind_of(video), None):
            self._seen.setdefault(kind, deque(maxlen=_KEPT)).append(seconds)

    def of(self, kind: Kind | None) -> list[float]:
        """The durations of a kind, or of all, shortest first; none where there are too few."""
        seen = self._seen.get(kind, ())
        return sorted(seen) if len(seen) >= MIN_HISTORY else []


def kind_of(video: Video) -> Kind:
    """What decides how long a job takes."""
    return (video.model, video.size, video.seconds)


def next_interval(
    interval: float,
    *,
    age: float | None,
    last: Observation | None,
    before: Observation | None,
    history: Sequence[float],
    jitter: float,
    least: float = 0.0,
) -> float:
    """How many seconds to wait until the next poll, at most `interval`.

    :param age: seconds since the job was submitted, where that is known
    :param last: what the newest poll has shown, `before` the one before; None: it has not been polled
    :param history: how long earlier jobs of the kind took, shortest first
    :param jitter: a random number in [0, 1), which spreads waits that began together
    :param least: the shortest pause that is wanted, where `interval` allows it
    """
    left = _left_by_progress(age, last, before)
    if left is not None:
        wanted, spread = left + MIN_PAUSE_SECONDS / 2, 0.1
    elif history and age is not None:
        wanted, spread = _next_by_history(age, history, interval), 0.1
    else:
        wanted, spread = max(FIRST_PAUSE_SECONDS, age or 0.0), 0.1 if last else 0.5
    return min(interval, max(MIN_PAUSE_SECONDS, least, wanted)) * (1 - spread * jitter)


def _left_by_progress(age: float | None, last: Observation | None, before: Observation | None) -> float | None:
    """Seconds until the next poll, by the job's progress so far.

    The speed since its submission is a guess (it may have queued, or slow down): the first poll is followed by one on
    the way, and that gives the speed between the two.
    """
    if last is None or not last.progress or last.progress >= 100:
        return None
    left = 100 - last.progress
    if before is not None and before.progress is not None and last.progress > before.progress:
        return KNOWN_SHARE * left * (last.at - before.at) / (last.progress - before.progress)
    return GUESSED_SHARE * left * age / last.progress if age else None


def _next_by_history(age: float, history: Sequence[float], interval: float) -> float:
    """Nothing before jobs of the kind begin to end; then evenly, since the chance to end stays about the same.

    A job that takes longer than any of them is polled ever more rarely.
    """
    first, last = history[len(history) // 20], history[-1 - len(history) // 20]
    evenly = min(interval * 0.6, (last - first) / 6)
    return first - age if age < first - evenly else max(evenly, age - history[-1])
