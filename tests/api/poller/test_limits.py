from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import httpx
import pytest

from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.exceptions import SoraRateLimitError, SoraWaitTimeoutError
from tests.api.conftest import answer
from tests.api.job_world import World, always, outcomes
from tests.api.virtual_time import in_virtual_time


def refusing_old_key(world: World) -> list[tuple[float, str, bool]]:
    """The server takes a new key only; when it was asked for what, and whether it answered."""
    asked: list[tuple[float, str, bool]] = []

    async def check(request: httpx.Request) -> httpx.Response | None:
        good = request.headers["authorization"] == "Bearer key-2"
        asked.append((world.clock(), request.url.path, good))
        return None if good else answer({"error": "bad key"}, 401)

    world.server.before_all = check
    return asked


@pytest.mark.parametrize("waits", [1, 5, 300])
@in_virtual_time
async def test_a_changed_key_is_used_at_once_and_no_look_has_failed(waits: int) -> None:
    async with World() as world:
        world.server.before_list = None if waits == 300 else always(404)
        tasks = world.start_many(waits, lambda _: 60)
        await asyncio.sleep(20)
        world.server.latency = 1.5  # so that several are refused together
        asked = refusing_old_key(world)
        world.config = replace(world.config, api_key="key-2")
        assert set(await outcomes(tasks)) == {"completed"}
        assert len(world.clients) == 2
        refused = [(at, path) for at, path, good in asked if not good]
        assert min(2, waits) - (waits == 300) <= len(refused) <= 16
        for at, path in refused:
            assert any(again == path and at < later < at + 3.5 for later, again, good in asked if good)


@in_virtual_time
async def test_a_key_that_is_refused_for_good_ends_each_wait_after_ten_checks() -> None:
    async with World() as world:
        world.server.before_all = always(401)
        tasks = world.start_many(3, lambda _: 60)
        assert await outcomes(tasks) == ["SoraWaitError"] * 3
        assert world.server.count("retrieve") == 30
        assert "10 consecutive status checks failed" in str(tasks[0].exception())


@in_virtual_time
async def test_the_connection_is_not_read_for_each_of_many_refusals() -> None:
    async with World() as world:
        world.server.before_all = always(401)
        begun = world.clock()
        assert set(await outcomes(world.start_many(200, lambda _: 60))) == {"SoraWaitError"}
        assert len(world.clients) < 3 + (world.clock() - begun) / 5


@in_virtual_time
async def test_a_connection_that_cannot_be_read_again_leaves_the_old_one() -> None:
    async with World() as world:
        world.server.add("video_1", 60)
        reads = 0

        async def once() -> AsyncSoraClient:
            nonlocal reads
            reads += 1
            if reads > 1:
                raise OSError("no database")
            return await world.open_client()

        world.read_connection = once
        refused = [answer({"error": "bad key"}, 401)] * 2

        async def twice(_: httpx.Request) -> httpx.Response | None:
            return refused.pop() if refused else None

        world.server.before_all = twice
        assert (await world.start("video_1")).status.value == "completed"
        assert reads == 3


@in_virtual_time
async def test_keys_that_change_all_the_time_leave_no_clients_behind() -> None:
    async with World() as world:
        world.server.add("video_1", 600)

        async def newest(request: httpx.Request) -> httpx.Response | None:
            expected = f"key-{int(world.clock()) // 60}"
            world.config = replace(world.config, api_key=expected)
            return None if request.headers["authorization"] == f"Bearer {expected}" else answer({}, 401)

        world.server.before_all = newest
        assert (await world.start("video_1")).status.value == "completed"
        assert len(world.clients) > 8
        assert sum(not client.closed for client in world.clients) <= 3


@in_virtual_time
async def test_a_new_connection_brings_its_own_limit_and_a_list_to_be_tried() -> None:
    async with World() as world:
        world.server.before_list = always(404)
        tasks = world.start_many(100, lambda _: 120)
        await asyncio.sleep(20)
        refusing_old_key(world)
        world.server.before_list = None
        world.config = replace(world.config, api_key="key-2", requests_per_minute=60)
        begun = world.clock() + 10
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list", begun) > 5
        assert len([at for at, _ in world.server.asked if at > begun]) <= world.clock() - begun + 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {}), (429, {"retry_after": "30"}), (429, {"retry_after": "0"}), (503, {"retry_after": "20"})],
)
@pytest.mark.parametrize("lists", [True, False])
@in_virtual_time
async def test_a_storm_of_refusals_fails_no_wait_and_costs_few_requests(
    status: int, headers: dict[str, str], lists: bool
) -> None:
    async with World() as world:
        world.server.before_list = None if lists else always(404)
        tasks = world.start_many(300, lambda _: 60)
        await asyncio.sleep(20)
        lasts = 60 if headers.get("retry_after") == "0" else 600
        begun, over = world.clock(), world.clock() + lasts
        world.server.before_all = always(status, **headers)
        await asyncio.sleep(lasts)
        during = [at for at, _ in world.server.asked if begun <= at < over]
        assert 2 <= len(during) <= (20 * 30 if lasts == 600 else 20 * 60)
        assert not any(task.done() for task in tasks)
        world.server.before_all = None
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.clock() - over < 400
        assert SoraRateLimitError in {type(error) for error in world.observer.errors} or status == 503


@in_virtual_time
async def test_a_refusal_blocks_all_waits_as_long_as_the_server_asked_for() -> None:
    async with World() as world:
        tasks = world.start_many(300, lambda _: 100)
        await asyncio.sleep(30)
        world.server.before_all = always(429, retry_after="40")
        while not world.observer.errors:
            await asyncio.sleep(0.01)
        world.server.before_all = None
        begun = world.clock()
        await asyncio.sleep(39.8)
        assert [at for at, _ in world.server.asked if at > begun] == []
        assert set(await outcomes(tasks)) == {"completed"}


@in_virtual_time
async def test_a_list_that_alone_is_refused_for_coming_too_soon_does_not_keep_jobs_from_being_asked_for() -> None:
    async with World() as world:
        world.server.before_list = always(429, retry_after="20")
        begun = world.clock()
        assert set(await outcomes(world.start_many(100, lambda _: 60))) == {"completed"}
        assert world.clock() - begun < 200


@in_virtual_time
async def test_a_deadline_holds_while_the_server_wants_to_be_left_alone() -> None:
    async with World() as world:
        world.server.add("video_1", 1000)
        world.server.before_all = always(429, retry_after="86400")
        begun = world.clock()
        with pytest.raises(SoraWaitTimeoutError):
            await world.start("video_1", timeout=300)
        assert world.clock() - begun < 301


@pytest.mark.parametrize("lists", [True, False])
@in_virtual_time
async def test_requests_per_minute_are_never_more_than_allowed(lists: bool) -> None:
    async with World(requests_per_minute=20) as world:
        world.server.before_list = None if lists else always(404)
        tasks = world.start_many(250, lambda _: 300)
        assert set(await outcomes(tasks)) == {"completed"}
        times = [at for at, _ in world.server.asked]
        assert min(later - earlier for earlier, later in pairwise(times)) > 2.99
        assert (world.server.count("list") > 20) is lists


@in_virtual_time
async def test_a_limit_of_one_request_a_minute_does_not_look_like_a_slow_list() -> None:
    async with World(requests_per_minute=1) as world:
        tasks = world.start_many(250, lambda _: 100)
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list") >= 3
        assert world.server.count("retrieve") <= 30


@in_virtual_time
async def test_a_deadline_holds_where_the_limit_leaves_no_room() -> None:
    async with World(requests_per_minute=1) as world:
        world.server.before_list = always(404)
        begun = world.clock()
        for i in range(50):
            world.server.add(f"video_{i}", 10_000)
        tasks = [world.start(f"video_{i}", timeout=120) for i in range(50)]
        assert set(await outcomes(tasks)) == {"SoraWaitTimeoutError"}
        assert world.clock() - begun < 151
