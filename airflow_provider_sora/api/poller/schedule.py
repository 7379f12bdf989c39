"""Which wait is to be polled when."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count

from airflow_provider_sora.api.poller.waiter import Waiter

TOGETHER_SECONDS = 1.0  # polls that are due within this time are made together
ROUNDING_SECONDS = 0.001  # a loop's timers may be early by as much as its clock is coarse
_MIN_ENTRIES = 64  # below this the heap is not worth compacting


class Schedule:
    """The next poll of each waiter: a heap, in which entries that no longer hold are skipped and sometimes removed.

    :param on_earlier: called when a poll was scheduled that is due before all others
    """

    def __init__(self, on_earlier: Callable[[], None]) -> None:
        self._on_earlier = on_earlier
        self._polls: dict[Waiter, float] = {}
        self._heap: list[tuple[float, int, Waiter]] = []
        self._order = count()  # waiters themselves have no order

    def __len__(self) -> int:
        """How many entries are kept, those that no longer hold among them."""
        return len(self._heap)

    @property
    def next_at(self) -> float | None:
        """When the next poll is due, or earlier where an entry no longer holds; None: nothing is scheduled."""
        return self._heap[0][0] if self._heap else None

    def add(self, waiter: Waiter, at: float) -> None:
        """Poll a waiter then, in place of what was scheduled for it."""
        self._polls[waiter] = at
        waiter.in_flight = False
        if len(self._heap) > 2 * len(self._polls) + _MIN_ENTRIES:
            self._heap = [(scheduled, next(self._order), one) for one, scheduled in self._polls.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (at, next(self._order), waiter))
        if self._heap[0][2] is waiter:
            self._on_earlier()

    def discard(self, waiter: Waiter) -> None:
        """Do not poll a waiter."""
        self._polls.pop(waiter, None)

    def take_due(self, until: float) -> Iterator[Waiter]:
        """The waiters whose poll is due; each is in flight from then on."""
        while self._heap and self._heap[0][0] <= until:
            at, _, waiter = heapq.heappop(self._heap)
            if self._polls.get(waiter) == at:
                del self._polls[waiter]
                waiter.in_flight = True
                yield waiter
