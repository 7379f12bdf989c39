"""The emulator's clock, which a test can advance."""

from __future__ import annotations

import time


class Clock:
    """Unix seconds.

    :param running: whether time passes by itself; otherwise only `advance` moves it
    """

    def __init__(self, *, running: bool = True) -> None:
        self._running = running
        self._start = time.time()
        self._began = time.monotonic()
        self._offset = 0.0

    def now(self) -> float:
        """Unix seconds."""
        passed = time.monotonic() - self._began if self._running else 0.0
        return self._start + passed + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        self._offset += seconds
