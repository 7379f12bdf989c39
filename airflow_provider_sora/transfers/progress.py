"""How far a long transfer has come, in the task's log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

INTERVAL_SECONDS = 10.0
_MIB = 1024 * 1024


class Progress:
    """Logs at most every 10 seconds how much has come, how fast, and how long the rest will take.

    :param name: what is being moved, to begin each line with
    """

    def __init__(self, name: str, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._log = log
        self._clock = clock
        self._begun = self._told = clock()
        self._bytes = 0
        self._total: int | None = None

    def begin(self, total: int | None) -> None:
        """Take the size in bytes, where it is known."""
        self._total = total
        self._begun = self._told = self._clock()

    def add(self, count: int) -> None:
        """Take that `count` bytes more have come."""
        self._bytes += count
        now = self._clock()
        if now - self._told >= INTERVAL_SECONDS:
            self._told = now
            self._log.info("%s: %s", self._name, self._words(self._bytes / (now - self._begun)))

    def _words(self, rate: float) -> str:
        words = f"{self._bytes / _MIB:.1f}"
        if not self._total:
            return f"{words} MiB, {rate / _MIB:.1f} MiB/s"
        left = (self._total - self._bytes) / rate
        return f"{words} of {self._total / _MIB:.1f} MiB, {rate / _MIB:.1f} MiB/s, about {left:.0f} s left"
