"""Many waits, few requests: one loop looks for all who wait behind one connection.

Where many looks are due it reads the list, newest first; where few are, or the list does not show them, it asks one by
one. No wait depends on the list: what it does not show is asked for, and what it shows is checked.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from airflow_provider_sora.api.decisions import polling
from airflow_provider_sora.api.decisions.intervals import Durations, Kind, kind_of
from airflow_provider_sora.api.decisions.poll_failures import is_throttled
from airflow_provider_sora.api.decisions.polling import AskList, Done, GiveUp, Presence, Verdict, Wait
from airflow_provider_sora.api.http.flows import Jitter, OnChange
from airflow_provider_sora.api.http.pages import PAGE_LENGTH, Pages
from airflow_provider_sora.api.http.wait_flow import is_worth_logging
from airflow_provider_sora.api.poller.gone_check import GoneCheck
from airflow_provider_sora.api.poller.job_queue import JobQueue
from airflow_provider_sora.api.poller.list_strategy import FORGET_SECONDS, ListStrategy
from airflow_provider_sora.api.poller.throttled_client import Observer, OpenClient, ThrottledClient, report
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.protocol.ids import canonical_id
from airflow_provider_sora.api.protocol.models import Video, VideoPage, VideoStatus
from airflow_provider_sora.api.protocol.pause_limits import MIN_POLL_SECONDS
from airflow_provider_sora.api.protocol.requests import ListVideos, RetrieveVideo
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraError, SoraResponseError

PAGE_TIMEOUT_SECONDS = 20.0
POLL_TIMEOUT_SECONDS = 30.0  # for one job: sixteen answers that drip must not stop all others for long
TOGETHER_SECONDS = 1.0  # looks that are due within this time are made together
LAST_POLL_GRACE_SECONDS = 30.0  # how long past its deadline a wait may last, for its last look to be answered
_IDLE_SECONDS = 60.0
_MAX_KINDS = 256
_ROUNDING_SECONDS = 0.001  # a loop's timers may be early by as much as its clock is coarse


class Poller:
    """Looks for all waits of one connection, on one event loop; begins with the first and ends with the last.

    :param open_client: reads the connection and makes a client; asked again when the server refuses the key
    :param observer: told what happens
    :param on_end: told when no wait is left or none can be served any more; a wait that comes later begins anew
    :param wall_clock: unix seconds, asked when a wait begins, for its deadline; all else follows the loop's own clock
    """

    def __init__(
        self,
        open_client: OpenClient,
        observer: Observer,
        on_end: Callable[[], None],
        *,
        wall_clock: Callable[[], float] = time.time,
        jitter: Jitter = random.random,
    ) -> None:
        self._open_client = open_client
        self._observer = observer
        self._on_end = on_end
        self._wall_clock = wall_clock
        self._clock = asyncio.get_running_loop().time
        self._jitter = jitter
        self._waits: dict[str, list[Waiter]] = {}  # by the job, as `canonical_id` names it
        self._count = 0
        self._due: list[tuple[float, int, Waiter]] = []
        self._order = 0
        self._wake = asyncio.Event()
        self._list = ListStrategy()
        self._durations = Durations()
        self._kinds: dict[Kind, Kind] = {}  # one of each for all waits
        self._queue = JobQueue(self._poll)
        self._gone = GoneCheck(self._read_page, self._searched)
        self._client = self._new_client()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, wait: Wait, on_change: OnChange) -> Video:
        """Look at a job until it is a video, together with all others.

        :param on_change: told what `wait_flow.wait` tells, by the task that waits
        :raises SoraVideoFailedError: the job ended without a video
        :raises SoraWaitError: waiting ended first
        """
        epoch = self._wall_clock() - self._clock()
        waiting = Waiter(polling.on_monotonic_clock(wait, epoch), epoch)
        # Whatever a look hangs on: a wait ends.
        left = max(0.0, waiting.wait.deadline - self._clock()) + LAST_POLL_GRACE_SECONDS
        overdue = asyncio.get_running_loop().call_later(left, self._time_out, waiting)
        self._add(waiting)
        try:
            while True:
                await waiting.wakeup
                if waiting.take_change(on_change):
                    return waiting.result()
        finally:
            overdue.cancel()
            self._remove(waiting)

    def _add(self, waiting: Waiter) -> None:
        same = self._waits.setdefault(waiting.job, [])
        waiting.checked_at = max((other.checked_at for other in same), default=waiting.checked_at)
        same.append(waiting)
        self._count += 1
        now = self._clock()
        history = self._durations.of(None)
        self._schedule(waiting, now + polling.first_poll(waiting.wait, now, history=history, jitter=self._jitter()))
        if self._task is None:
            # Not in the context of the first who waits, which says whose log a line belongs to.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def _remove(self, waiting: Waiter) -> None:
        same = self._waits[waiting.job]
        same.remove(waiting)
        if not same:
            del self._waits[waiting.job]
        self._gone.discard(waiting)
        waiting.abandoned = True
        self._count -= 1
        if not self._count:
            self._wake.set()

    def _schedule(self, waiting: Waiter, at: float) -> None:
        waiting.due = at
        waiting.in_flight = False
        if len(self._due) > 4 * self._count + 64:  # most of them are looks that were put off, or whose wait has left
            self._due = [entry for entry in self._due if entry[2].is_scheduled(entry[0])]
            heapq.heapify(self._due)
        self._order += 1
        heapq.heappush(self._due, (at, self._order, waiting))
        if self._due[0][2] is waiting:
            self._wake.set()

    async def _run(self) -> None:
        try:
            await self._client.open()
            while self._count:
                await self._round()
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            self._fail_all(error)
        finally:
            await self._end()

    async def _end(self) -> None:
        """Let go of everything; from its first pause on another wait begins anew."""
        self._task = None
        line, self._client = self._client, self._new_client()
        queue, self._queue = self._queue, JobQueue(self._poll)
        gone, self._gone = self._gone, GoneCheck(self._read_page, self._searched)
        report(self._observer.waiting, 0)
        self._on_end()
        await queue.close()
        await gone.close()
        await line.close()

    def _new_client(self) -> ThrottledClient:
        return ThrottledClient(self._open_client, self._observer, self._clock, self._forget_list)

    def _forget_list(self) -> None:
        """With another connection it may be another server's."""
        self._list = ListStrategy()

    async def _round(self) -> None:
        """Look at all that is due, or sleep until something is."""
        report(self._observer.waiting, self._count)
        now = self._clock()
        pause = self._due[0][0] - now if self._due else _IDLE_SECONDS
        if pause > _ROUNDING_SECONDS:
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            return
        due = list(self._take_due(now + TOGETHER_SECONDS))
        listed = [waiting for waiting in due if now >= waiting.unlisted_until]
        depth = max((self._depth(waiting) for waiting in listed), default=0)
        if not self._client.is_blocked and self._list.is_cheaper(len(listed), depth, now):
            await self._read_list(listed, depth)
        self._queue.add(waiting.job for waiting in due if waiting.in_flight)

    def _take_due(self, until: float) -> Iterator[Waiter]:
        while self._due and self._due[0][0] <= until:
            at, _, waiting = heapq.heappop(self._due)
            if waiting.is_scheduled(at):
                waiting.in_flight = True
                yield waiting

    def _depth(self, waiting: Waiter) -> int:
        """Where a job is expected on the list; one that was never seen there, among all that are waited for."""
        return self._count if waiting.depth is None else waiting.depth

    async def _read_list(self, due: list[Waiter], depth: int) -> None:
        """Read the list until all that is due was met; what is still to be asked for stays `asked`."""
        missing = {waiting.job for waiting in due}
        wanted = len(missing)
        try:
            seen = await self._read_pages(missing, self._list.most_pages(depth))
        except Exception as error:  # noqa: BLE001 - whatever the list does, there is the other way
            self._list_failed(error)
        else:
            if not self._client.is_blocked:
                self._list.record_reading(wanted=wanted, met=seen, now=self._clock())
                for waiting in due:
                    if waiting.job in missing:
                        waiting.unlisted_until = self._clock() + FORGET_SECONDS
            self._check_one(due)

    async def _read_pages(self, missing: set[str], most: int) -> int:
        """Take out of `missing` what is met; how many of the jobs that are waited for were, due or not."""
        pages = Pages(ListVideos(limit=PAGE_LENGTH, order="desc"))
        place = seen = 0
        while most and missing and pages.next is not None and not self._client.is_blocked:
            most -= 1
            page, response = await self._client.send("list", pages.next, PAGE_TIMEOUT_SECONDS)
            self._list.record_page(len(page.data), has_more=page.has_more)
            for video in pages.take(page):
                job = canonical_id(video.id)
                missing.discard(job)
                seen += job in self._waits
                self._observe(job, video, response, place)
                place += 1
            missing.intersection_update(self._waits)
        return seen

    def _list_failed(self, error: Exception) -> None:
        if is_throttled(error):
            self._list.record_throttle(self._client.limit.blocked_until)
        else:
            self._list.record_failure(self._clock())

    def _check_one(self, due: list[Waiter]) -> None:
        """Ask for one of the jobs that the list shows as running: it may be a list that never changes."""
        running = [waiting for waiting in due if not (waiting.in_flight or waiting.ended)]
        if running and self._list.is_check_due(self._clock()):
            running[int(self._jitter() * len(running))].in_flight = True

    def _observe(self, job: str, video: Video, response: Response, place: int) -> None:
        """Use what a page shows of a job, due or not."""
        now = self._clock()
        if video.status.is_running and self._list.is_stale(job, now):
            raise _StaleListError
        for waiting in self._waits.get(job, ()):
            waiting.depth, waiting.unlisted_until = place, 0.0
            if _can_be_believed(video, waiting.wait, now):
                self._use(waiting, video, response)
            elif not waiting.in_flight:
                self._schedule(waiting, now)

    def _asking(self, job: str) -> list[Waiter]:
        """Who is to be told what the job is asked for."""
        return [waiting for waiting in self._waits.get(job, ()) if waiting.in_flight]

    async def _poll(self, job: str) -> None:
        """Ask for a job, once for all who want to be told."""
        asking = self._asking(job)
        if not asking or self._put_off_after_a_check(asking):
            return
        if self._client.is_blocked:
            self._put_off(job)
            return
        try:
            request = RetrieveVideo(video_id=asking[0].wait.video_id)
            video, response = await self._client.send("retrieve", request, POLL_TIMEOUT_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever breaks the reader says nothing of the job
            self._checked(job)
            self._failed(job, error)
            return
        self._checked(job)
        if not video.status.is_running:
            self._list.record_ended(job, self._clock())
        for waiting in self._waits.get(job, ()):
            self._use(waiting, video, response)

    def _put_off_after_a_check(self, asking: list[Waiter]) -> bool:
        """Whether the job was asked for a moment ago, for another wait or because the list called for it."""
        now = self._clock()
        pause = max(waiting.checked_at for waiting in asking) + MIN_POLL_SECONDS - now
        if pause <= _ROUNDING_SECONDS or any(waiting.may_be_polled_at_once(now) for waiting in asking):
            return False
        for waiting in asking:
            self._schedule(waiting, now + pause)
        return True

    def _checked(self, job: str) -> None:
        for waiting in self._waits.get(job, ()):
            waiting.checked_at = self._clock()

    def _failed(self, job: str, error: Exception) -> None:
        if is_throttled(error):
            self._put_off(job)
            return
        if not isinstance(error, SoraError):
            error = SoraResponseError(f"reading the answer broke: {type(error).__name__}: {error}")
        for waiting in self._asking(job):
            self._follow(waiting, polling.on_error(waiting.wait, error, self._clock(), jitter=self._jitter()))

    def _put_off(self, job: str) -> None:
        """Wait until the server takes requests again, all of them together: no failure of this job."""
        now = self._clock()
        pause = self._client.limit.blocked_until - now + self._jitter() * TOGETHER_SECONDS
        for waiting in self._asking(job):
            self._follow(waiting, polling.postponed(waiting.wait, pause, now))

    def _use(self, waiting: Waiter, video: Video, response: Response) -> None:
        if waiting.ended:
            return
        self._gone.discard(waiting)
        if video.id != waiting.wait.video_id:
            video = video.model_copy(update={"id": waiting.wait.video_id})
        if waiting.kind is None:
            waiting.kind = self._kind(video)
        before = waiting.wait
        history = self._durations.of(waiting.kind)
        verdict = polling.on_status(
            before,
            video,
            self._clock(),
            hint_seconds=response.hint_seconds,
            history=history,
            least_seconds=self._list.least_pause(self._count, self._clock()),
            jitter=self._jitter(),
            epoch=waiting.epoch,
        )
        if isinstance(verdict, Done):
            self._detected(waiting, video, running_before=before.last is not None)
        if is_worth_logging(before, video):
            waiting.notify(video)
        self._follow(waiting, verdict)

    def _kind(self, video: Video) -> Kind:
        if len(self._kinds) >= _MAX_KINDS:  # they are kept only so that many waits share one of each
            self._kinds.clear()
        kind = kind_of(video)
        return self._kinds.setdefault(kind, kind)

    def _follow(self, waiting: Waiter, verdict: Verdict) -> None:
        waiting.in_flight = False
        if isinstance(verdict, Done):
            waiting.end(verdict.video)
        elif isinstance(verdict, GiveUp):
            waiting.end(error=verdict.error)
        elif isinstance(verdict, AskList):
            self._ask_list(waiting, verdict)
        else:
            waiting.wait = verdict.wait
            self._schedule(waiting, self._clock() + verdict.seconds)

    def _ask_list(self, waiting: Waiter, asked: AskList) -> None:
        waiting.wait, waiting.due = asked.wait, math.inf  # until the list has answered
        self._gone.add(waiting, asked)

    async def _read_page(self, request: ListVideos) -> VideoPage:
        page, _ = await self._client.send("list", request, PAGE_TIMEOUT_SECONDS)
        return page

    def _searched(self, waiting: Waiter, asked: AskList, found: Video | Presence) -> None:
        self._follow(
            waiting,
            polling.on_list_search(asked, found, self._clock(), jitter=self._jitter(), epoch=waiting.epoch),
        )

    def _detected(self, waiting: Waiter, video: Video, *, running_before: bool) -> None:
        if video.completed_at is None:
            return
        if running_before:  # otherwise it may have ended long before anybody waited
            now = self._clock() + waiting.epoch
            delay = now + self._client.clock_offset_seconds - video.completed_at
            report(self._observer.detected, max(0.0, delay))
        if video.created_at is not None and video.completed_at > video.created_at:
            self._durations.add(video, video.completed_at - video.created_at)

    def _time_out(self, waiting: Waiter) -> None:
        self._follow(waiting, polling.timed_out(waiting.wait))

    def _fail_all(self, error: Exception) -> None:
        for waits in self._waits.values():
            for waiting in waits:
                waiting.end(error=error)


class _StaleListError(Exception):
    """The list shows a job as running that is known to have ended."""


def _can_be_believed(video: Video, wait: Wait, now: float) -> bool:
    """Whether the list's word will do; not for a failure, whose reason it may leave out, nor for the last look."""
    if video.status.is_running:
        return now < wait.deadline
    return video.status is VideoStatus.COMPLETED
