"""Polling many jobs with the server's list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from airflow_provider_sora.api.decisions.poll_failures import is_throttled
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.flows import Jitter
from airflow_provider_sora.api.http.pages import PAGE_LENGTH, Pages
from airflow_provider_sora.api.poller.list_strategy import FORGET_SECONDS, ListStrategy
from airflow_provider_sora.api.poller.schedule import Schedule
from airflow_provider_sora.api.poller.throttled_client import ThrottledClient
from airflow_provider_sora.api.poller.tracker import Tracker
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.poller.waiters import Waiters
from airflow_provider_sora.api.protocol.ids import canonical_id
from airflow_provider_sora.api.protocol.models import Video, VideoPage, VideoStatus
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraConnectionError, SoraError, SoraResponseError, SoraServerError

PAGE_TIMEOUT_SECONDS = 20.0
_PAUSES = (0.25, 0.5)  # before a page is requested again


class ListReader:
    """Reads the list, newest first, for all whose poll is due; uses what it shows of others as well.

    No wait depends on the list: what it does not show stays `in_flight`, to be polled by itself, and what it shows is
    checked now and then.

    :param clock: a monotonic one
    """

    def __init__(
        self,
        client: ThrottledClient,
        waiters: Waiters,
        schedule: Schedule,
        tracker: Tracker,
        strategy: ListStrategy,
        clock: Callable[[], float],
        jitter: Jitter,
    ) -> None:
        self._client = client
        self._waiters = waiters
        self._schedule = schedule
        self._tracker = tracker
        self._strategy = strategy
        self._clock = clock
        self._jitter = jitter

    async def read(self, due: list[Waiter]) -> None:
        """Read the list for these, where that costs fewer requests than asking one by one."""
        now = self._clock()
        listed = [waiter for waiter in due if now >= waiter.unlisted_until]
        depth = max((self._depth(waiter) for waiter in listed), default=0)
        if not self._client.is_blocked and self._strategy.is_cheaper(len(listed), depth, now):
            await self._read(listed, depth)

    def _depth(self, waiter: Waiter) -> int:
        """Where a job is expected on the list; one that was never seen there, among all that are waited for."""
        return len(self._waiters) if waiter.depth is None else waiter.depth

    async def _read(self, due: list[Waiter], depth: int) -> None:
        missing = {waiter.job for waiter in due}
        wanted = len(missing)
        try:
            met = await self._read_pages(missing, self._strategy.most_pages(depth))
        except Exception as error:  # noqa: BLE001 - whatever the list does, there is the other way
            self._record_failure(error)
            return
        if not self._client.is_blocked:
            self._strategy.record_reading(wanted=wanted, met=met, now=self._clock())
            for waiter in due:
                if waiter.job in missing:
                    waiter.unlisted_until = self._clock() + FORGET_SECONDS
        self._check_one(due)

    async def _read_pages(self, missing: set[str], most: int) -> int:
        """Take out of `missing` what is met; how many of the jobs that are waited for were, due or not."""
        pages = Pages(ListVideos(limit=PAGE_LENGTH, order="desc"))
        place = met = 0
        while most and missing and pages.next is not None and not self._client.is_blocked:
            most -= 1
            page, response = await self._read_page(pages.next)
            self._strategy.record_page(len(page.data), has_more=page.has_more)
            for video in pages.take(page):
                job = canonical_id(video.id)
                missing.discard(job)
                met += job in self._waiters.jobs
                self._observe(job, video, response, place)
                place += 1
            missing.intersection_update(self._waiters.jobs)
        return met

    async def _read_page(self, request: ListVideos) -> tuple[VideoPage, Response]:
        """A page; one that fails in passing is requested again, before anything is concluded about the list."""
        for pause in _PAUSES:
            begun = self._clock()
            try:
                return await self._client.send("list", request, PAGE_TIMEOUT_SECONDS)
            except SoraError as error:
                if not (_may_pass(error) and self._waiters) or self._clock() - begun >= PAGE_TIMEOUT_SECONDS:
                    raise
            await asyncio.sleep(pause)
        return await self._client.send("list", request, PAGE_TIMEOUT_SECONDS)

    def _record_failure(self, error: Exception) -> None:
        if is_throttled(error):
            self._strategy.record_throttle(self._client.limit.blocked_until)
        else:
            # A list that answers slowly would hold up all polls again.
            is_slow = isinstance(error, SoraConnectionError)
            self._strategy.record_failure(self._clock(), may_pass=_may_pass(error) and not is_slow)

    def _check_one(self, due: list[Waiter]) -> None:
        """Poll one of the jobs that the list shows as running: it may be a list that never changes."""
        running = [waiter for waiter in due if not (waiter.in_flight or waiter.ended)]
        if running and self._strategy.is_check_due(self._clock()):
            running[int(self._jitter() * len(running))].in_flight = True

    def _observe(self, job: str, video: Video, response: Response, place: int) -> None:
        """Use what a page shows of a job, due or not."""
        now = self._clock()
        if video.status.is_running and self._strategy.is_stale(job, now):
            raise _StaleListError
        for waiter in self._waiters.of(job):
            waiter.depth, waiter.unlisted_until = place, 0.0
            if _can_be_believed(video, waiter.wait, now):
                self._tracker.observe(waiter, video, response, self._client.clock_offset_seconds)
            elif not waiter.in_flight:
                self._schedule.add(waiter, now)


def _may_pass(error: Exception) -> bool:
    """Whether a failure says nothing of the list: the next request may be answered."""
    return isinstance(error, SoraServerError | SoraConnectionError | SoraResponseError) and not is_throttled(error)


class _StaleListError(Exception):
    """The list shows a job as running that is known to have ended."""


def _can_be_believed(video: Video, wait: Wait, now: float) -> bool:
    """Whether the list's word will do: not for a failure, whose reason it may leave out, nor for the last poll."""
    if video.status.is_running:
        return now < wait.deadline
    return video.status is VideoStatus.COMPLETED
