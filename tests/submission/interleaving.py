"""Processes that run in any order, one step at a time, and may die at each step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.submission.world import DiedError

_MAX_STEPS = 5_000


class Process:
    """A function in a thread of its own, which runs only when it is its turn."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._dies = False
        self.is_over = False
        self.broke: BaseException | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def step(self, *, dies: bool) -> None:
        """Let the function run to its next step, or die at this one."""
        self._dies = dies
        self._turn.release()
        self._back.acquire()

    def pause(self) -> None:
        """Wait for the next turn; the function calls this at each of its steps."""
        self._back.release()
        self._turn.acquire()
        if self._dies:
            self._dies = False
            raise DiedError

    def _main(self) -> None:
        self._turn.acquire()
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - raised in the test
            self.broke = error
        self.is_over = True
        self._back.release()


@dataclass
class Schedule:
    """Which process runs next and which one dies, from numbers that a test draws; round robin once they are used up.

    :param choices: each picks a process, and kills it if it is 90 or more
    """

    choices: Iterator[int]
    processes: list[Process] = field(default_factory=list)
    current: Process | None = None

    def on_step(self, _: str) -> None:
        """Pause the process that runs; the test itself, which runs alone, is not paused."""
        if self.current is not None:
            self.current.pause()

    def run(self) -> None:
        """Run all processes to their ends.

        :raises AssertionError: they do not end
        """
        for step in range(_MAX_STEPS):
            alive = [process for process in self.processes if not process.is_over]
            if not alive:
                break
            choice = next(self.choices, None)
            process = alive[(step if choice is None else choice) % len(alive)]
            self.current = process
            process.step(dies=choice is not None and choice >= 90)
            self.current = None
        else:
            raise AssertionError(f"processes have not ended after {_MAX_STEPS} steps")
        for process in self.processes:
            if process.broke is not None:
                raise process.broke
