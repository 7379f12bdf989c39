"""The emulator's time, which a test can move."""

from __future__ import annotations

import time


class Clock:
    """Unix seconds that go on by themselves, or only when told to.

    :param running: whether time passes by itself
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
        """Let `seconds` pass at once."""
        self._offset += seconds
