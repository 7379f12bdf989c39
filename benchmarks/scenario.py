"""The jobs that are waited for: server and waiting process make the same ones of the same few numbers."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass

# A job that has ended before all others began: waiting for it loads what the first wait of a process loads.
WARM_UP = "video_" + "0" * 32
WARM_UP_AGE = 600.0


@dataclass(frozen=True)
class Scenario:
    """Jobs that are submitted together.

    :param shortest: seconds of the shortest job; durations are spread evenly up to `longest`
    :param interval: seconds between two looks at a job
    :param latency: seconds from a request to its answer
    :param progress: whether the server shows how far a job has come
    """

    count: int
    shortest: float
    longest: float
    interval: float
    latency: float = 0.1
    progress: bool = True

    @property
    def ids(self) -> list[str]:
        """The jobs, in the order of their submission."""
        rng = random.Random(1)  # noqa: S311 - no secret
        return [f"video_{rng.getrandbits(128):032x}" for _ in range(self.count)]

    @property
    def durations(self) -> list[float]:
        """How many seconds each job takes."""
        rng = random.Random(2)  # noqa: S311 - no secret
        return [rng.uniform(self.shortest, self.longest) for _ in range(self.count)]

    @property
    def cap(self) -> float:
        """Seconds after which a way that has not ended is stopped."""
        return 3 * self.longest

    def __str__(self) -> str:
        progress = "progress shown" if self.progress else "no progress shown"
        return (
            f"{self.count} jobs of {self.shortest:g} to {self.longest:g} s, interval {self.interval:g} s, "
            f"latency {self.latency * 1000:.0f} ms, {progress}"
        )

    def to_json(self) -> str:
        """For the command line of another process."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Scenario:
        """What `to_json` gave."""
        return cls(**json.loads(text))
