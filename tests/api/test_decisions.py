from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions import (
    MAX_FAILURES,
    Done,
    GiveUp,
    LookAgain,
    RetryPolicy,
    Wait,
    after_failure,
    after_look,
    first_look,
    postponed,
    retry_pause,
)
from airflow_provider_sora.api.models import Video
from airflow_provider_sora.api.pacing import Sight
from tests.api.conftest import job

POLICY = RetryPolicy(attempts=4, base_seconds=1, max_seconds=8)
WAIT = Wait("video_1", deadline=1000, poll_interval_seconds=10)


def status(code: int, name: str = "SoraServerError", retry_after: float | None = None) -> exceptions.SoraStatusError:
    kind: type[exceptions.SoraStatusError] = getattr(exceptions, name)
    return kind("GET /x", code, "no", retry_after_seconds=retry_after)


def video(state: str, **fields: Any) -> Video:
    return Video.model_validate(job(state, **fields))


AMBIGUOUS = exceptions.SoraAmbiguousError("x")
UNSENT = exceptions.SoraConnectionError("x")


@pytest.mark.parametrize(
    ("error", "free", "paid"),
    [
        (UNSENT, True, True),
        (AMBIGUOUS, True, False),
        (status(500), True, False),
        (status(502), True, False),
        (status(503), True, False),
        (status(503, retry_after=1), True, False),
        (status(429, "SoraRateLimitError"), True, True),
        (status(400, "SoraBadRequestError"), False, False),
        (status(401, "SoraAuthError"), False, False),
        (status(404, "SoraNotFoundError"), False, False),
        (status(409, "SoraConflictError"), False, False),
        (exceptions.SoraAnswerError("x"), False, False),
    ],
)
def test_a_paid_call_is_repeated_only_where_it_cannot_have_been_accepted(
    error: exceptions.SoraError, free: bool, paid: bool
) -> None:
    assert (retry_pause(POLICY, error, 1, paid=False, jitter=0) is not None) is free
    assert (retry_pause(POLICY, error, 1, paid=True, jitter=0) is not None) is paid


def test_pauses_double_up_to_the_limit_and_the_last_attempt_has_none() -> None:
    policy = RetryPolicy(attempts=7, base_seconds=1, max_seconds=8)
    pauses = [retry_pause(policy, UNSENT, attempt, paid=True, jitter=0) for attempt in range(1, 8)]
    assert pauses == [0.5, 1, 2, 4, 4, 4, None]


def test_jitter_spreads_a_pause_over_its_upper_half() -> None:
    assert (POLICY.pause(2, 0.0), POLICY.pause(2, 0.5)) == (1.0, 1.5)


def test_a_server_is_given_the_time_it_asks_for_but_no_worker_is_held_for_long() -> None:
    assert retry_pause(POLICY, status(429, "SoraRateLimitError", 5), 1, paid=True, jitter=0) == 5
    assert retry_pause(POLICY, status(429, "SoraRateLimitError", 9), 1, paid=True, jitter=0) is None


def test_a_completed_video_ends_the_wait_even_past_the_deadline() -> None:
    verdict = after_look(WAIT, video("completed"), now=2000)
    assert isinstance(verdict, Done)
    assert verdict.video.id == "video_1"


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired", "deleted"])
def test_a_job_that_ended_otherwise_is_an_error(state: str) -> None:
    verdict = after_look(WAIT, video(state), now=0)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraVideoFailedError)
    assert verdict.error.status == state


def test_a_running_job_is_looked_at_again_and_failures_are_forgotten() -> None:
    verdict = after_look(replace(WAIT, failures=5), video("in_progress"), now=0)
    assert verdict == LookAgain(replace(WAIT, failures=0, last_status="in_progress", last=Sight(0, None)), 5)


def test_the_servers_hint_replaces_the_interval() -> None:
    verdict = after_look(WAIT, video("queued"), now=0, hint_seconds=3)
    assert isinstance(verdict, LookAgain)
    assert verdict.seconds == 3


@pytest.mark.parametrize(("least", "seconds"), [(2, 3), (7, 7), (99, 10)])
def test_the_servers_hint_is_followed_as_far_as_all_waits_together_can_afford(least: float, seconds: float) -> None:
    verdict = after_look(WAIT, video("queued"), now=0, hint_seconds=3, least_seconds=least)
    assert isinstance(verdict, LookAgain)
    assert verdict.seconds == seconds


def test_the_last_look_is_at_the_deadline() -> None:
    verdict = after_look(WAIT, video("queued"), now=996)
    assert isinstance(verdict, LookAgain)
    assert verdict.seconds == 4


def test_a_sight_is_kept_beside_the_one_before_and_tells_the_age_where_nobody_knew_it() -> None:
    first = after_look(WAIT, video("in_progress", progress=10, created_at=3), now=13)
    assert isinstance(first, LookAgain)
    second = after_look(first.wait, video("in_progress", progress=30, created_at=4), now=23)
    assert isinstance(second, LookAgain)
    assert (second.wait.before, second.wait.last) == (Sight(13, 10), Sight(23, 30))
    assert second.wait.since == 3


def test_a_job_of_unknown_age_is_looked_at_at_once() -> None:
    assert first_look(WAIT, now=0, history=[60] * 9, jitter=0.5) == 0


def test_the_first_look_at_a_new_job_comes_after_a_few_seconds_and_not_for_all_at_once() -> None:
    new = replace(WAIT, since=0)
    assert first_look(new, now=0) == 5
    assert first_look(new, now=0, jitter=1.0) == 2.5
    assert first_look(replace(WAIT, since=50), now=0) == 5  # a clock that is behind


def test_the_first_look_is_not_after_the_deadline() -> None:
    assert first_look(replace(WAIT, since=990), now=998) == 2
    assert first_look(replace(WAIT, since=990), now=1200) == 0


def test_a_wait_that_is_put_off_ends_at_its_deadline() -> None:
    assert postponed(WAIT, 30, now=900) == LookAgain(WAIT, 30)
    assert postponed(WAIT, 300, now=900) == LookAgain(WAIT, 100)
    assert isinstance(postponed(WAIT, 30, now=1000), GiveUp)


def test_past_the_deadline_the_job_is_left_running() -> None:
    verdict = after_look(WAIT, video("in_progress"), now=1000)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraWaitTimeoutError)
    assert str(verdict.error) == (
        "stopped waiting for video video_1 (last seen in_progress), left running on the server: the timeout has passed"
    )


def test_failed_looks_are_survived_with_growing_pauses_until_the_budget_is_used_up() -> None:
    state, pauses = WAIT, []
    while isinstance(verdict := after_failure(state, status(500), now=0), LookAgain):
        state = verdict.wait
        pauses.append(verdict.seconds)
    assert pauses == [10, 20, 40, 60, 60, 60, 60, 60, 60]
    assert len(pauses) == MAX_FAILURES - 1
    assert isinstance(verdict, GiveUp)
    assert "10 looks in a row failed, the last with: GET /x answered HTTP 500" in str(verdict.error)
    assert "video_1" in str(verdict.error)
    assert verdict.error.retryable


def test_jitter_makes_a_pause_longer_by_a_quarter_at_most() -> None:
    verdict = after_failure(WAIT, status(500), now=0, jitter=1.0)
    assert isinstance(verdict, LookAgain)
    assert verdict.seconds == 12.5


def test_a_failed_look_honours_retry_after() -> None:
    verdict = after_failure(WAIT, status(429, "SoraRateLimitError", 33), now=0)
    assert isinstance(verdict, LookAgain)
    assert verdict.seconds == 33


def test_a_refused_key_ends_the_wait_the_third_time() -> None:
    state = replace(WAIT, last_status="queued", failures=1)
    assert isinstance(after_failure(state, status(401, "SoraAuthError"), now=0), LookAgain)
    verdict = after_failure(replace(state, failures=2), status(401, "SoraAuthError"), now=0)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraWaitError)
    assert not verdict.error.retryable
    assert "last seen queued" in str(verdict.error)


def test_an_unknown_id_is_believed_the_third_time() -> None:
    missing = status(404, "SoraNotFoundError")
    assert isinstance(after_failure(replace(WAIT, failures=1), missing, now=0), LookAgain)
    assert isinstance(after_failure(replace(WAIT, failures=2), missing, now=0), GiveUp)


def test_the_deadline_holds_for_failed_looks_too() -> None:
    verdict = after_failure(WAIT, UNSENT, now=1001)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraWaitTimeoutError)
    assert "last seen never" in str(verdict.error)
