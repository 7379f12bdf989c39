"""``make benchmark-policy``: what the pace of looks costs and brings, simulated with the code that decides it.

Jobs of one kind come one after the other, their durations spread as a lognormal with a median of 90 s. Requests take no
time here, and a job is noticed at the first look after its end.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from airflow_provider_sora.api.decisions.intervals import Durations, Observation, kind_of, next_interval
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from benchmarks.markdown import markdown, quantile

_SEED = 1
_MEDIAN_SECONDS, _SIGMA = 90.0, 0.48
_NOISE = 1.5  # per cent of progress, as a standard deviation
_VIDEO = Video(id="video", status=VideoStatus.COMPLETED, model="sora-2", size="1280x720", seconds="8")
_FIXED = (10.0, 30.0, 60.0)
_CEILINGS = (10.0, 30.0, 60.0, 120.0)

Progress = Callable[[float], float]  # from the share of the time to the share of the work that a server shows


@dataclass(frozen=True)
class Result:
    """What was spent on each job, and how long after its end each was noticed, shortest first."""

    requests: float
    delays: list[float]

    @property
    def mean(self) -> float:
        """The mean delay."""
        return fmean(self.delays)


def _linear(share: float) -> float:
    return share


def _queued(share: float) -> float:
    return max(0.0, (share - 0.2) / 0.8)


def _convex(share: float) -> float:
    return float(share**1.5)


def _concave(share: float) -> float:
    return float(share**0.7)


def _coarse(share: float) -> float:
    return math.floor(share * 10) / 10


_PROGRESS: dict[str, Progress | None] = {
    "none": None,
    "linear": _linear,
    "queued for the first fifth": _queued,
    "slow at first": _convex,
    "slow at the end": _concave,
    "in steps of 10 %": _coarse,
}


def main() -> None:
    """Simulate and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=4000, help="for each line")
    count = parser.parse_args().jobs
    rng = random.Random(_SEED)  # noqa: S311 - no secret
    jobs = [rng.lognormvariate(math.log(_MEDIAN_SECONDS), _SIGMA) for _ in range(count)]
    rows = [_row(f"every {interval:g} s", "-", fixed(interval, jobs), "-") for interval in _FIXED]
    for ceiling in _CEILINGS:
        for name, progress in _PROGRESS.items():
            result = paced(ceiling, progress, jobs)
            rows.append(_row(f"ours, at most {ceiling:g} s", name, result, _equal(result, jobs)))
    print(f"{count} jobs for each line, median {_MEDIAN_SECONDS:g} s, mean {fmean(jobs):.0f} s:\n")
    print(
        markdown(
            ("pace", "progress", "requests per job", "delay s", "p95 s", "fixed pace of equal cost: delay s"), rows
        )
    )


def fixed(interval: float, jobs: list[float]) -> Result:
    """Looks every `interval` seconds, the first one after the first interval."""
    looks = [max(1, math.ceil(job / interval)) for job in jobs]
    return Result(fmean(looks), sorted(look * interval - job for look, job in zip(looks, jobs, strict=True)))


def fixed_of_cost(requests: float, jobs: list[float]) -> tuple[float, Result]:
    """The fixed interval that takes as many requests, and what it brings."""
    low, high = 0.1, 2 * max(jobs)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fixed(middle, jobs).requests > requests else (low, middle)
    return high, fixed(high, jobs)


def paced(ceiling: float, progress: Progress | None, jobs: list[float]) -> Result:
    """Looks as this provider makes them, which learns from each job how long the next one may take."""
    rng = random.Random(_SEED)  # noqa: S311 - no secret
    durations = Durations()
    looks, delays = 0, []
    for job in jobs:
        times = _looks(ceiling, progress, job, durations.of(kind_of(_VIDEO)), rng)
        looks += len(times)
        delays.append(times[-1] - job)
        durations.add(_VIDEO, job)
    return Result(looks / len(jobs), sorted(delays))


def _looks(
    ceiling: float, progress: Progress | None, job: float, history: list[float], rng: random.Random
) -> list[float]:
    """When a job is looked at, in seconds of its age."""
    times: list[float] = []
    before: Observation | None = None
    last: Observation | None = None
    age = 0.0
    while age < job or not times:
        age += next_interval(ceiling, age=age, last=last, before=before, history=history, jitter=rng.random())
        times.append(age)
        before, last = last, Observation(age, _shown(progress, age / job, rng))
    return times


def _shown(progress: Progress | None, share: float, rng: random.Random) -> float | None:
    """The whole per cents that a running job shows; what comes in steps has no noise."""
    if progress is None:
        return None
    noise = 0.0 if progress is _coarse else rng.gauss(0, _NOISE)
    return max(0, min(99, math.floor(100 * progress(min(1.0, share)) + noise)))


def _equal(result: Result, jobs: list[float]) -> str:
    interval, equal = fixed_of_cost(result.requests, jobs)
    return f"{equal.mean:.1f} (every {interval:.1f} s)"


def _row(pace: str, progress: str, result: Result, equal: str) -> list[str]:
    p95 = quantile(result.delays, 0.95)
    return [pace, progress, f"{result.requests:.2f}", f"{result.mean:.1f}", f"{p95:.1f}", equal]


if __name__ == "__main__":
    main()
