"""A simulated server with many jobs, and a poller in front of it, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.poller.poller import Poller
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.exceptions import SoraError
from tests.api.conftest import answer, job

Hook = Callable[[httpx.Request], Awaitable[httpx.Response | None]]


@dataclass
class Job:
    """A job of the server, and its truth."""

    id: str
    created_at: float
    ends_at: float
    outcome: str = "completed"
    fields: dict[str, Any] = field(default_factory=dict)
    listed: bool = True
    frozen_at: float | None = None  # the list shows it as it was then, for ever

    def as_seen(self, now: float) -> dict[str, Any]:
        """What the server answers."""
        times: dict[str, Any] = {"created_at": int(self.created_at), **self.fields}
        if now < self.ends_at:
            return job("in_progress", self.id, **times)
        error = {"code": "oom", "message": "no"} if self.outcome == "failed" else None
        return job(self.outcome, self.id, completed_at=int(self.ends_at), error=error, **times)


class JobServer:
    """Answers by its jobs, after some time; a hook may answer instead."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.jobs: dict[str, Job] = {}
        self.latency = 0.05
        self.page_length = 100
        self.asked: list[tuple[float, str]] = []
        self.before_all: Hook | None = None
        self.before_list: Hook | None = None
        self.before_job: Hook | None = None

    def add(self, video_id: str, seconds: float = 60, **fields: Any) -> Job:
        """Submit a job that takes so long."""
        made = Job(video_id, self.clock(), self.clock() + seconds, **fields)
        self.jobs[video_id] = made
        return made

    def count(self, kind: str, since: float = 0) -> int:
        """How many requests of a kind came."""
        return sum(asked == kind and at >= since for at, asked in self.asked)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        is_list = request.url.path.endswith("/videos")
        self.asked.append((self.clock(), "list" if is_list else "retrieve"))
        await asyncio.sleep(self.latency)
        for hook in (self.before_all, self.before_list if is_list else self.before_job):
            if hook and (instead := await hook(request)):
                return instead
        return self._page(request) if is_list else self._job(request.url.path.rpartition("/")[2])

    def _page(self, request: httpx.Request) -> httpx.Response:
        listed = [one for one in reversed(self.jobs.values()) if one.listed]
        ids = [one.id for one in listed]
        after = request.url.params.get("after")
        start = ids.index(after) + 1 if after in ids else 0
        page = listed[start : start + self.page_length]
        data = [one.as_seen(self.clock() if one.frozen_at is None else one.frozen_at) for one in page]
        return answer(page_of(data, has_more=start + len(page) < len(ids)))

    def _job(self, video_id: str) -> httpx.Response:
        if video_id not in self.jobs:
            return answer({"error": {"message": "no such video"}}, 404)
        return answer(self.jobs[video_id].as_seen(self.clock()))


class Recorder:
    """Keeps what a poller tells."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.sent: list[str] = []
        self.delays: list[float] = []
        self.errors: list[SoraError] = []

    def waiting(self, count: int) -> None:
        self.counts.append(count)

    def requested(self, kind: str) -> None:
        self.sent.append(kind)

    def detected(self, delay_seconds: float) -> None:
        self.delays.append(delay_seconds)

    def failed(self, error: SoraError) -> None:
        self.errors.append(error)


class Client(AsyncSoraClient):
    """Knows whether it was closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True
        await super().close()


class World:
    """A server and a poller; when it ends, nothing may be left of the poller."""

    def __init__(self, seed: int = 1, observer: Any = None, **config: Any) -> None:
        self.clock = asyncio.get_running_loop().time
        self.server = JobServer(self.clock)
        self.observer = observer or Recorder()
        self.wall_clock = self.clock
        self.read_connection = self.open_client
        self.on_end: Callable[[], None] = lambda: None
        self.config = SoraConfig("http://server", **{"api_key": "key-1", **config})
        self.clients: list[Client] = []
        self.ends = 0
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.poller = Poller(
            lambda: self.read_connection(),
            self.observer,
            self._ended,
            wall_clock=lambda: self.wall_clock(),
            jitter=lambda: self.random.random(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        if error[0] is None:
            await self.check_that_nothing_is_left()

    async def open_client(self) -> AsyncSoraClient:
        """Read the connection."""
        await asyncio.sleep(0.1)
        transport = httpx.MockTransport(self.server.handle)
        self.clients.append(Client(self.config, transport=transport, clock=self.clock, monotonic=self.clock))
        return self.clients[-1]

    def _ended(self) -> None:
        self.ends += 1
        self.on_end()

    def start(
        self, video_id: str, timeout: float = 3600, interval: float = 10, on_change: Any = lambda _: None
    ) -> asyncio.Task[Video]:
        """Begin to wait."""
        made = self.server.jobs.get(video_id)
        wait = Wait(video_id, self.clock() + timeout, interval, made.created_at if made else None)
        return asyncio.get_running_loop().create_task(self.poller.wait(wait, on_change))

    def start_many(self, count: int, seconds: Callable[[int], float], **fields: Any) -> list[asyncio.Task[Video]]:
        """Submit so many jobs and begin to wait for each."""
        for i in range(count):
            self.server.add(f"video_{i}", seconds(i), **fields)
        return [self.start(f"video_{i}") for i in range(count)]

    async def check_that_nothing_is_left(self) -> None:
        """The poller has ended, with all its tasks and clients."""
        await asyncio.sleep(10)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert all(client.closed for client in self.clients)
        assert self.observer.counts[-1] == 0


def page_of(data: list[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """A page of the list."""
    return {"object": "list", "data": data, "has_more": has_more, "last_id": data[-1]["id"] if data else None}


def always(status: int = 200, payload: Any = None, **headers: str) -> Hook:
    """A server that answers the same to everything."""

    async def hook(_: httpx.Request) -> httpx.Response:
        return answer(payload if payload is not None else {"error": "no"}, status, **headers)

    return hook


async def outcomes(tasks: list[asyncio.Task[Video]]) -> list[str]:
    """How each wait ended: its status, or the error's class."""
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [one.status.value if isinstance(one, Video) else type(one).__name__ for one in ended]
