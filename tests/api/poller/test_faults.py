"""What stands in for a server's answer, and clocks that are set: the poller goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import httpx
import pytest

from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.exceptions import SoraVideoGoneError, SoraWaitError, SoraWaitTimeoutError
from tests.api.conftest import answer, job, litellm_id
from tests.api.job_world import Hook, World, always, outcomes, page_of
from tests.api.virtual_time import in_virtual_time


def page(status: int, text: str) -> Hook:
    """A gateway's own answer."""

    async def hook(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text=text)

    return hook


def times(count: int, hook: Hook) -> Hook:
    """Only so often."""
    left = count

    async def limited(request: httpx.Request) -> httpx.Response | None:
        nonlocal left
        left -= 1
        return await hook(request) if left >= 0 else None

    return limited


@in_virtual_time
async def test_an_answer_that_comes_after_a_wait_was_cancelled_is_for_the_others() -> None:
    async with World() as world:
        world.server.add("video_1", 60)
        waits = [world.start("video_1") for _ in range(2)]

        async def cancels(_: httpx.Request) -> None:
            waits[0].cancel()

        world.server.before_job = cancels
        assert (await waits[1]).status.value == "completed"
        assert waits[0].cancelled()


@pytest.mark.parametrize(
    "hook",
    [
        page(404, "default backend - 404"),
        page(404, "<html><center>nginx</center></html>"),
        *(page(code, "") for code in (301, 304, 400, 405, 413, 418, 421, 422, 431, 451, 501)),
        page(200, '{"id": "vid'),
        always(502, job("failed", "video_2", error={"code": 400})),
    ],
)
@in_virtual_time
async def test_nine_answers_that_say_nothing_of_the_job_end_no_wait(hook: Hook) -> None:
    async with World() as world:
        world.server.add("video_1", 1000)
        world.server.before_job = times(9, hook)
        video = await world.start("video_1")
        assert (video.id, video.status.value) == ("video_1", "completed")


@in_virtual_time
async def test_connection_errors_do_not_make_the_first_404_the_last() -> None:
    async with World() as world:
        world.server.add("video_1", 1000)
        asked = 0

        async def hook(_: httpx.Request) -> httpx.Response | None:
            nonlocal asked
            asked += 1
            if asked < 9:
                raise httpx.ConnectError("refused")
            return answer({"detail": "Video not found"}, 404) if asked < 11 else None

        world.server.before_job = hook
        assert (await world.start("video_1")).status.value == "completed"
        assert world.server.count("list") == 0


@in_virtual_time
async def test_too_many_requests_are_no_failure_of_a_job() -> None:
    async with World() as world:
        world.server.add("video_1", 1000)
        world.server.before_job = times(40, always(429))
        assert (await world.start("video_1", timeout=100_000)).status.value == "completed"


@in_virtual_time
async def test_jobs_that_a_restart_has_lost_are_gone_and_the_list_is_read_once_for_all_of_them() -> None:
    async with World() as world:
        world.server.before_list = always(500)  # so that jobs are asked for one by one
        tasks = world.start_many(30, lambda _: 1000)
        await asyncio.sleep(30)
        world.server.jobs.clear()
        world.server.before_list = None
        begun = world.clock()
        assert set(await outcomes(tasks)) == {"SoraVideoGoneError"}
        assert 1 <= world.server.count("list", begun) <= 10
        error = tasks[0].exception()
        assert isinstance(error, SoraVideoGoneError)
        assert error.retryable
        assert "left running" not in str(error).replace("nothing is left running", "")


@in_virtual_time
async def test_a_job_that_answers_404_and_is_on_the_list_is_waited_for() -> None:
    async with World() as world:
        world.server.add("video_1", 100)
        world.server.before_job = always(404, {"error": {"message": "Video not found"}})
        assert (await world.start("video_1")).status.value == "completed"
        assert world.server.count("list") >= 1


@pytest.mark.parametrize("status", [500, 503, 429, 401])
@in_virtual_time
async def test_while_the_list_cannot_be_read_no_job_is_gone(status: int) -> None:
    async with World() as world:
        world.server.before_all = None
        world.server.before_list = always(status)
        with pytest.raises(SoraWaitError, match=r"10 consecutive status checks failed.*HTTP 404") as caught:
            await world.start("video_1", timeout=100_000)
        assert caught.value.retryable


@in_virtual_time
async def test_a_server_without_a_list_is_believed() -> None:
    async with World() as world:
        world.server.before_list = always(405, {"detail": "Method Not Allowed"})
        with pytest.raises(SoraVideoGoneError):
            await world.start("video_1")


@in_virtual_time
async def test_a_wait_that_leaves_while_the_list_is_asked_leaves_nothing_behind() -> None:
    async with World() as world:
        world.server.before_list = page(200, "")
        world.server.latency = 5
        tasks = [world.start("video_1") for _ in range(2)]
        while not world.server.count("list"):
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        assert await outcomes(tasks) == ["CancelledError"] * 2


@in_virtual_time
async def test_the_list_of_litellm_shows_jobs_under_ids_of_its_own() -> None:
    async with World() as world:
        ids = [litellm_id(f"job-{number}", "alias") for number in range(60)]
        for video_id in ids:
            world.server.add(video_id, 300)
        normal = world.server._page

        def as_upstream(request: httpx.Request) -> httpx.Response:
            data = normal(request).json()["data"]
            return answer(page_of([one | {"id": f"job-{ids.index(one['id'])}"} for one in data]))

        world.server._page = as_upstream  # type: ignore[method-assign]
        videos = await asyncio.gather(*[world.start(video_id) for video_id in ids])
        assert [video.id for video in videos] == ids
        assert world.server.count("list") > 10
        assert world.server.count("retrieve") < 60


@pytest.mark.parametrize("hours", [-26, -1, 1, 26])
@in_virtual_time
async def test_a_wall_clock_that_is_set_neither_stops_nor_ends_a_wait(hours: int) -> None:
    async with World() as world:
        skew = 1_764_000_000.0
        world.wall_clock = lambda: world.clock() + skew
        world.server.add("video_1", 2000)
        world.server.add("video_2", 9000)
        waits = [Wait(name, world.clock() + skew + 4000, 10, world.clock() + skew) for name in ("video_1", "video_2")]
        tasks = [asyncio.ensure_future(world.poller.wait(wait, lambda _: None)) for wait in waits]
        begun = world.clock()
        await asyncio.sleep(60)
        skew += hours * 3600
        assert (await tasks[0]).status.value == "completed"
        assert 1990 < world.clock() - begun < 2050
        with pytest.raises(SoraWaitTimeoutError):
            await tasks[1]
        assert world.clock() - begun == pytest.approx(4000, abs=2)


@pytest.mark.parametrize("hours", [-1, 1])
@in_virtual_time
async def test_a_wall_clock_that_is_set_does_not_touch_a_clients_wait(hours: int) -> None:
    async with World() as world:
        skew = 1_764_000_000.0
        wall: Callable[[], float] = lambda: world.clock() + skew  # noqa: E731
        transport = httpx.MockTransport(world.server.handle)
        world.server.add("video_1", 9000)
        begun = world.clock()
        async with AsyncSoraClient(world.config, transport=transport, clock=wall, monotonic=world.clock) as client:
            waiting = asyncio.ensure_future(client.wait(Wait("video_1", wall() + 4000, 10, wall())))
            await asyncio.sleep(60)
            skew += hours * 3600
            with pytest.raises(SoraWaitTimeoutError):
                await waiting
        assert world.clock() - begun == pytest.approx(4000, abs=2)
        world.observer.waiting(0)


@in_virtual_time
async def test_what_was_queued_when_all_left_is_not_asked_for_when_they_come_back() -> None:
    async with World() as world:
        world.server.before_list = always(404)
        for number in range(40):
            world.server.add(f"video_{number}", 1000).created_at -= 500
        tasks = [world.start(f"video_{number}", timeout=5000) for number in range(40)]
        await asyncio.sleep(30)
        world.server.latency = 20
        while world.server.count("retrieve") < 50:
            await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(1)
        world.server.latency = 0.05
        begun = world.clock()
        for number in (0, 39):
            assert (await world.start(f"video_{number}", timeout=5000)).status.value == "completed"
        assert world.server.count("retrieve", begun) < 200


@in_virtual_time
async def test_one_job_is_never_asked_for_twice_at_once_nor_within_a_second() -> None:
    async with World() as world:
        world.server.before_list = always(404)
        world.server.add("video_1", 300)
        world.server.latency = 3
        tasks = [world.start("video_1", interval=1 + number / 7) for number in range(8)]
        assert set(await outcomes(tasks)) == {"completed"}
        asked = [at for at, kind in world.server.asked if kind == "retrieve"]
        assert all(after - before >= 3.99 for before, after in pairwise(asked))
