"""The numbers of the decisions that the cases leave open: defaults, bounds, and times on another clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions import intervals
from airflow_provider_sora.api.decisions.polling import (
    AskList,
    PollAgain,
    Presence,
    Wait,
    first_poll,
    on_error,
    on_list_search,
    on_monotonic_clock,
    on_status,
    on_wall_clock,
    poll_limit,
    postponed,
)
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy, retry_pause
from airflow_provider_sora.api.protocol.models import Video
from tests.api.conftest import job

WAIT = Wait("video_1", 1_000.0, 10.0, 900.0)


def test_pauses_begin_at_half_a_second_and_end_at_thirty() -> None:
    policy = RequestRetryPolicy()
    assert [policy.pause(attempt, 1.0) for attempt in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, 30.0]
    assert policy.pause(1, 0.0) == 0.25
    assert policy.attempts == 5


def test_a_server_that_asks_for_nothing_is_asked_again_whatever_the_longest_pause_is() -> None:
    error = exceptions.SoraServerError("GET /videos", 500, "no", code=None, retry_after_seconds=None)
    assert retry_pause(RequestRetryPolicy(max_seconds=0.5), error, 1, paid=False, jitter=1.0) == 0.5


@pytest.mark.parametrize(("asked", "pause"), [(30.0, 30.0), (30.5, None)])
def test_a_server_may_ask_for_the_longest_pause_and_for_no_more(asked: float, pause: float | None) -> None:
    error = exceptions.SoraServerError("GET /videos", 500, "no", code=None, retry_after_seconds=asked)
    assert retry_pause(RequestRetryPolicy(), error, 1, paid=False, jitter=1.0) == pause


def test_all_times_of_a_wait_move_to_the_other_clock() -> None:
    moved = on_monotonic_clock(WAIT, 700.0)
    assert (moved.deadline, moved.submitted_at) == (300.0, 200.0)
    assert on_monotonic_clock(Wait("video_1", 1_000.0, 10.0, None), 700.0).submitted_at is None


@pytest.mark.parametrize(("now", "left"), [(990.0, 10.0), (1_000.0, 0.0), (1_100.0, 0.0)])
def test_a_poll_may_last_to_the_deadline_and_a_little_longer(now: float, left: float) -> None:
    assert poll_limit(WAIT, now) == left + 5.0


def test_a_job_from_the_future_is_as_old_as_one_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    ages: list[object] = []
    pause = intervals.next_interval

    def watched(interval: float, **named: object) -> float:
        ages.append(named["age"])
        return pause(interval, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(intervals, "next_interval", watched)
    first_poll(WAIT, 800.0, jitter=0.0)
    first_poll(WAIT, 950.0, jitter=0.0)
    assert ages == [0.0, 50.0]


UNREACHABLE = exceptions.SoraConnectionError("x")
TOO_SOON = exceptions.SoraRateLimitError("GET /videos", 429, "no", retry_after_seconds=None)
ASKED = AskList(WAIT, UNREACHABLE)
RUNNING = Video.model_validate(job("queued", created_at=None))


def seconds(decision: object) -> float:
    assert isinstance(decision, PollAgain)
    return decision.seconds


def test_a_refusal_that_names_no_pause_costs_the_users_own_interval() -> None:
    quick = replace(WAIT, poll_interval_seconds=0.2)
    assert seconds(on_error(quick, TOO_SOON, 950.0)) == 0.2
    assert seconds(on_error(quick, UNREACHABLE, 950.0)) == 0.2


def test_nothing_is_spread_and_nothing_is_slowed_down_unless_it_is_asked_for() -> None:
    at = 950.0
    assert first_poll(WAIT, at) == first_poll(WAIT, at, jitter=0.0)
    assert seconds(on_error(WAIT, UNREACHABLE, at)) == 10.0
    found = replace(ASKED, wait=replace(WAIT, failures=1))
    assert seconds(on_list_search(found, Presence.UNKNOWN, at)) == 10.0
    for shown in (on_status(WAIT, RUNNING, at), on_list_search(ASKED, RUNNING, at)):
        assert seconds(shown) == seconds(on_status(WAIT, RUNNING, at, least_seconds=0.0, jitter=0.0, epoch=0.0))
    brief = replace(WAIT, poll_interval_seconds=0.5)
    assert seconds(on_status(brief, RUNNING, at, hint_seconds=0.5)) == 0.5


def test_a_creation_time_is_on_the_waits_own_clock_unless_another_is_named() -> None:
    shown = Video.model_validate(job("queued", created_at=900))
    unknown = replace(WAIT, submitted_at=None)
    for verdict in (on_status(unknown, shown, 950.0), on_list_search(replace(ASKED, wait=unknown), shown, 950.0)):
        assert isinstance(verdict, PollAgain)
        assert verdict.wait.submitted_at == 900.0


@pytest.mark.parametrize("left", [0.5, 1.0])
def test_a_wait_has_time_left_up_to_its_deadline(left: float) -> None:
    assert seconds(postponed(WAIT, 10.0, WAIT.deadline - left)) == left


def test_times_move_to_the_other_clock_and_back() -> None:
    assert on_wall_clock(on_monotonic_clock(WAIT, 700.0), 700.0) == WAIT


def test_a_creation_time_moves_to_the_clock_of_the_wait() -> None:
    shown = Video.model_validate(job("queued", created_at=900))
    verdict = on_status(replace(WAIT, submitted_at=None), shown, 250.0, epoch=700.0)
    assert isinstance(verdict, PollAgain)
    assert verdict.wait.submitted_at == 200.0
