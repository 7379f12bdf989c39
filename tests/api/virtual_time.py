"""An event loop whose clock jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

ArgsT = TypeVarTuple("ArgsT")
ResultT = TypeVar("ResultT")
ParamsT = ParamSpec("ParamsT")

_START = 100_000.0
_MOST_STEPS = 500_000  # without any time passing: nobody does that much at once
_REAL_SECONDS = 10.0  # for what a thread does


class _Jumping(selectors.SelectSelector):
    """Selects what is ready; where nothing is, the clock jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _START
        self.in_threads = 0
        self._steps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            self._steps += 1
            assert self._steps < _MOST_STEPS, "the loop runs on and on, and no time passes"
            return ready
        if self.in_threads or timeout is None:
            ready = super().select(_REAL_SECONDS)
            assert ready, "everybody waits, and nothing will ever happen"
            return ready
        self._steps = 0
        self.now += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Time passes only where everybody waits for it, and then at once."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*ArgsT], ResultT], *args: *ArgsT
    ) -> asyncio.Future[ResultT]:
        """A thread's work takes no time of this clock."""
        self._jumping.in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: object) -> None:
        self._jumping.in_threads -= 1


def in_virtual_time(test: Callable[ParamsT, Coroutine[Any, Any, None]]) -> Callable[ParamsT, None]:
    """Makes a test of an async function, which is run on a loop of its own."""

    @functools.wraps(test)
    def run(*args: ParamsT.args, **kwargs: ParamsT.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
