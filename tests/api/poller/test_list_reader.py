from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_sora.api.http.pages import PAGE_LENGTH
from airflow_provider_sora.api.poller.list_reader import PAGE_TIMEOUT_SECONDS
from airflow_provider_sora.api.poller.list_strategy import FORGET_SECONDS, MAX_THROTTLES, STALE_SECONDS
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.protocol.models import Video, VideoPage
from airflow_provider_sora.exceptions import (
    SoraConnectionError,
    SoraRateLimitError,
    SoraResponseError,
    SoraServerError,
    SoraUnsupportedError,
)
from tests.api.conftest import litellm_id
from tests.api.poller.rig import Rig, page, video
from tests.api.virtual_time import in_virtual_time

THROTTLED = SoraRateLimitError("GET /videos", 429, "slow down")


def lists(rig: Rig, *pages: VideoPage | Exception) -> None:
    """The server's list has these pages; an exception is raised in place of one."""
    left = list(pages)

    async def respond(_: Any) -> VideoPage:
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    rig.client.respond = respond


def many(count: int, status: str = "in_progress", start: int = 0) -> list[Video]:
    return [video(f"video_{number}", status) for number in range(start, start + count)]


def in_flight(waiters: list[Waiter]) -> list[str]:
    return [waiter.job for waiter in waiters if waiter.in_flight]


@in_virtual_time
async def test_one_request_polls_all_that_a_page_shows() -> None:
    rig = Rig()
    waiters = rig.wait_many(3)
    lists(rig, page(*many(3)))
    await rig.list.read(waiters)
    assert rig.client.sent == [("list", "", 20.0)]
    assert [waiter.wait.last_status for waiter in waiters] == ["in_progress"] * 3
    assert in_flight(waiters) == ["video_0"]  # to check the list
    assert [waiter.depth for waiter in waiters] == [0, 1, 2]


@in_virtual_time
async def test_one_job_alone_is_not_read_on_the_list_nor_is_any_while_the_server_is_left_alone() -> None:
    rig = Rig()
    (waiter,) = rig.wait_many(1)
    await rig.list.read([waiter])
    rig.client.limit.blocked_until = rig.now + 1
    await rig.list.read(rig.wait_many(5))
    assert rig.client.sent == []


@in_virtual_time
async def test_pages_are_read_until_all_that_is_due_was_met() -> None:
    rig = Rig()
    due = [rig.wait(f"video_{number}") for number in (0, 1, 2, 99, 150)]
    rest = [rig.wait(f"video_{number}", due=False) for number in (40, 170)]
    lists(rig, page(*many(100), has_more=True), page(*many(100, start=100), has_more=True), AssertionError())
    await rig.list.read(due)
    assert [after for _, after, _ in rig.client.sent] == ["", "video_99"]
    assert [waiter.depth for waiter in (*due, *rest)] == [0, 1, 2, 99, 150, 40, 170]
    assert all(waiter.wait.last_status == "in_progress" for waiter in (*due, *rest))  # those not due as well


@in_virtual_time
async def test_a_job_that_nobody_waits_for_any_more_is_not_looked_for() -> None:
    rig = Rig()
    waiters = rig.wait_many(4)

    async def respond(_: Any) -> VideoPage:
        rig.waiters.remove(waiters[3])
        return page(*many(3), has_more=True)

    rig.client.respond = respond
    await rig.list.read(waiters)
    assert len(rig.client.sent) == 1


@in_virtual_time
async def test_a_job_is_found_by_another_of_its_ids() -> None:
    rig = Rig()
    waiters = [rig.wait(litellm_id("up", "alias")), rig.wait("video_1")]
    lists(rig, page(video(litellm_id("up", "model"), "completed"), video("video_1", "completed")))
    await rig.list.read(waiters)
    assert [waiter.result().id for waiter in waiters] == [waiter.wait.video_id for waiter in waiters]


@in_virtual_time
async def test_what_the_list_does_not_show_is_asked_for_by_itself_and_not_sought_there_for_ten_minutes() -> None:
    rig = Rig()
    waiters = rig.wait_many(4)
    lists(rig, page(*many(3)), page(*many(3)), page(*many(4)))
    await rig.list.read(waiters)
    assert waiters[3].in_flight
    assert [waiter.unlisted_until - rig.now for waiter in waiters] == [-rig.now] * 3 + [FORGET_SECONDS]
    rig.now += FORGET_SECONDS - 1
    await rig.list.read([waiters[3], waiters[0]])
    assert len(rig.client.sent) == 1  # one job alone is left to be read there
    rig.now += 1
    await rig.list.read([waiters[3], waiters[0]])
    assert len(rig.client.sent) == 2


@in_virtual_time
async def test_a_job_that_the_list_shows_again_is_sought_there_again() -> None:
    rig = Rig()
    waiters = rig.wait_many(3)
    waiters[2].unlisted_until = rig.now + 500
    lists(rig, page(*many(3)))
    await rig.list.read(waiters[:2])
    assert waiters[2].unlisted_until == 0.0


@in_virtual_time
async def test_a_list_that_shows_few_of_the_jobs_is_avoided() -> None:
    rig = Rig()
    waiters = rig.wait_many(5)
    lists(rig, page(*many(2)))
    await rig.list.read(waiters)
    await rig.list.read(waiters)
    assert len(rig.client.sent) == 1


BROKEN = SoraServerError("GET /videos", 500, "boom")
REFUSED = SoraUnsupportedError("GET /videos", 405, "no such call")


@pytest.mark.parametrize("error", [BROKEN, SoraConnectionError("x"), SoraResponseError("x")])
@in_virtual_time
async def test_a_page_that_fails_in_passing_is_requested_again_and_nothing_is_concluded(error: Exception) -> None:
    rig = Rig()
    waiters = rig.wait_many(3)
    lists(rig, error, error, page(*many(3)), page(*many(3)))
    begun = asyncio.get_running_loop().time()
    await rig.list.read(waiters)
    assert asyncio.get_running_loop().time() - begun == 0.75  # a quarter of a second, and a half
    assert len(rig.client.sent) == 3
    assert all(waiter.wait.last_status == "in_progress" for waiter in waiters)
    await rig.list.read(waiters)
    assert len(rig.client.sent) == 4


@pytest.mark.parametrize(
    ("errors", "pause"),
    [([BROKEN] * 3, 5), ([SoraResponseError("x")] * 3, 5), ([SoraConnectionError("x")] * 3, 600), ([REFUSED], 600)],
)
@in_virtual_time
async def test_a_list_that_fails_leaves_all_to_be_asked_for_and_is_tried_again_later(
    errors: list[Exception], pause: float
) -> None:
    rig = Rig()
    waiters = rig.wait_many(3)
    lists(rig, *errors, page(*many(3)))
    await rig.list.read(waiters)
    assert len(in_flight(waiters)) == 3
    rig.now += pause - 1
    await rig.list.read(waiters)
    assert len(rig.client.sent) == len(errors)
    rig.now += 1
    await rig.list.read(waiters)
    assert len(rig.client.sent) == len(errors) + 1


@in_virtual_time
async def test_a_page_that_takes_too_long_is_not_requested_again() -> None:
    rig = Rig()
    waiters = rig.wait_many(3)

    async def respond(_: Any) -> VideoPage:
        rig.now += PAGE_TIMEOUT_SECONDS
        raise SoraConnectionError("no answer within 20 s")

    rig.client.respond = respond
    await rig.list.read(waiters)
    assert len(rig.client.sent) == 1


@in_virtual_time
async def test_a_list_that_is_throttled_is_left_alone_after_the_third_time() -> None:
    rig = Rig()
    waiters = rig.wait_many(3)
    rig.client.limit.blocked_until = rig.now
    lists(rig, *[THROTTLED] * MAX_THROTTLES)
    for _ in range(MAX_THROTTLES + 1):
        await rig.list.read(waiters)
    assert len(rig.client.sent) == MAX_THROTTLES


@in_virtual_time
async def test_a_refusal_while_pages_are_read_ends_the_reading_and_is_not_held_against_the_list() -> None:
    rig = Rig()
    waiters = rig.wait_many(300)
    sent = 0

    async def respond(_: Any) -> VideoPage:
        nonlocal sent
        sent += 1
        if sent == 2:
            rig.client.limit.blocked_until = rig.now + 50
        return page(*many(PAGE_LENGTH, start=PAGE_LENGTH * (sent - 1)), has_more=True)

    rig.client.respond = respond
    await rig.list.read(waiters)
    assert sent == 2
    assert all(waiter.unlisted_until == 0.0 for waiter in waiters)
    rig.now += 50
    await rig.list.read(waiters)
    assert sent > 2


@in_virtual_time
async def test_reading_ends_where_the_list_has_far_more_than_was_expected() -> None:
    rig = Rig()
    waiters = rig.wait_many(2)
    lists(rig, *[page(*many(100, start=1000 * (number + 1)), has_more=True) for number in range(50)])
    await rig.list.read(waiters)
    assert len(rig.client.sent) == 5  # twice what was expected, and three


@in_virtual_time
async def test_a_job_is_expected_where_it_was_seen_last() -> None:
    rig = Rig()
    waiters = rig.wait_many(2)
    rig.wait_many(500, due=False)
    await rig.list.read(waiters)
    assert rig.client.sent == []  # six pages for two jobs: it costs more
    for waiter in waiters:
        waiter.depth = 99
    lists(rig, page(*many(2)))
    await rig.list.read(waiters)
    assert len(rig.client.sent) == 1


@in_virtual_time
async def test_one_of_the_jobs_that_the_list_shows_as_running_is_checked_now_and_then() -> None:
    rig = Rig()
    rig.jitter = 0.99
    waiters = rig.wait_many(3)
    lists(rig, *[page(video("video_0", "completed"), *many(2, start=1))] * 3)
    checked = []
    for pause in (0.0, 29.0, 1.0):
        rig.now += pause
        for waiter in waiters:
            waiter.in_flight = True
        await rig.list.read(waiters)
        checked.append(in_flight(waiters[1:]))
    assert checked == [["video_2"], [], ["video_2"]]


@in_virtual_time
async def test_nothing_is_checked_where_all_has_ended() -> None:
    rig = Rig()
    waiters = rig.wait_many(3)
    lists(rig, page(*many(3, "completed")))
    await rig.list.read(waiters)
    assert all(waiter.ended for waiter in waiters)
    assert in_flight(waiters) == []


@pytest.mark.parametrize(("age", "is_stale"), [(STALE_SECONDS, False), (STALE_SECONDS + 1, True)])
@in_virtual_time
async def test_a_list_that_shows_a_job_as_running_that_has_long_ended_is_believed_no_more(
    age: float, is_stale: bool
) -> None:
    rig = Rig()
    waiters = rig.wait_many(3)
    rig.strategy.record_ended("video_0", rig.now - age)
    lists(rig, page(*many(3)), page(*many(3)))
    await rig.list.read(waiters)
    assert (waiters[1].wait.last_status == "never") is is_stale
    assert rig.strategy.is_cheaper(3, 2, rig.now) is not is_stale


@in_virtual_time
async def test_a_failure_on_the_list_is_asked_for_at_once_since_it_may_leave_out_the_reason() -> None:
    rig = Rig()
    due, later = rig.wait_many(2), rig.wait("later", due=False)
    rig.schedule.add(later, rig.now + 100)
    lists(rig, page(*many(2, "failed"), video("later", "failed")))
    await rig.list.read(due)
    assert not any(waiter.ended for waiter in (*due, later))
    assert in_flight(due) == ["video_0", "video_1"]
    assert rig.next_poll(later) == 0.0


@in_virtual_time
async def test_at_its_deadline_a_job_is_asked_for_by_itself() -> None:
    rig = Rig()
    waiters = rig.wait_many(3, deadline=rig.now)
    lists(rig, page(video("video_0"), video("video_1"), video("video_2", "completed")))
    await rig.list.read(waiters)
    assert in_flight(waiters) == ["video_0", "video_1"]
    assert waiters[2].ended


@in_virtual_time
async def test_delays_are_measured_by_the_servers_clock() -> None:
    rig = Rig()
    rig.client.clock_offset_seconds = 7.0
    waiters = rig.wait_many(2)
    lists(rig, page(*many(2)), page(*(video(f"video_{n}", "completed", completed_at=990) for n in range(2))))
    await rig.list.read(waiters)
    await rig.list.read(waiters)
    assert rig.observer.delays == [17.0, 17.0]


@in_virtual_time
async def test_the_length_of_the_servers_pages_is_learned() -> None:
    rig = Rig()
    waiters = rig.wait_many(40)
    lists(rig, *[page(*many(10, start=start), has_more=True) for start in (0, 10, 20, 30)])
    await rig.list.read(waiters)
    assert rig.strategy.pages(99) > 2
