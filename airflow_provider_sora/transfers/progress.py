"""The progress of a long transfer, in the task's log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

INTERVAL_SECONDS = 10.0
_MIB = 1024 * 1024


class Progress:
    """Logs at most every 10 seconds how many bytes were read, how fast, and how long the rest will take.

    :param name: what is moved; begins each line
    """

    def __init__(self, name: str, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._log = log
        self._clock = clock
        self._started_at = self._logged_at = clock()
        self._bytes = 0
        self._total_bytes: int | None = None

    def begin(self, total_bytes: int | None) -> None:
        """Start the clock; None where the size is unknown."""
        self._total_bytes = total_bytes
        self._started_at = self._logged_at = self._clock()

    def add(self, count: int) -> None:
        """Record that `count` more bytes were read."""
        self._bytes += count
        now = self._clock()
        if now - self._logged_at >= INTERVAL_SECONDS:
            self._logged_at = now
            self._log.info("%s: %s", self._name, self._summary(self._bytes / (now - self._started_at)))

    def _summary(self, rate: float) -> str:
        read = f"{self._bytes / _MIB:.1f}"
        if not self._total_bytes:
            return f"{read} MiB, {rate / _MIB:.1f} MiB/s"
        left = (self._total_bytes - self._bytes) / rate
        return f"{read} of {self._total_bytes / _MIB:.1f} MiB, {rate / _MIB:.1f} MiB/s, about {left:.0f} s left"
