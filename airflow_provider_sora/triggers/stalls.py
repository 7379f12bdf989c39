"""Whether this process was stalled: another triggerer may have run its triggers in the meantime."""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from airflow_provider_sora.compat import conf

TICK_SECONDS = 1.0
# After a stall a triggerer checks at once which triggers are still its own, and cancels the others within seconds.
REMEMBER_SECONDS = 60.0

#: monotonic and wall clock, in seconds: the first stops while a machine is suspended, the second may be set
Clocks = Callable[[], tuple[float, float]]


class StallDetector:
    """Ticks on the event loop while there are watchers; a tick that is far too late is a stall.

    :param limit_seconds: the longest pause between two ticks that is not a stall
    """

    def __init__(self, limit_seconds: float, clocks: Clocks = lambda: (time.monotonic(), time.time())) -> None:
        self._limit_seconds = limit_seconds
        self._clocks = clocks
        self._last = clocks()
        self._stalled_at = -math.inf
        self._watchers = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Detect stalls inside the block."""
        if not self._watchers:
            self._last = self._clocks()
            self._tick()
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers and self._timer is not None:
                self._timer.cancel()

    def has_stalled(self) -> bool:
        """Whether there was a stall a short time ago; to be called inside the block, or right after it."""
        self._check()
        return self._last[0] - self._stalled_at < REMEMBER_SECONDS

    def _tick(self) -> None:
        self._check()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_SECONDS, self._tick, context=contextvars.Context())

    def _check(self) -> None:
        before, self._last = self._last, self._clocks()
        if max(now - then for now, then in zip(self._last, before, strict=True)) > self._limit_seconds:
            self._stalled_at = self._last[0]


_detectors: WeakKeyDictionary[asyncio.AbstractEventLoop, StallDetector] = WeakKeyDictionary()


def stall_detector() -> StallDetector:
    """The running event loop's detector. Its limit is half the time after which Airflow reassigns triggers."""
    loop = asyncio.get_running_loop()
    if loop not in _detectors:
        threshold = conf.getfloat("triggerer", "triggerer_health_check_threshold", fallback=30.0)
        _detectors[loop] = StallDetector(threshold / 2)
    return _detectors[loop]
