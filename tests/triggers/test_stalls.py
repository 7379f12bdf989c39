from __future__ import annotations

import asyncio

import pytest

from airflow_provider_sora.triggers.stalls import REMEMBER_SECONDS, TICK_SECONDS, StallDetector, stall_detector
from tests.api.virtual_time import in_virtual_time


class Clocks:
    """Both clocks of a machine: a suspended one counts on the second alone."""

    def __init__(self) -> None:
        self.monotonic, self.wall = 1000.0, 1.8e9

    def __call__(self) -> tuple[float, float]:
        return self.monotonic, self.wall

    def stall(self, seconds: float, *, suspended: bool = False) -> None:
        self.monotonic += 0.0 if suspended else seconds
        self.wall += seconds


@pytest.mark.parametrize("suspended", [True, False])
@pytest.mark.parametrize(("seconds", "stalled"), [(14.0, False), (16.0, True)])
@in_virtual_time
async def test_a_pause_beyond_the_limit_is_a_stall(suspended: bool, seconds: float, stalled: bool) -> None:
    clocks = Clocks()
    detector = StallDetector(15.0, clocks)
    with detector.watching():
        clocks.stall(seconds, suspended=suspended)
    assert detector.has_stalled() is stalled


@in_virtual_time
async def test_a_stall_is_detected_whether_its_tick_or_the_check_comes_first() -> None:
    clocks = Clocks()
    detector = StallDetector(15.0, clocks)
    with detector.watching():
        clocks.stall(20.0)
        await asyncio.sleep(2 * TICK_SECONDS)
        assert detector.has_stalled()


@in_virtual_time
async def test_a_stall_is_forgotten_after_a_while() -> None:
    clocks = Clocks()
    detector = StallDetector(15.0, clocks)
    with detector.watching():
        clocks.stall(20.0)
        assert detector.has_stalled()
        for _ in range(int(REMEMBER_SECONDS / 10)):
            clocks.stall(10.0)
            await asyncio.sleep(TICK_SECONDS)
        assert not detector.has_stalled()


@in_virtual_time
async def test_time_without_a_watcher_is_no_stall() -> None:
    clocks = Clocks()
    detector = StallDetector(15.0, clocks)
    with detector.watching():
        pass
    clocks.stall(3600.0)
    with detector.watching():
        assert not detector.has_stalled()


@in_virtual_time
async def test_a_clock_that_is_set_back_is_no_stall() -> None:
    clocks = Clocks()
    detector = StallDetector(15.0, clocks)
    with detector.watching():
        clocks.wall -= 3600.0
        assert not detector.has_stalled()


@in_virtual_time
async def test_ticks_continue_until_the_last_watcher_has_left() -> None:
    clocks = Clocks()
    detector = StallDetector(15.0, clocks)
    with detector.watching():
        with detector.watching():
            pass
        for _ in range(3):  # without ticks the pauses would add up
            clocks.stall(10.0)
            await asyncio.sleep(TICK_SECONDS)
        assert not detector.has_stalled()
    timer = detector._timer
    assert timer is not None
    assert timer.cancelled()


def test_the_limit_is_half_of_airflows_threshold_for_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD", "8")

    async def limit() -> float:
        assert stall_detector() is stall_detector()
        return stall_detector()._limit_seconds

    assert asyncio.run(limit()) == 4.0
