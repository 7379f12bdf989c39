from __future__ import annotations

import random

import pytest

from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.poller.schedule import Schedule
from airflow_provider_sora.api.poller.waiter import Waiter
from tests.api.poller.rig import Rig
from tests.api.virtual_time import in_virtual_time


def waiters(count: int) -> list[Waiter]:
    return [Waiter(Wait(f"video_{number}", 9e9, 10.0)) for number in range(count)]


@in_virtual_time
async def test_polls_are_taken_in_their_order_and_not_before_they_are_due() -> None:
    schedule = Schedule(lambda: None)
    first, second, third = waiters(3)
    for waiter, at in ((third, 30.0), (first, 10.0), (second, 20.0)):
        schedule.add(waiter, at)
    assert schedule.next_at == 10.0
    assert list(schedule.take_due(9.9)) == []
    assert list(schedule.take_due(20.0)) == [first, second]
    assert [waiter.in_flight for waiter in (first, second, third)] == [True, True, False]
    assert schedule.next_at == 30.0


@in_virtual_time
async def test_polls_that_are_due_at_the_same_time_are_taken_as_they_came() -> None:
    schedule = Schedule(lambda: None)
    same = waiters(20)
    for waiter in same:
        schedule.add(waiter, 5.0)
    assert list(schedule.take_due(5.0)) == same


@in_virtual_time
async def test_only_the_last_poll_that_was_scheduled_for_a_waiter_holds() -> None:
    schedule = Schedule(lambda: None)
    (waiter,) = waiters(1)
    for at in (10.0, 30.0, 20.0, 20.0):
        schedule.add(waiter, at)
    assert list(schedule.take_due(19.0)) == []
    assert list(schedule.take_due(99.0)) == [waiter]
    schedule.add(waiter, 40.0)
    assert not waiter.in_flight
    schedule.discard(waiter)
    schedule.discard(waiter)
    assert list(schedule.take_due(99.0)) == []
    assert schedule.next_at is None


@in_virtual_time
async def test_who_sleeps_is_woken_for_an_earlier_poll_alone() -> None:
    woken: list[float] = []
    times = iter((20.0, 30.0, 10.0, 10.0, 5.0))
    at = next(times)
    schedule = Schedule(lambda: woken.append(at))
    for waiter in waiters(5):
        schedule.add(waiter, at)
        at = next(times, 0.0)
    assert woken == [20.0, 10.0, 5.0]


@pytest.mark.parametrize("count", [1, 50])
@in_virtual_time
async def test_polls_that_were_put_off_take_no_endless_memory_and_lose_nobody(count: int) -> None:
    schedule = Schedule(lambda: None)
    chance = random.Random(count)  # noqa: S311 - no secret
    many = waiters(count)
    last: dict[Waiter, float] = {}
    most = 0
    for _ in range(1000):
        waiter = chance.choice(many)
        last[waiter] = float(chance.randrange(100))
        schedule.add(waiter, last[waiter])
        most = max(most, len(schedule))
    assert most == 2 * count + 65  # twice those that hold and 64, and the one that was too many
    assert sorted(schedule.take_due(49.0), key=many.index) == sorted(
        (waiter for waiter, at in last.items() if at <= 49.0), key=many.index
    )
    rest = list(schedule.take_due(99.0))
    assert [last[waiter] for waiter in rest] == sorted(at for at in last.values() if at > 49.0)


@in_virtual_time
async def test_the_heap_is_compacted_when_more_than_half_of_it_no_longer_holds() -> None:
    rig = Rig()
    (waiter,) = waiters(1)
    for at in range(68):
        rig.schedule.add(waiter, float(at))
        assert len(rig.schedule) == (at + 1 if at < 67 else 1)
    assert rig.next_poll(waiter) == 67.0 - rig.now
