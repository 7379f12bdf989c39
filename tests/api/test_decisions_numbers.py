"""The numbers of the decisions that the cases leave open: defaults, bounds, and times on another clock."""

from __future__ import annotations

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api import pacing
from airflow_provider_sora.api.decisions import (
    LAST_POLL_SECONDS,
    RetryPolicy,
    Wait,
    first_look,
    on_monotonic_clock,
    poll_limit,
    retry_pause,
)

WAIT = Wait("video_1", 1_000.0, 10.0, 900.0)


def test_pauses_begin_at_half_a_second_and_end_at_thirty() -> None:
    policy = RetryPolicy()
    assert [policy.pause(attempt, 1.0) for attempt in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, 30.0]
    assert policy.pause(1, 0.0) == 0.25
    assert policy.attempts == 5


def test_a_server_that_asks_for_nothing_is_asked_again_whatever_the_longest_pause_is() -> None:
    error = exceptions.SoraServerError("GET /videos", 500, "no", code=None, retry_after_seconds=None)
    assert retry_pause(RetryPolicy(max_seconds=0.5), error, 1, paid=False, jitter=1.0) == 0.5


def test_all_times_of_a_wait_move_to_the_other_clock() -> None:
    moved = on_monotonic_clock(WAIT, 700.0)
    assert (moved.deadline, moved.since) == (300.0, 200.0)
    assert on_monotonic_clock(Wait("video_1", 1_000.0, 10.0, None), 700.0).since is None


@pytest.mark.parametrize(("now", "left"), [(990.0, 10.0), (1_000.0, 0.0), (1_100.0, 0.0)])
def test_a_poll_may_last_to_the_deadline_and_a_little_longer(now: float, left: float) -> None:
    assert poll_limit(WAIT, now) == left + LAST_POLL_SECONDS


def test_a_job_from_the_future_is_as_old_as_one_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    ages: list[object] = []
    pause = pacing.pause

    def watched(interval: float, **named: object) -> float:
        ages.append(named["age"])
        return pause(interval, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(pacing, "pause", watched)
    first_look(WAIT, 800.0, jitter=0.0)
    first_look(WAIT, 950.0, jitter=0.0)
    assert ages == [0.0, 50.0]
