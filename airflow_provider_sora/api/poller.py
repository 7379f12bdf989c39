"""Many waits, few requests: one loop looks for all who wait behind one connection.

Where many looks are due it reads the list, newest first; where few are, or the list does not show them, it asks one by
one. No wait depends on the list: what it does not show is asked for.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Protocol, TypeVar

from airflow_provider_sora.api import decisions, flows
from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.decisions import Done, GiveUp, LookAgain, Verdict, Wait
from airflow_provider_sora.api.flows import Jitter, OnChange
from airflow_provider_sora.api.listing import PAGE_LENGTH, ListUse
from airflow_provider_sora.api.models import Video
from airflow_provider_sora.api.pacing import Durations, Kind, kind_of
from airflow_provider_sora.api.ratelimit import RateLimit
from airflow_provider_sora.api.requests import ListVideos, Request, RetrieveVideo
from airflow_provider_sora.api.steps import Reply
from airflow_provider_sora.exceptions import SoraAuthError, SoraError, SoraRateLimitError, SoraServerError

AnswerT = TypeVar("AnswerT")

log = logging.getLogger(__name__)

MAX_AT_ONCE = 16  # requests for single jobs on their way together
PAGE_TIMEOUT_SECONDS = 20.0
TOGETHER_SECONDS = 1.0  # looks that are due within this time are made together
RENEW_SECONDS = 5.0  # between two looks at the connection after refused keys


class Observer(Protocol):
    """Is told what a poller does."""

    def waiting(self, count: int) -> None:
        """So many waits are registered now."""

    def requested(self, kind: str) -> None:
        """A request was sent: ``list`` or ``retrieve``."""

    def detected(self, delay_seconds: float) -> None:
        """A job's end was noticed so long after it, by the server's clock."""

    def failed(self, error: SoraError) -> None:
        """A request brought an error."""


class Poller:
    """Looks for all waits of one connection, on one event loop; begins with the first and ends with the last.

    :param open_client: reads the connection and makes a client; asked again when the server refuses the key
    :param observer: told what happens
    :param on_end: told once, when no wait is left or none can be served any more
    """

    def __init__(
        self,
        open_client: Callable[[], Awaitable[AsyncSoraClient]],
        observer: Observer,
        on_end: Callable[[], None],
        *,
        clock: Callable[[], float] = time.time,
        jitter: Jitter = random.random,
    ) -> None:
        self._open_client = open_client
        self._observer = observer
        self._on_end = on_end
        self._clock = clock
        self._jitter = jitter
        self._waits: dict[str, list[_Waiting]] = {}
        self._count = 0
        self._due: list[tuple[float, int, _Waiting]] = []
        self._order = 0
        self._wake = asyncio.Event()
        self._list = ListUse()
        self._limit = RateLimit()
        self._durations = Durations()
        self._kinds: dict[Kind, Kind] = {}  # one of each for all waits
        self._asked: deque[_Waiting] = deque()
        self._askers: set[asyncio.Task[None]] = set()
        self._clients: list[AsyncSoraClient] = []
        self._renewed_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def wait(self, wait: Wait, on_change: OnChange) -> Video:
        """Look at a job until it is a video, together with all others.

        :param on_change: told what `flows.wait` tells, by the task that waits
        :raises SoraVideoFailedError: the job ended without a video
        :raises SoraWaitError: waiting ended first
        """
        waiting = _Waiting(wait, asyncio.get_running_loop().create_future())
        self._add(waiting)
        try:
            while True:
                await waiting.news
                waiting.news = asyncio.get_running_loop().create_future()
                if waiting.change is not None:
                    on_change(waiting.change)
                    waiting.change = None  # a Video takes more memory than the rest of a wait
                if waiting.error is not None:
                    raise waiting.error
                if waiting.video is not None:
                    return waiting.video
        finally:
            self._remove(waiting)

    def _add(self, waiting: _Waiting) -> None:
        self._waits.setdefault(waiting.wait.video_id, []).append(waiting)
        self._count += 1
        now = self._clock()
        history = self._durations.of(None)
        self._schedule(waiting, now + decisions.first_look(waiting.wait, now, history=history, jitter=self._jitter()))
        if self._task is None:
            # Not in the context of the first who waits, which says whose log a line belongs to.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def _remove(self, waiting: _Waiting) -> None:
        same = self._waits[waiting.wait.video_id]
        same.remove(waiting)
        if not same:
            del self._waits[waiting.wait.video_id]
        waiting.left = True
        self._count -= 1
        if not self._count:
            self._wake.set()

    def _schedule(self, waiting: _Waiting, at: float) -> None:
        waiting.due = at
        waiting.asked = False
        self._order += 1
        heapq.heappush(self._due, (at, self._order, waiting))
        if self._due[0][2] is waiting:
            self._wake.set()

    async def _run(self) -> None:
        try:
            self._clients.append(await self._open_client())
            self._limit = RateLimit(self._client.config.requests_per_minute)
            while self._count:
                await self._round()
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            self._fail_all(error)
        finally:
            self._on_end()
            for asker in self._askers:
                asker.cancel()
            for client in self._clients:
                await client.close()

    async def _round(self) -> None:
        """Look at all that is due, or sleep until something is."""
        self._observer.waiting(self._count)
        now = self._clock()
        pause = self._due[0][0] - now if self._due else PAGE_TIMEOUT_SECONDS
        if pause > 0:
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            return
        due = [waiting for waiting in self._take_due(now + TOGETHER_SECONDS) if not waiting.left]
        depth = max((self._depth(waiting) for waiting in due), default=0)
        if self._list.pays(len(due), depth, now):
            due = await self._read_list({waiting.wait.video_id: waiting for waiting in due}, depth)
        self._ask(due)

    def _take_due(self, until: float) -> Iterator[_Waiting]:
        while self._due and self._due[0][0] <= until:
            at, _, waiting = heapq.heappop(self._due)
            if waiting.due == at and not waiting.asked and not waiting.left:
                waiting.asked = True
                yield waiting

    def _depth(self, waiting: _Waiting) -> int:
        """Where a job is expected on the list; one that was never seen there, among all that are waited for."""
        return self._count if waiting.depth is None else waiting.depth

    async def _read_list(self, due: dict[str, _Waiting], depth: int) -> list[_Waiting]:
        """Read the list until all that is due was met; what was not."""
        wanted = len(due)
        pages = flows.Pages(ListVideos(limit=PAGE_LENGTH, order="desc"))
        place = 0
        try:
            for _ in range(self._list.most_pages(depth)):
                if pages.next is None or not due:
                    break
                async with asyncio.timeout(PAGE_TIMEOUT_SECONDS):
                    page, reply = await self._send("list", pages.next)
                self._list.saw_page(len(page.data), has_more=page.has_more)
                for video in pages.take(page):
                    due.pop(video.id, None)
                    self._saw(video, reply, place)
                    place += 1
        except Exception as error:  # noqa: BLE001 - whatever the list does, there is the other way
            await self._list_failed(error)
        else:
            self._list.ended(wanted=wanted, met=wanted - len(due), now=self._clock())
        return list(due.values())

    async def _list_failed(self, error: Exception) -> None:
        if isinstance(error, SoraRateLimitError):
            return  # says nothing about the list
        if isinstance(error, SoraAuthError):
            await self._renew()
            return
        self._list.failed(self._clock())

    def _saw(self, video: Video, reply: Reply, place: int) -> None:
        """Use what a page shows of a job, due or not."""
        for waiting in list(self._waits.get(video.id, ())):
            waiting.depth = place
            self._use(waiting, video, reply)

    def _ask(self, due: list[_Waiting]) -> None:
        """Ask for jobs one by one, a few at once."""
        self._asked.extend(due)
        for _ in range(min(len(self._asked), MAX_AT_ONCE - len(self._askers))):
            asker = asyncio.get_running_loop().create_task(self._ask_all())
            self._askers.add(asker)
            asker.add_done_callback(self._askers.discard)

    async def _ask_all(self) -> None:
        while self._asked:
            waiting = self._asked.popleft()
            if waiting.left or not waiting.asked:
                continue
            try:
                await self._ask_for(waiting)
            except Exception as error:  # noqa: BLE001 - one job that breaks the reader is no reason to let go of the others
                waiting.end(error=error)

    async def _ask_for(self, waiting: _Waiting) -> None:
        try:
            video, reply = await self._send("retrieve", RetrieveVideo(video_id=waiting.wait.video_id))
        except SoraError as error:
            await self._use_failure(waiting, error)
        else:
            self._use(waiting, video, reply)

    async def _use_failure(self, waiting: _Waiting, error: SoraError) -> None:
        now = self._clock()
        if _came_too_soon(error):
            # Not this job's failure: all of them wait until the server takes requests again.
            pause = self._limit.blocked_until - now
            self._follow(waiting, decisions.postponed(waiting.wait, pause * (1 + self._jitter() / 4), now))
            return
        if isinstance(error, SoraAuthError) and await self._renew():
            self._schedule(waiting, now)
            return
        self._follow(waiting, decisions.after_failure(waiting.wait, error, now, jitter=self._jitter()))

    def _use(self, waiting: _Waiting, video: Video, reply: Reply) -> None:
        if waiting.ended:
            return
        if waiting.kind is None:
            kind = kind_of(video)
            waiting.kind = self._kinds.setdefault(kind, kind)
        before = waiting.wait
        history = self._durations.of(waiting.kind)
        verdict = decisions.after_look(
            before,
            video,
            reply.at,
            hint_seconds=reply.hint_seconds,
            history=history,
            least_seconds=self._list.least_pause(self._count, reply.at),
            jitter=self._jitter(),
        )
        if isinstance(verdict, Done):
            self._detected(video, reply.at, running_before=before.last is not None)
        if flows.worth_telling(before, video):
            waiting.tell(video)
        self._follow(waiting, verdict)

    def _follow(self, waiting: _Waiting, verdict: Verdict) -> None:
        match verdict:
            case Done(video):
                waiting.end(video)
            case GiveUp(error):
                waiting.end(error=error)
            case LookAgain(wait, seconds):
                waiting.wait = wait
                self._schedule(waiting, self._clock() + seconds)

    def _detected(self, video: Video, now: float, *, running_before: bool) -> None:
        if video.completed_at is None:
            return
        if running_before:  # otherwise it may have ended long before anybody waited
            self._observer.detected(max(0.0, now + self._client.clock_offset_seconds - video.completed_at))
        if video.created_at is not None and video.completed_at > video.created_at:
            self._durations.add(video, video.completed_at - video.created_at)

    async def _send(self, kind: str, request: Request[AnswerT]) -> tuple[AnswerT, Reply]:
        """Send once, when the limits allow it."""
        while (pause := self._limit.reserve(self._clock())) > 0:
            await asyncio.sleep(pause)
            if self._clock() >= self._limit.blocked_until:
                break
        self._observer.requested(kind)
        try:
            answer = await self._client.exchange(request)
        except SoraError as error:
            self._observer.failed(error)
            if _came_too_soon(error):
                self._limit.refused(self._clock(), getattr(error, "retry_after_seconds", None))
            raise
        self._limit.answered()
        return answer

    @property
    def _client(self) -> AsyncSoraClient:
        return self._clients[-1]

    async def _renew(self) -> bool:
        """Read the connection again; whether it has changed. Clients are kept: others may be using them."""
        now = self._clock()
        if now - self._renewed_at < RENEW_SECONDS:
            return False
        self._renewed_at = now
        try:
            client = await self._open_client()
        except Exception:
            log.exception("The connection could not be read again after its key was refused")
            return False
        if client.config == self._client.config:
            await client.close()
            return False
        self._clients.append(client)
        return True

    def _fail_all(self, error: Exception) -> None:
        for waits in list(self._waits.values()):
            for waiting in waits:
                waiting.end(error=error)


class _Waiting:
    """One wait: how far it has come, when to look next, and how it hears of it."""

    __slots__ = ("asked", "change", "depth", "due", "error", "kind", "left", "news", "video", "wait")

    def __init__(self, wait: Wait, news: asyncio.Future[None]) -> None:
        self.wait = wait
        self.news = news  # done when there is something to hear
        self.change: Video | None = None
        self.video: Video | None = None
        self.error: Exception | None = None
        self.due = 0.0
        self.asked = False  # taken to be looked at
        self.left = False  # nobody waits any more
        self.depth: int | None = None  # its place on the list
        self.kind: Kind | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to find out."""
        return self.video is not None or self.error is not None

    def tell(self, video: Video) -> None:
        """Hand on a change."""
        self.change = video
        self._wake()

    def end(self, video: Video | None = None, *, error: Exception | None = None) -> None:
        """Hand on how it ended."""
        if not self.ended:
            self.video, self.error = video, error
            self._wake()

    def _wake(self) -> None:
        if not self.news.done():
            self.news.set_result(None)


def _came_too_soon(error: SoraError) -> bool:
    """Whether a server wants fewer requests."""
    if isinstance(error, SoraServerError):
        return error.status_code == 503 and error.retry_after_seconds is not None
    return isinstance(error, SoraRateLimitError)
