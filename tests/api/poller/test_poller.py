from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import Any

import httpx
import pytest

from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.client.asynchronous import LARGE_JSON_BYTES
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.protocol import requests
from airflow_provider_sora.api.protocol.models import Video, parse_json
from airflow_provider_sora.exceptions import (
    SoraBadRequestError,
    SoraConfigError,
    SoraVideoFailedError,
    SoraVideoGoneError,
    SoraWaitError,
    SoraWaitTimeoutError,
)
from tests.api.conftest import answer, job
from tests.api.job_world import Recorder, World, always, outcomes
from tests.api.virtual_time import in_virtual_time


@in_virtual_time
async def test_one_wait_is_looked_at_with_few_requests_and_told_of_each_change() -> None:
    async with World() as world:
        seen: list[Video] = []
        world.server.add("video_1", 60)
        video = await world.start("video_1", on_change=seen.append)
        assert (video.id, video.status.value) == ("video_1", "completed")
        assert [sight.status.value for sight in seen] == ["in_progress", "completed"]
        assert world.server.count("retrieve") <= 10
        assert world.server.count("list") == 0
    assert world.ends == 1
    assert len(world.clients) == 1
    assert world.observer.sent == ["retrieve"] * world.server.count("retrieve")
    assert all(0 <= delay <= 11 for delay in world.observer.delays)
    assert len(world.observer.delays) == 1


@in_virtual_time
async def test_a_job_that_ended_before_anybody_looked_says_nothing_of_the_delay() -> None:
    async with World() as world:
        world.server.add("video_1", 60).created_at -= 3600
        world.server.jobs["video_1"].ends_at -= 3600
        assert (await world.start("video_1")).status.value == "completed"
        assert world.observer.delays == []


@in_virtual_time
async def test_a_server_without_times_is_waited_for_all_the_same() -> None:
    async with World() as world:
        sights = [job("in_progress"), job("completed"), job("completed", completed_at=5)]

        async def without_times(_: httpx.Request) -> httpx.Response:
            return answer(sights.pop(0))

        world.server.before_job = without_times
        assert (await world.start("video_1")).status.value == "completed"
        assert (await world.start("video_1")).status.value == "completed"
        assert world.observer.delays == []


@in_virtual_time
async def test_after_a_few_jobs_the_next_is_not_looked_at_before_it_can_end() -> None:
    async with World() as world:
        world.server.add("other", 100_000)
        keeper = world.start("other", timeout=100_000, interval=1000)
        for number in range(6):
            world.server.add(f"video_{number}", 300, fields={"model": "m"})
            await world.start(f"video_{number}", interval=120)
        world.server.asked.clear()
        world.server.add("last", 300, fields={"model": "m"})
        await world.start("last", interval=120)
        assert world.server.count("retrieve") <= 10
        keeper.cancel()


@in_virtual_time
async def test_a_new_wait_is_served_while_others_run() -> None:
    async with World() as world:
        world.server.add("video_1", 1000)
        first = world.start("video_1", interval=300)
        await asyncio.sleep(500)
        begun = world.clock()
        world.server.add("video_2", 20)
        assert (await world.start("video_2")).id == "video_2"
        assert world.clock() - begun < 32
        assert (await first).id == "video_1"
    assert world.ends == 1
    assert len(world.clients) == 1


@in_virtual_time
async def test_the_same_video_can_be_waited_for_more_than_once_and_is_asked_for_once() -> None:
    async with World() as world:
        world.server.before_list = always(404)
        world.server.add("video_1", 60)
        await world.start("video_1")
        alone = world.server.count("retrieve")
        world.server.add("video_2", 60)
        assert await outcomes([world.start("video_2") for _ in range(8)]) == ["completed"] * 8
        assert world.server.count("retrieve") - alone <= 3 * alone


@in_virtual_time
async def test_the_same_video_can_be_waited_for_more_than_once_where_the_list_does_not_show_it() -> None:
    async with World() as world:
        world.server.add("video_1", 60, listed=False)
        assert await outcomes([world.start("video_1") for _ in range(8)]) == ["completed"] * 8


@in_virtual_time
async def test_a_wait_that_is_cancelled_leaves_the_others_alone() -> None:
    async with World() as world:
        tasks = world.start_many(3, lambda _: 100)
        await asyncio.sleep(30)
        tasks[1].cancel()
        assert await outcomes(tasks) == ["completed", "CancelledError", "completed"]
    assert world.ends == 1


@pytest.mark.parametrize("after", [0, 0.05, 0.12, 3.02, 30])
@in_virtual_time
async def test_when_all_are_cancelled_the_poller_ends_and_closes_its_client(after: float) -> None:
    async with World() as world:
        tasks = world.start_many(40, lambda _: 100)
        await asyncio.sleep(after)
        for task in tasks:
            task.cancel()
        assert await outcomes(tasks) == ["CancelledError"] * 40
        await asyncio.sleep(1)
        asked = len(world.server.asked)
        await asyncio.sleep(100)
        assert len(world.server.asked) == asked
    assert world.ends == 1


@in_virtual_time
async def test_a_wait_that_comes_right_when_the_last_leaves_is_served() -> None:
    async with World() as world:
        for number in range(5):
            world.server.add(f"video_{number}", 10)
            await world.start(f"video_{number}")  # the next one comes before the poller has noticed
    assert world.ends == 1
    assert len(world.clients) == 1


@in_virtual_time
async def test_a_wait_that_comes_while_the_poller_ends_begins_anew() -> None:
    async with World() as world:
        late: list[asyncio.Task[Video]] = []

        def ended() -> None:
            if world.ends == 1:
                late.append(world.start("video_2"))

        world.on_end = ended
        world.server.add("video_1", 10)
        world.server.add("video_2", 30)
        await world.start("video_1")
        await asyncio.sleep(1)
        assert await outcomes(late) == ["completed"]
    assert world.ends == 2
    assert len(world.clients) == 2


@in_virtual_time
async def test_at_its_deadline_a_wait_ends_with_a_last_look() -> None:
    async with World() as world:
        world.server.add("video_1", 100)
        begun = world.clock()
        with pytest.raises(SoraWaitTimeoutError, match="last seen in_progress"):
            await world.start("video_1", timeout=60)
        assert world.clock() - begun == pytest.approx(60, abs=1)
        world.server.add("video_2", 59.5)
        assert (await world.start("video_2", timeout=60)).status.value == "completed"


@in_virtual_time
async def test_a_wait_ends_soon_after_its_deadline_even_where_the_server_says_nothing() -> None:
    async with World() as world:
        world.server.add("video_1", 10)
        world.server.latency = 100_000
        begun = world.clock()
        with pytest.raises(SoraWaitTimeoutError, match="last seen never"):
            await world.start("video_1", timeout=60)
        assert world.clock() - begun < 100


@in_virtual_time
async def test_a_job_that_fails_fails_its_wait_alone() -> None:
    async with World() as world:
        tasks = world.start_many(50, lambda i: 30 + i)
        world.server.jobs["video_7"].outcome = "failed"
        world.server.jobs["video_8"].outcome = "cancelled"
        found = await outcomes(tasks)
        assert [i for i, one in enumerate(found) if one != "completed"] == [7, 8]
        with pytest.raises(SoraVideoFailedError, match="oom"):
            await tasks[7]


@in_virtual_time
async def test_a_job_that_the_server_does_not_know_is_asked_for_three_times() -> None:
    async with World() as world:
        with pytest.raises(SoraVideoGoneError, match="no longer has this job"):
            await world.start("video_1")
        assert (world.server.count("retrieve"), world.server.count("list")) == (3, 1)


@in_virtual_time
async def test_a_request_that_is_refused_for_good_ends_its_wait_after_ten_tries() -> None:
    async with World() as world:
        world.server.before_job = always(400)
        with pytest.raises(SoraWaitError, match=r"10 consecutive status checks failed, the last with: .*HTTP 400"):
            await world.start("video_1")
        assert isinstance(world.observer.errors[0], SoraBadRequestError)


@in_virtual_time
async def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    async with World() as world:
        tasks = world.start_many(20, lambda _: 60)
        up_again = world.clock() + 180

        async def down(_: httpx.Request) -> httpx.Response | None:
            if world.clock() < up_again:
                raise httpx.ConnectError("refused")
            return None

        world.server.before_all = down
        assert await outcomes(tasks) == ["completed"] * 20


@in_virtual_time
async def test_a_connection_that_cannot_be_read_is_everybodys_error_and_the_next_wait_begins_anew() -> None:
    async with World() as world:
        reads = 0

        async def broken() -> AsyncSoraClient:
            nonlocal reads
            reads += 1
            await asyncio.sleep(1)
            if reads == 1:
                raise SoraConfigError("no host")
            return await world.open_client()

        world.read_connection = broken
        tasks = world.start_many(30, lambda _: 10)
        assert await outcomes(tasks) == ["SoraConfigError"] * 30
        frames = 0
        traceback = tasks[29].exception().__traceback__  # type: ignore[union-attr]
        while traceback:
            frames, traceback = frames + 1, traceback.tb_next
        assert frames < 10  # and not one for each that waits
        assert world.ends == 1
        assert (await world.start("video_1")).status.value == "completed"
    assert world.ends == 2


@in_virtual_time
async def test_an_answer_that_cannot_be_read_is_a_failed_look() -> None:
    async with World() as world:
        world.server.add("video_1", 30)
        answers = [httpx.Response(200, text="<html>"), answer([1]), answer({"id": "video_1"}), answer(None)]

        async def odd(_: httpx.Request) -> httpx.Response | None:
            return answers.pop() if answers else None

        world.server.before_job = odd
        assert (await world.start("video_1")).status.value == "completed"


@in_virtual_time
async def test_one_job_that_breaks_the_reader_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    read = requests.RetrieveVideo.parse

    def breaks(self: requests.RetrieveVideo, body: bytes) -> Video:
        if self.video_id == "video_0":
            raise RecursionError("too deep")
        return read(self, body)

    monkeypatch.setattr(requests.RetrieveVideo, "parse", breaks)
    async with World() as world:
        world.server.before_list = always(404)
        tasks = world.start_many(4, lambda _: 30)
        assert await outcomes(tasks) == ["SoraWaitError", *["completed"] * 3]
        assert "10 consecutive status checks failed, the last with: reading the response broke: RecursionError" in str(
            tasks[0].exception()
        )


@in_virtual_time
async def test_an_observer_that_breaks_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError(name)

        waiting = requested = detected = failed = lambda self, _: getattr(self, "nothing")  # noqa: B009

    async with World(observer=Broken()) as world:
        world.server.before_list = always(500)
        with caplog.at_level(logging.ERROR):
            assert await outcomes(world.start_many(5, lambda _: 30)) == ["completed"] * 5
        assert "The observer of a poller broke" in caplog.text
        world.observer = Recorder()
        world.observer.waiting(0)


@in_virtual_time
async def test_changes_are_told_by_the_task_that_waits_and_not_in_the_pollers_context() -> None:
    async with World() as world:
        whose = contextvars.ContextVar("whose", default="nobody's")
        told: list[tuple[str, str, asyncio.Task[Any] | None]] = []
        seen_by_server: set[str] = set()

        async def look(_: httpx.Request) -> None:
            seen_by_server.add(whose.get())

        async def wait(name: str) -> Video:
            whose.set(name)
            return await world.start(
                name, on_change=lambda video: told.append((video.id, whose.get(), asyncio.current_task()))
            )

        world.server.before_all = look
        for name in ("video_1", "video_2"):
            world.server.add(name, 30)
        await asyncio.gather(wait("video_1"), wait("video_2"))
        assert {(video, who) for video, who, _ in told} == {("video_1", "video_1"), ("video_2", "video_2")}
        assert len({task for *_, task in told}) == 2
        assert seen_by_server == {"nobody's"}


@in_virtual_time
async def test_an_error_in_telling_is_the_one_waits_own() -> None:
    async with World() as world:
        for name in ("video_1", "video_2"):
            world.server.add(name, 30)
        tasks = [world.start("video_1", on_change=lambda video: {}[video.id]), world.start("video_2")]
        assert await outcomes(tasks) == ["KeyError", "completed"]


@in_virtual_time
async def test_a_large_list_is_read_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[bool, set[threading.Thread]] = {True: set(), False: set()}

    def spying(body: bytes) -> Any:
        threads[len(body) > LARGE_JSON_BYTES].add(threading.current_thread())
        return parse_json(body)

    monkeypatch.setattr("airflow_provider_sora.api.protocol.models.parse_json", spying)
    async with World() as world:
        tasks = world.start_many(100, lambda _: 60, fields={"prompt": "a cat " * 1000})
        assert set(await outcomes(tasks)) == {"completed"}
    assert threads[True]
    assert threading.main_thread() not in threads[True]
    assert threads[False] == {threading.main_thread()}


@in_virtual_time
async def test_a_wait_ends_once() -> None:
    waiting = Waiter(Wait("video_1", 0, 1))
    first, second = (Video.model_validate(job("completed", name)) for name in ("video_1", "video_2"))
    waiting.end(first)
    waiting.end(second)
    assert waiting.take_change(lambda _: None)
    assert waiting.result() is first
