"""Processes that run in any order, one step at a time, and may die at each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.submission.world import DiedError

_MOST_STEPS = 5_000


class Process:
    """A function in a thread of its own that runs only while it is its turn."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._dies = False
        self.is_over = False
        self.broke: BaseException | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def step(self, *, dies: bool) -> None:
        """Let it run to its next step, or die at this one."""
        self._dies = dies
        self._turn.release()
        self._back.acquire()

    def pause(self) -> None:
        """Called by the function at each of its steps."""
        self._back.release()
        self._turn.acquire()
        if self._dies:
            self._dies = False
            raise DiedError

    def _main(self) -> None:
        self._turn.acquire()
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.broke = error
        self.is_over = True
        self._back.release()


@dataclass
class Schedule:
    """Whose turn it is, and who dies: from numbers that a test draws; fair and without deaths when they are used up.

    :param choices: each picks a process, and whether it dies
    """

    choices: Iterator[int]
    processes: list[Process] = field(default_factory=list)
    current: Process | None = None

    def at(self, _: str) -> None:
        """A step of the process that runs; of the test itself, which runs alone, it is none."""
        if self.current is not None:
            self.current.pause()

    def run(self) -> None:
        """All processes to their ends.

        :raises AssertionError: they do not end
        """
        for step in range(_MOST_STEPS):
            alive = [process for process in self.processes if not process.is_over]
            if not alive:
                break
            choice = next(self.choices, None)
            process = alive[(step if choice is None else choice) % len(alive)]
            self.current = process
            process.step(dies=choice is not None and choice >= 90)
            self.current = None
        else:
            raise AssertionError(f"processes have not ended after {_MOST_STEPS} steps")
        for process in self.processes:
            if process.broke is not None:
                raise process.broke
