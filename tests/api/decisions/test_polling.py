from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions.intervals import Observation
from airflow_provider_sora.api.decisions.poll_failures import FailureKind
from airflow_provider_sora.api.decisions.polling import (
    MAX_FAILURES,
    AskList,
    Done,
    GiveUp,
    PollAgain,
    Presence,
    Verdict,
    Wait,
    first_poll,
    on_error,
    on_list_search,
    on_status,
    postponed,
)
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy, retry_pause
from airflow_provider_sora.api.protocol.error_mapping import status_error
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import RetrieveVideo
from airflow_provider_sora.api.protocol.response import Response
from tests.api.conftest import job

POLICY = RequestRetryPolicy(attempts=4, base_seconds=1, max_seconds=8)
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
        (exceptions.SoraResponseError("x"), False, False),
    ],
)
def test_a_paid_call_is_repeated_only_where_it_cannot_have_been_accepted(
    error: exceptions.SoraError, free: bool, paid: bool
) -> None:
    assert (retry_pause(POLICY, error, 1, paid=False, jitter=0) is not None) is free
    assert (retry_pause(POLICY, error, 1, paid=True, jitter=0) is not None) is paid


def test_pauses_double_up_to_the_limit_and_the_last_attempt_has_none() -> None:
    policy = RequestRetryPolicy(attempts=7, base_seconds=1, max_seconds=8)
    pauses = [retry_pause(policy, UNSENT, attempt, paid=True, jitter=0) for attempt in range(1, 8)]
    assert pauses == [0.5, 1, 2, 4, 4, 4, None]


def test_jitter_spreads_a_pause_over_its_upper_half() -> None:
    assert (POLICY.pause(2, 0.0), POLICY.pause(2, 0.5)) == (1.0, 1.5)


def test_a_server_is_given_the_time_it_asks_for_but_no_worker_is_held_for_long() -> None:
    assert retry_pause(POLICY, status(429, "SoraRateLimitError", 5), 1, paid=True, jitter=0) == 5
    assert retry_pause(POLICY, status(429, "SoraRateLimitError", 9), 1, paid=True, jitter=0) is None


def test_a_completed_video_ends_the_wait_even_past_the_deadline() -> None:
    verdict = on_status(WAIT, video("completed"), now=2000)
    assert isinstance(verdict, Done)
    assert verdict.video.id == "video_1"


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired", "deleted"])
def test_a_job_that_ended_otherwise_is_an_error(state: str) -> None:
    verdict = on_status(WAIT, video(state), now=0)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraVideoFailedError)
    assert verdict.error.status == state


def test_a_running_job_is_looked_at_again_and_failures_are_forgotten() -> None:
    verdict = on_status(replace(WAIT, failures=5), video("in_progress"), now=0)
    assert verdict == PollAgain(replace(WAIT, failures=0, last_status="in_progress", last=Observation(0, None)), 5)


def test_the_servers_hint_replaces_the_interval() -> None:
    verdict = on_status(WAIT, video("queued"), now=0, hint_seconds=3)
    assert isinstance(verdict, PollAgain)
    assert verdict.seconds == 3


@pytest.mark.parametrize(("least", "seconds"), [(2, 3), (7, 7), (99, 10)])
def test_the_servers_hint_is_followed_as_far_as_all_waits_together_can_afford(least: float, seconds: float) -> None:
    verdict = on_status(WAIT, video("queued"), now=0, hint_seconds=3, least_seconds=least)
    assert isinstance(verdict, PollAgain)
    assert verdict.seconds == seconds


def test_the_last_look_is_at_the_deadline() -> None:
    verdict = on_status(WAIT, video("queued"), now=996)
    assert isinstance(verdict, PollAgain)
    assert verdict.seconds == 4


def test_a_sight_is_kept_beside_the_one_before_and_tells_the_age_where_nobody_knew_it() -> None:
    first = on_status(WAIT, video("in_progress", progress=10, created_at=3), now=13)
    assert isinstance(first, PollAgain)
    second = on_status(first.wait, video("in_progress", progress=30, created_at=4), now=23)
    assert isinstance(second, PollAgain)
    assert (second.wait.before, second.wait.last) == (Observation(13, 10), Observation(23, 30))
    assert second.wait.submitted_at == 3


def test_a_job_of_unknown_age_is_looked_at_at_once() -> None:
    assert first_poll(WAIT, now=0, history=[60] * 9, jitter=0.5) == 0


def test_the_first_look_at_a_new_job_comes_after_a_few_seconds_and_not_for_all_at_once() -> None:
    new = replace(WAIT, submitted_at=0)
    assert first_poll(new, now=0) == 5
    assert first_poll(new, now=0, jitter=1.0) == 2.5
    assert first_poll(replace(WAIT, submitted_at=50), now=0) == 5  # a clock that is behind


def test_the_first_look_is_not_after_the_deadline() -> None:
    assert first_poll(replace(WAIT, submitted_at=990), now=998) == 2
    assert first_poll(replace(WAIT, submitted_at=990), now=1200) == 0


def test_a_wait_that_is_put_off_ends_at_its_deadline() -> None:
    assert postponed(WAIT, 30, now=900) == PollAgain(WAIT, 30)
    assert postponed(WAIT, 300, now=900) == PollAgain(WAIT, 100)
    assert isinstance(postponed(WAIT, 30, now=1000), GiveUp)


def test_past_the_deadline_the_job_is_left_running() -> None:
    verdict = on_status(WAIT, video("in_progress"), now=1000)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraWaitTimeoutError)
    assert str(verdict.error) == (
        "stopped waiting for video video_1 (last seen in_progress), left running on the server: the timeout has passed"
    )


def test_failed_looks_are_survived_with_growing_pauses_until_the_budget_is_used_up() -> None:
    state, pauses = WAIT, []
    while isinstance(verdict := on_error(state, status(500), now=0), PollAgain):
        state = verdict.wait
        pauses.append(verdict.seconds)
    assert pauses == [10, 20, 40, 60, 60, 60, 60, 60, 60]
    assert len(pauses) == MAX_FAILURES - 1
    assert isinstance(verdict, GiveUp)
    assert "10 consecutive status checks failed, the last with: GET /x answered HTTP 500" in str(verdict.error)
    assert "video_1" in str(verdict.error)
    assert verdict.error.retryable


def test_jitter_makes_a_pause_longer_by_a_quarter_at_most() -> None:
    verdict = on_error(WAIT, status(500), now=0, jitter=1.0)
    assert isinstance(verdict, PollAgain)
    assert verdict.seconds == 12.5


def test_a_failed_look_honours_retry_after() -> None:
    verdict = on_error(WAIT, status(429, "SoraRateLimitError", 33), now=0)
    assert isinstance(verdict, PollAgain)
    assert verdict.seconds == 33


def failing(*errors: exceptions.SoraError, wait: Wait = WAIT) -> Verdict:
    """What comes of status checks that fail so, one after the other."""
    for error in errors[:-1]:
        verdict = on_error(wait, error, now=0)
        assert isinstance(verdict, PollAgain)
        wait = verdict.wait
    return on_error(wait, errors[-1], now=0)


def gone_wrong(code: int, body: bytes = b"") -> exceptions.SoraStatusError:
    """The error for such an answer to a status check."""
    return status_error(RetrieveVideo(video_id="video_1"), Response(0, code, {}, body))


OWN_404 = gone_wrong(404, b'{"detail": "Video video_1 not found"}')
ONCE = [
    *(
        gone_wrong(code)
        for code in (301, 302, 304, 400, 401, 403, 405, 408, 409, 413, 418, 421, 422, 431, 451, 500, 501)
    ),
    *(
        gone_wrong(404, body)
        for body in (b"", b"default backend - 404", b"<html>nginx</html>", b'{"message": "no Route"}')
    ),
    gone_wrong(404, b'{"detail": "Not Found"}'),
    gone_wrong(410),
    exceptions.SoraResponseError("unreadable"),
    UNSENT,
    AMBIGUOUS,
]


@pytest.mark.parametrize("error", ONCE, ids=str)
def test_no_failure_ends_a_wait_before_it_has_come_ten_times_in_a_row(error: exceptions.SoraError) -> None:
    assert isinstance(failing(*[error] * 9), PollAgain)
    verdict = failing(*[error] * 10)
    assert isinstance(verdict, GiveUp)
    assert type(verdict.error) is exceptions.SoraWaitError
    assert str(verdict.error).startswith("stopped waiting for video video_1 (last seen never), left running")
    assert "10 consecutive status checks failed, the last with: " in str(verdict.error)


def test_the_count_begins_anew_when_another_kind_of_failure_comes() -> None:
    assert isinstance(failing(*[UNSENT] * 9, OWN_404), PollAgain)
    assert isinstance(failing(*[UNSENT] * 9, *[OWN_404] * 2), PollAgain)
    assert isinstance(failing(*[status(500)] * 9, *[OWN_404] * 2, *[status(500)] * 9), PollAgain)
    assert isinstance(failing(status(500), status(502), *[status(503)] * 8), GiveUp)


@pytest.mark.parametrize("error", [status(429, "SoraRateLimitError"), status(503, retry_after=7)])
def test_a_server_that_wants_fewer_requests_is_no_failure(error: exceptions.SoraError) -> None:
    verdict = failing(*[error] * 30)
    assert isinstance(verdict, PollAgain)
    assert (verdict.wait.failures, verdict.seconds) == (0, 10)


def test_a_refused_key_is_not_helped_by_a_retry() -> None:
    verdict = failing(*[status(401, "SoraAuthError")] * 10, wait=replace(WAIT, last_status="queued"))
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraWaitError)
    assert not verdict.error.retryable
    assert "last seen queued" in str(verdict.error)


def test_a_connection_that_is_wrong_ends_the_wait_at_once() -> None:
    verdict = failing(exceptions.SoraConfigError("no host"))
    assert isinstance(verdict, GiveUp)
    assert not verdict.error.retryable
    assert str(verdict.error).endswith("left running on the server: no host")


def test_the_list_is_asked_when_the_api_itself_does_not_know_the_job_for_the_third_time() -> None:
    assert isinstance(failing(*[OWN_404] * 2), PollAgain)
    asked = failing(*[OWN_404] * 3)
    assert isinstance(asked, AskList)
    gone = on_list_search(asked, Presence.ABSENT, now=0)
    assert isinstance(gone, GiveUp)
    assert isinstance(gone.error, exceptions.SoraVideoGoneError)
    assert gone.error.retryable
    assert str(gone.error) == (
        "video video_1 gone on the server [not_found]: the server no longer has this job (last seen never), "
        "so nothing is left running"
    )


def test_a_job_that_only_the_list_shows_is_waited_for() -> None:
    asked = failing(*[OWN_404] * 3)
    assert isinstance(asked, AskList)
    verdict = on_list_search(asked, video("in_progress"), now=0)
    assert isinstance(verdict, PollAgain)
    assert (verdict.wait.failures, verdict.wait.failure_kind) == (0, None)
    assert isinstance(on_list_search(asked, video("completed"), now=0), Done)
    assert isinstance(on_list_search(asked, video("failed"), now=0), GiveUp)


def test_a_list_that_does_not_tell_leaves_a_job_that_seems_gone_undecided() -> None:
    asked = failing(*[OWN_404] * 3)
    assert isinstance(asked, AskList)
    for _ in range(6):
        verdict = on_list_search(asked, Presence.UNKNOWN, now=0)
        assert isinstance(verdict, PollAgain)
        asked = on_error(verdict.wait, OWN_404, now=0)
        assert isinstance(asked, AskList)
    verdict = on_list_search(replace(asked, wait=replace(asked.wait, failures=10)), Presence.UNKNOWN, now=0)
    assert isinstance(verdict, GiveUp)
    assert type(verdict.error) is exceptions.SoraWaitError
    assert verdict.error.retryable  # the next try decides, by what it knows


def test_past_the_deadline_no_list_is_asked() -> None:
    verdict = on_error(replace(WAIT, failures=2, failure_kind=FailureKind.NOT_FOUND), OWN_404, now=1000)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraWaitTimeoutError)


def test_the_deadline_holds_for_failed_looks_too() -> None:
    verdict = on_error(WAIT, UNSENT, now=1001)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, exceptions.SoraWaitTimeoutError)
    assert "last seen never" in str(verdict.error)
