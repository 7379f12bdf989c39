"""Who waits for which job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_sora.api.poller.waiter import Waiter


class Waiters:
    """All waiters of one connection, by the job that they wait for."""

    def __init__(self) -> None:
        self._by_job: dict[str, list[Waiter]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Waiter]:
        for waiters in self._by_job.values():
            yield from waiters

    @property
    def jobs(self) -> dict[str, list[Waiter]]:
        """The waiters of each job that somebody waits for."""
        return self._by_job

    def of(self, job: str) -> Sequence[Waiter]:
        """Who waits for a job."""
        return self._by_job.get(job, ())

    def in_flight(self, job: str) -> list[Waiter]:
        """The waiters whose poll of a job is due or sent."""
        return [waiter for waiter in self.of(job) if waiter.in_flight]

    def add(self, waiter: Waiter) -> None:
        """Register a waiter; it knows when the job was last polled for another one."""
        same = self._by_job.setdefault(waiter.job, [])
        waiter.polled_at = max((other.polled_at for other in same), default=waiter.polled_at)
        same.append(waiter)
        self._count += 1

    def remove(self, waiter: Waiter) -> None:
        """Forget a waiter."""
        same = self._by_job[waiter.job]
        same.remove(waiter)
        if not same:
            del self._by_job[waiter.job]
        self._count -= 1
