"""One run of a poller, from the first wait to the last, with one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from airflow_provider_sora.api.decisions.intervals import Durations
from airflow_provider_sora.api.http.flows import Jitter
from airflow_provider_sora.api.poller.gone_check import GoneCheck
from airflow_provider_sora.api.poller.list_reader import PAGE_TIMEOUT_SECONDS, ListReader
from airflow_provider_sora.api.poller.list_strategy import ListStrategy
from airflow_provider_sora.api.poller.observer import Observer, notify
from airflow_provider_sora.api.poller.schedule import ROUNDING_SECONDS, TOGETHER_SECONDS, Schedule
from airflow_provider_sora.api.poller.single_reader import SingleReader
from airflow_provider_sora.api.poller.throttled_client import OpenClient, ThrottledClient
from airflow_provider_sora.api.poller.tracker import Tracker
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.poller.waiters import Waiters
from airflow_provider_sora.api.protocol.models import VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos

LINGER_SECONDS = 1.0  # how long the connections stay open after the last wait


class Session:
    """Polls for all waiters that were added, until the last is removed.

    :param durations: how long earlier jobs took; learned in this session and in those before
    :param clock: a monotonic one
    """

    def __init__(
        self,
        open_client: OpenClient,
        observer: Observer,
        durations: Durations,
        clock: Callable[[], float],
        jitter: Jitter,
    ) -> None:
        self._observer = observer
        self._clock = clock
        self._wakeup = asyncio.Event()
        self._waiters = Waiters()
        self._schedule = Schedule(self._wakeup.set)
        strategy = ListStrategy()
        # With another connection it may be another server's list.
        self._client = ThrottledClient(open_client, observer, clock, on_renewed=strategy.reset)
        self._tracker = Tracker(self._waiters, self._schedule, strategy, durations, observer, clock, jitter)
        self._gone_check = GoneCheck(self._read_page, self._tracker.on_list_search)
        shared = (self._client, self._waiters, self._schedule, self._tracker, strategy)
        self._list = ListReader(*shared, clock, jitter)
        self._single = SingleReader(*shared, self._gone_check, clock, jitter)

    def add(self, waiter: Waiter) -> None:
        """Poll for a waiter."""
        self._waiters.add(waiter)
        self._tracker.begin(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Poll for a waiter no more."""
        self._waiters.remove(waiter)
        self._schedule.discard(waiter)
        self._gone_check.discard(waiter)
        if not self._waiters:
            self._wakeup.set()

    def time_out(self, waiter: Waiter) -> None:
        """End a wait, whatever its last poll hangs on."""
        self._tracker.time_out(waiter)

    async def run(self) -> None:
        """Poll; an error that leaves nobody to be polled for ends all waits."""
        try:
            await self._client.open()
            while self._waiters or await self._is_joined():
                await self._round()
        except Exception as error:  # noqa: BLE001 - all who wait are to raise it
            for waiter in self._waiters:
                waiter.end(error=error)

    async def close(self) -> None:
        """Stop all that is in flight, and close the connections."""
        notify(self._observer.waiting, 0)
        await self._single.close()
        await self._gone_check.close()
        await self._client.close()

    async def _round(self) -> None:
        """Poll all that is due, or sleep until something is."""
        notify(self._observer.waiting, len(self._waiters))
        now = self._clock()
        next_at = self._schedule.next_at
        if next_at is None or next_at > now + ROUNDING_SECONDS:
            await self._sleep(None if next_at is None else next_at - now)
            return
        due = list(self._schedule.take_due(now + TOGETHER_SECONDS))
        await self._list.read(due)
        self._single.read(waiter.job for waiter in due if waiter.in_flight)

    async def _is_joined(self) -> bool:
        """Whether another wait comes soon: tasks that run one after the other share a connection."""
        await self._sleep(LINGER_SECONDS)
        return bool(self._waiters)

    async def _sleep(self, seconds: float | None) -> None:
        """Sleep, but for what is due earlier; None: until then."""
        self._wakeup.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wakeup.wait()

    async def _read_page(self, request: ListVideos) -> VideoPage:
        page, _ = await self._client.send("list", request, PAGE_TIMEOUT_SECONDS)
        return page
