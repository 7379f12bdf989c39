"""A poller's parts around a client whose every response is chosen by the test, and a clock that the test sets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_sora.api.decisions.intervals import Durations
from airflow_provider_sora.api.decisions.polling import AskList, Wait
from airflow_provider_sora.api.poller.list_reader import ListReader
from airflow_provider_sora.api.poller.list_strategy import ListStrategy
from airflow_provider_sora.api.poller.schedule import Schedule
from airflow_provider_sora.api.poller.single_reader import SingleReader
from airflow_provider_sora.api.poller.tracker import Tracker
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.poller.waiters import Waiters
from airflow_provider_sora.api.protocol.models import Video, VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos, Request, RetrieveVideo
from airflow_provider_sora.api.protocol.response import Response
from tests.api.conftest import job
from tests.api.job_world import Recorder


class Limit:
    """When the server takes requests again."""

    blocked_until = 0.0


class Client:
    """Sends nothing: `respond` says what becomes of each request."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.limit = Limit()
        self.clock_offset_seconds = 0.0
        self.sent: list[tuple[str, str, float]] = []
        self.respond: Callable[[Request[Any]], Awaitable[Any]] = self.respond_with_nothing

    @property
    def is_blocked(self) -> bool:
        return self.clock() < self.limit.blocked_until

    async def send(self, kind: str, request: Request[Any], timeout_seconds: float) -> tuple[Any, Response]:
        what = request.video_id if isinstance(request, RetrieveVideo) else getattr(request, "after", None)
        self.sent.append((kind, what or "", timeout_seconds))
        return await self.respond(request), Response(self.clock())

    async def respond_with_nothing(self, request: Request[Any]) -> Any:
        if isinstance(request, ListVideos):
            return page()
        assert isinstance(request, RetrieveVideo)
        return video(request.video_id)


class Asked:
    """Records the questions to the list."""

    def __init__(self) -> None:
        self.questions: list[tuple[Waiter, AskList]] = []

    def add(self, waiter: Waiter, asked: AskList) -> None:
        self.questions.append((waiter, asked))


class Rig:
    """All parts of a poller but its loop."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.jitter = 0.0
        self.woken = 0
        self.observer = Recorder()
        self.waiters = Waiters()
        self.schedule = Schedule(self._wake)
        self.strategy = ListStrategy()
        self.durations = Durations()
        self.client = Client(self.clock)
        client: Any = self.client
        self.asked = Asked()
        gone_check: Any = self.asked
        self.tracker = Tracker(
            self.waiters,
            self.schedule,
            self.strategy,
            self.durations,
            self.observer,
            self.clock,
            lambda: self.jitter,
        )
        shared = (client, self.waiters, self.schedule, self.tracker, self.strategy)
        self.list = ListReader(*shared, self.clock, lambda: self.jitter)
        self.single = SingleReader(*shared, gone_check, self.clock, lambda: self.jitter)

    def clock(self) -> float:
        return self.now

    def _wake(self) -> None:
        self.woken += 1

    def wait(self, video_id: str = "video_1", *, due: bool = True, **fields: Any) -> Waiter:
        """A waiter, whose poll is due at once."""
        wait = Wait(**{"video_id": video_id, "deadline": self.now + 3600, "poll_interval_seconds": 10.0, **fields})
        waiter = Waiter(wait)
        self.waiters.add(waiter)
        if due:
            self.schedule.add(waiter, self.now)
            assert waiter in list(self.schedule.take_due(self.now))
        return waiter

    def wait_many(self, count: int, **fields: Any) -> list[Waiter]:
        """Waiters for video_0, video_1 …"""
        return [self.wait(f"video_{number}", **fields) for number in range(count)]

    def next_poll(self, waiter: Waiter) -> float | None:
        """In how many seconds a waiter is polled; None: never. Takes it from the schedule."""
        at = self.schedule.next_at
        while at is not None:
            if waiter in list(self.schedule.take_due(at)):
                return at - self.now
            at = self.schedule.next_at
        return None


def video(video_id: str = "video_1", status: str = "in_progress", **fields: Any) -> Video:
    """A job as the server shows it; no times unless they are given."""
    return Video.model_validate(job(status, video_id, **{"created_at": None, **fields}))


def page(*videos: Video, has_more: bool = False) -> VideoPage:
    """A page of the list."""
    data = [one.model_dump(mode="json") for one in videos]
    return VideoPage.model_validate({"data": data, "has_more": has_more, "last_id": data[-1]["id"] if data else None})
