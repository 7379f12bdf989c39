from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_sora.api.decisions.intervals import Durations
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.poller.list_reader import PAGE_TIMEOUT_SECONDS
from airflow_provider_sora.api.poller.session import LINGER_SECONDS, Session
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.protocol.requests import ListVideos, Request, RetrieveVideo
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraConfigError, SoraNotFoundError, SoraWaitTimeoutError
from tests.api.job_world import Recorder
from tests.api.poller.rig import page, video
from tests.api.virtual_time import in_virtual_time


class Server:
    """A client and its server: which jobs it knows, and when it was asked for what."""

    def __init__(self) -> None:
        self.clock = asyncio.get_running_loop().time
        self.begun = self.clock()
        self.config = SoraConfig("http://server")
        self.clock_offset_seconds = 0.0
        self.asked: list[tuple[float, str]] = []
        self.known = True
        self.hangs = False
        self.opened = self.closed = 0
        self.error: Exception | None = None

    async def open(self) -> Any:
        self.opened += 1
        if self.error is not None:
            raise self.error
        return self

    async def close(self) -> None:
        self.closed += 1

    async def exchange(self, request: Request[Any]) -> tuple[Any, Response]:
        is_list = isinstance(request, ListVideos)
        self.asked.append((round(self.clock() - self.begun, 3), "list" if is_list else "retrieve"))
        if self.hangs:
            await asyncio.Event().wait()
        response = Response(self.clock())
        if is_list:
            return page(*(video(f"video_{number}") for number in range(9)) if self.known else ()), response
        assert isinstance(request, RetrieveVideo)
        if not self.known:
            raise SoraNotFoundError(str(request), 404, "no such video")
        return video(request.video_id), response


class World:
    """A session that runs."""

    def __init__(self, server: Server) -> None:
        self.observer = Recorder()
        self.session = Session(server.open, self.observer, Durations(), server.clock, lambda: 0.0)
        self.task: asyncio.Task[None] | None = None
        self.server = server

    def add(self, number: int = 0, *, interval: float = 10.0, timeout: float = 3600.0) -> Waiter:
        waiter = Waiter(Wait(f"video_{number}", self.server.clock() + timeout, interval))
        self.session.add(waiter)
        if self.task is None:
            self.task = asyncio.create_task(self.session.run())
        return waiter

    async def end(self, *waiters: Waiter) -> None:
        """Remove these, the last ones, and let the session end."""
        for waiter in waiters:
            self.session.remove(waiter)
        assert self.task is not None
        await self.task
        await self.session.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert self.observer.counts[-1] == 0
        assert self.server.closed == self.server.opened


@pytest.mark.parametrize(
    ("gap", "second"), [(0.9, [(5.0, "list"), (5.0, "retrieve")]), (1.1, [(5.0, "retrieve"), (6.1, "retrieve")])]
)
@in_virtual_time
async def test_polls_that_are_due_within_a_second_are_made_together(
    gap: float, second: list[tuple[float, str]]
) -> None:
    world = World(Server())
    first = world.add(0)
    await asyncio.sleep(gap)
    other = world.add(1)
    await asyncio.sleep(7 - gap)
    assert world.server.asked == [(0.0, "retrieve"), (gap, "retrieve"), *second]
    await world.end(first, other)


@in_virtual_time
async def test_a_session_that_sleeps_is_woken_for_a_new_wait() -> None:
    world = World(Server())
    first = world.add(0)
    await asyncio.sleep(3)
    other = world.add(1)
    await asyncio.sleep(1)
    assert world.server.asked == [(0.0, "retrieve"), (3.0, "retrieve")]
    assert max(world.observer.counts) == 2
    await world.end(first, other)


@in_virtual_time
async def test_a_wait_that_left_is_not_polled() -> None:
    world = World(Server())
    stays, leaves = world.add(0), world.add(1)
    await asyncio.sleep(1)
    world.session.remove(leaves)
    world.server.asked.clear()
    await asyncio.sleep(60)
    assert world.server.asked
    assert {kind for _, kind in world.server.asked} == {"retrieve"}  # one alone is not worth a page
    await world.end(stays)


@in_virtual_time
async def test_the_connections_stay_open_for_a_moment_after_the_last_wait() -> None:
    world = World(Server())
    for number in range(3):
        waiter = world.add(number)
        await asyncio.sleep(0.5)
        world.session.remove(waiter)
        await asyncio.sleep(LINGER_SECONDS / 2)
    last = world.add(5)
    await asyncio.sleep(0.5)
    begun = world.server.clock()
    await world.end(last)
    assert world.server.clock() - begun == pytest.approx(LINGER_SECONDS)
    assert LINGER_SECONDS == 1.0
    assert world.server.opened == 1


@in_virtual_time
async def test_a_connection_that_cannot_be_opened_ends_all_waits() -> None:
    server = Server()
    server.error = SoraConfigError("no host")
    world = World(server)
    waiters = [world.add(number) for number in range(3)]
    await asyncio.sleep(1)
    assert [waiter.error for waiter in waiters] == [server.error] * 3
    server.opened = 0
    await world.end(*waiters)


@in_virtual_time
async def test_a_wait_is_ended_whatever_its_poll_hangs_on_and_closing_stops_that() -> None:
    world = World(Server())
    world.server.hangs = True
    waiter = world.add(0)
    await asyncio.sleep(1)
    world.session.time_out(waiter)
    assert isinstance(waiter.error, SoraWaitTimeoutError)
    await world.end(waiter)


@in_virtual_time
async def test_the_list_is_asked_once_for_all_jobs_that_seem_gone() -> None:
    world = World(Server())
    world.server.known = False
    waiters = [world.add(number, interval=1.0) for number in range(2)]
    for waiter in waiters:
        waiter.unlisted_until = 9e9
    while not all(waiter.ended for waiter in waiters):
        await asyncio.sleep(0.1)
    assert [type(waiter.error).__name__ for waiter in waiters] == ["SoraVideoGoneError"] * 2
    assert [kind for _, kind in world.server.asked].count("list") == 1
    await world.end(*waiters)


@in_virtual_time
async def test_a_wait_that_left_is_not_asked_for_on_the_list() -> None:
    world = World(Server())
    world.server.known = False
    waiters = [world.add(number, interval=1.0) for number in range(2)]
    for waiter in waiters:
        waiter.unlisted_until = 9e9
    while [kind for _, kind in world.server.asked].count("retrieve") < 5:
        await asyncio.sleep(0.01)
    world.server.hangs = True  # the list, which is asked next
    await asyncio.sleep(PAGE_TIMEOUT_SECONDS / 2)
    begun = world.server.clock()
    await world.end(*waiters)
    assert world.server.clock() - begun < 2
