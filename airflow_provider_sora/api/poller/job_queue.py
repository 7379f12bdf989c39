"""Polls of single jobs: a few at once, and never two of one job together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

MAX_AT_ONCE = 16  # requests for single jobs in flight together


class JobQueue:
    """Jobs that are to be polled, in the order in which they came.

    :param poll: polls a job and hands on what comes of it, errors too
    """

    def __init__(self, poll: Callable[[str], Awaitable[None]]) -> None:
        self._poll = poll
        self._queued: dict[str, None] = {}
        self._in_flight: set[str] = set()
        self._workers: set[asyncio.Task[None]] = set()

    def add(self, jobs: Iterable[str]) -> None:
        """Poll these, but for those that are in flight: their answer is for all who wait for it when it comes."""
        self._queued.update((job, None) for job in jobs if job not in self._in_flight)
        for _ in range(min(len(self._queued), MAX_AT_ONCE - len(self._workers))):
            self._workers.add(asyncio.get_running_loop().create_task(self._work()))

    async def close(self) -> None:
        """Stop what is in flight."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while self._queued:
            job = next(iter(self._queued))
            del self._queued[job]
            self._in_flight.add(job)
            await self._poll(job)
            self._in_flight.discard(job)
        # At once: until a task's callbacks are called, it would keep others from being made.
        self._workers.discard(asyncio.current_task())
