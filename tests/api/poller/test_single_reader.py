from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_sora.api.poller.single_reader import POLL_TIMEOUT_SECONDS
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.exceptions import SoraConnectionError, SoraError, SoraNotFoundError, SoraRateLimitError
from tests.api.poller.rig import Rig, video
from tests.api.virtual_time import in_virtual_time


async def read(rig: Rig, *jobs: str) -> None:
    rig.single.read(jobs)
    await asyncio.sleep(1)


def fails(rig: Rig, error: Exception) -> None:
    async def respond(_: Any) -> Video:
        raise error

    rig.client.respond = respond


@in_virtual_time
async def test_a_job_is_polled_once_for_all_who_wait_for_it() -> None:
    rig = Rig()
    due, other = rig.wait(), rig.wait(due=False)
    await read(rig, "video_1")
    assert rig.client.sent == [("retrieve", "video_1", POLL_TIMEOUT_SECONDS)]
    assert [waiter.wait.last_status for waiter in (due, other)] == ["in_progress"] * 2
    assert [waiter.polled_at for waiter in (due, other)] == [rig.now] * 2


@in_virtual_time
async def test_a_job_that_nobody_wants_to_hear_of_is_not_polled() -> None:
    rig = Rig()
    rig.wait(due=False)
    await read(rig, "video_1", "unknown")
    assert rig.client.sent == []


@pytest.mark.parametrize(("ago", "pause"), [(0.0, 1.0), (0.75, 0.25), (0.9995, None), (1.0, None)])
@in_virtual_time
async def test_a_job_is_not_polled_twice_within_a_second(ago: float, pause: float | None) -> None:
    rig = Rig()
    waiter, other = rig.wait(), rig.wait()
    other.polled_at = rig.now - ago
    await read(rig, "video_1")
    assert len(rig.client.sent) == (0 if pause else 1)
    if pause:
        assert not waiter.in_flight
        assert rig.next_poll(waiter) == pause


@in_virtual_time
async def test_the_last_poll_of_one_of_them_is_made_at_once() -> None:
    rig = Rig()
    waiter, last = rig.wait(), rig.wait(deadline=rig.now + 0.5)
    waiter.polled_at = last.polled_at = rig.now
    await read(rig, "video_1")
    assert len(rig.client.sent) == 1


@in_virtual_time
async def test_while_the_server_is_left_alone_polls_are_put_off_together() -> None:
    rig = Rig()
    rig.jitter = 0.5
    rig.client.limit.blocked_until = rig.now + 30
    due, other = rig.wait(), rig.wait(due=False)
    await read(rig, "video_1")
    assert rig.client.sent == []
    assert (rig.next_poll(due), rig.next_poll(other)) == (30.5, None)
    assert due.wait.failures == 0


@in_virtual_time
async def test_a_refusal_for_coming_too_soon_is_no_failure_of_the_job() -> None:
    rig = Rig()
    waiter = rig.wait()

    async def respond(_: Any) -> Video:
        rig.client.limit.blocked_until = rig.now + 20
        raise SoraRateLimitError("GET /videos/video_1", 429, "slow down")

    rig.client.respond = respond
    await read(rig, "video_1")
    assert (waiter.wait.failures, waiter.polled_at) == (0, rig.now)
    assert rig.next_poll(waiter) == 20.0


@pytest.mark.parametrize("error", [SoraConnectionError("x"), RecursionError("too deep")])
@in_virtual_time
async def test_a_failed_check_is_counted_for_those_whose_poll_it_was(error: Exception) -> None:
    rig = Rig()
    due, other = rig.wait(), rig.wait(due=False)
    fails(rig, error)
    await read(rig, "video_1")
    assert (due.wait.failures, other.wait.failures) == (1, 0)
    assert [waiter.polled_at for waiter in (due, other)] == [rig.now] * 2
    assert rig.asked.questions == []


@in_virtual_time
async def test_what_breaks_the_reader_is_named_when_the_wait_is_given_up() -> None:
    rig = Rig()
    waiter = rig.wait()
    fails(rig, RecursionError("too deep"))
    for _ in range(10):
        rig.now += 100
        waiter.in_flight = True
        await read(rig, "video_1")
    assert isinstance(waiter.error, SoraError)
    assert "reading the response broke: RecursionError: too deep" in str(waiter.error)


@in_virtual_time
async def test_a_job_that_is_not_known_three_times_is_a_question_to_the_list() -> None:
    rig = Rig()
    waiter = rig.wait()
    fails(rig, SoraNotFoundError("GET /videos/video_1", 404, "no such video"))
    for _ in range(3):
        assert rig.asked.questions == []
        rig.now += 100
        waiter.in_flight = True
        await read(rig, "video_1")
    (asked,) = rig.asked.questions
    assert asked[0] is waiter


@pytest.mark.parametrize(("status", "is_stale"), [("completed", True), ("failed", True), ("in_progress", False)])
@in_virtual_time
async def test_the_list_is_known_to_be_wrong_where_it_shows_an_ended_job_as_running(
    status: str, is_stale: bool
) -> None:
    rig = Rig()
    rig.wait()

    async def respond(_: Any) -> Video:
        return video("video_1", status)

    rig.client.respond = respond
    await read(rig, "video_1")
    assert rig.strategy.is_stale("video_1", rig.now + 60) is is_stale


@in_virtual_time
async def test_delays_are_measured_by_the_servers_clock() -> None:
    rig = Rig()
    rig.client.clock_offset_seconds = 7.0
    waiter = rig.wait()
    await read(rig, "video_1")

    async def respond(_: Any) -> Video:
        return video("video_1", "completed", completed_at=1000)

    rig.client.respond = respond
    rig.now += 10
    waiter.in_flight = True
    await read(rig, "video_1")
    assert rig.observer.delays == [17.0]


@in_virtual_time
async def test_closing_stops_a_poll_that_hangs() -> None:
    rig = Rig()
    waiter = rig.wait()

    async def respond(_: Any) -> Video:
        await asyncio.Event().wait()
        return video()

    rig.client.respond = respond
    await read(rig, "video_1")
    await rig.single.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not waiter.ended
