"""The jobs of a run: the server and the waiting process derive the same jobs from the same numbers."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass

# A job that ended before all others began: waiting for it imports what the first wait of a process imports.
WARM_UP = "video_" + "0" * 32
WARM_UP_AGE = 600.0


@dataclass(frozen=True)
class Scenario:
    """Jobs that are submitted together.

    :param shortest: seconds of the shortest job; durations are spread evenly up to `longest`
    :param interval: the poll interval in seconds
    :param latency: seconds from a request to its response
    :param progress: whether the server reports the progress of a job
    """

    count: int
    shortest: float
    longest: float
    interval: float
    latency: float = 0.1
    progress: bool = True

    @property
    def ids(self) -> list[str]:
        """The ids of the jobs, in the order of their submission."""
        rng = random.Random(1)  # noqa: S311 - no secret
        return [f"video_{rng.getrandbits(128):032x}" for _ in range(self.count)]

    @property
    def durations(self) -> list[float]:
        """The duration of each job in seconds."""
        rng = random.Random(2)  # noqa: S311 - no secret
        return [rng.uniform(self.shortest, self.longest) for _ in range(self.count)]

    @property
    def cap(self) -> float:
        """Seconds after which a way of waiting is stopped."""
        return 3 * self.longest

    def __str__(self) -> str:
        progress = "progress shown" if self.progress else "no progress shown"
        return (
            f"{self.count} jobs of {self.shortest:g} to {self.longest:g} s, interval {self.interval:g} s, "
            f"latency {self.latency * 1000:.0f} ms, {progress}"
        )

    def to_json(self) -> str:
        """JSON for the command line of another process."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Scenario:
        """The scenario that `to_json` has written."""
        return cls(**json.loads(text))
