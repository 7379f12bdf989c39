from __future__ import annotations

import asyncio
import math

import pytest

from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.poller.waiters import Waiters
from tests.api.conftest import litellm_id
from tests.api.poller.rig import Rig, video
from tests.api.virtual_time import in_virtual_time


def waiter_of(video_id: str) -> Waiter:
    return Waiter(Wait(video_id, 9e9, 10.0))


@in_virtual_time
async def test_waiters_are_found_by_the_job_whatever_id_it_has() -> None:
    waiters = Waiters()
    one, same, other = waiter_of(litellm_id("up", "a")), waiter_of(litellm_id("up", "b")), waiter_of("video_2")
    for waiter in (one, same, other):
        waiters.add(waiter)
    assert list(waiters.of(one.job)) == [one, same]
    assert (len(waiters), list(waiters), set(waiters.jobs)) == (3, [one, same, other], {one.job, "video_2"})
    same.in_flight = True
    assert waiters.in_flight(one.job) == [same]
    waiters.remove(one)
    waiters.remove(same)
    assert (list(waiters.of(one.job)), len(waiters), set(waiters.jobs)) == ([], 1, {"video_2"})


@in_virtual_time
async def test_a_new_waiter_knows_when_its_job_was_last_polled_for_others() -> None:
    waiters = Waiters()
    first, second, third = (waiter_of("video_1") for _ in range(3))
    waiters.add(first)
    assert first.polled_at == -math.inf
    first.polled_at = 10.0
    waiters.add(second)
    second.polled_at = 20.0
    waiters.add(third)
    assert third.polled_at == 20.0


@in_virtual_time
async def test_a_wait_ends_once() -> None:
    waiter = waiter_of("video_1")
    first, second = video("video_1", "completed"), video("video_2", "completed")
    waiter.end(first)
    waiter.end(second)
    assert waiter.wakeup.done()
    assert waiter.take_change(lambda _: None)
    assert waiter.result() is first


@in_virtual_time
async def test_a_wait_that_ended_otherwise_raises_its_error_each_time_with_a_traceback_of_its_own() -> None:
    waiter = waiter_of("video_1")
    with pytest.raises(asyncio.InvalidStateError):
        waiter.result()
    waiter.end(error=OSError("x"))
    for _ in range(2):
        with pytest.raises(OSError, match="x") as caught:
            waiter.result()
        assert len(caught.traceback) == 2


@in_virtual_time
async def test_a_change_is_handed_over_once_and_wakes_the_waiter_each_time() -> None:
    waiter = waiter_of("video_1")
    changes: list[object] = []
    for progress in (10, 20):
        shown = video(progress=progress)
        waiter.notify(shown)
        waiter.notify(shown)
        assert waiter.wakeup.done()
        assert not waiter.take_change(changes.append)
        assert changes.pop() is shown
        assert not waiter.wakeup.done()
        assert not waiter.take_change(changes.append)
        assert not changes


@in_virtual_time
async def test_the_last_poll_and_those_of_a_short_interval_may_follow_at_once() -> None:
    rig = Rig()
    assert not rig.wait(deadline=rig.now + 1.0).may_be_polled_at_once(rig.now)
    assert rig.wait(deadline=rig.now + 0.9).may_be_polled_at_once(rig.now)
    assert not rig.wait(poll_interval_seconds=1.0).may_be_polled_at_once(rig.now)
    assert rig.wait(poll_interval_seconds=0.9).may_be_polled_at_once(rig.now)
