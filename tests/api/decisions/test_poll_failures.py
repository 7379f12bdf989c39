"""What a failed status check says, by kind."""

from __future__ import annotations

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions.poll_failures import FailureKind, failure_kind, has_no_list, is_throttled


def status(
    code: int, kind: str = "SoraStatusError", *, retry_after: float | None = None, detail: str = "no", api: bool = True
) -> exceptions.SoraStatusError:
    made: exceptions.SoraStatusError = getattr(exceptions, kind)(
        "GET /videos/v", code, detail, retry_after_seconds=retry_after, from_api=api
    )
    return made


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.SoraConnectionError("x"), FailureKind.CONNECTION),
        (exceptions.SoraResponseError("x"), FailureKind.UNREADABLE),
        (status(404, "SoraNotFoundError"), FailureKind.NOT_FOUND),
        (status(410, "SoraNotFoundError"), FailureKind.NOT_FOUND),
        (status(404, "SoraNotFoundError", api=False), FailureKind.GATEWAY_NOT_FOUND),
        (status(404, "SoraNotFoundError", detail="Not Found"), FailureKind.GATEWAY_NOT_FOUND),
        (status(409, "SoraConflictError"), FailureKind.REJECTED),
        (status(411), FailureKind.REJECTED),
        (status(401, "SoraAuthError"), FailureKind.AUTH),
        (status(502, "SoraServerError"), FailureKind.SERVER),
    ],
)
def test_each_failure_has_a_kind(error: exceptions.SoraError, kind: FailureKind) -> None:
    assert failure_kind(error) is kind


@pytest.mark.parametrize(
    ("error", "throttled"),
    [
        (status(429, "SoraRateLimitError"), True),
        (status(503, "SoraServerError", retry_after=0.0), True),
        (status(503, "SoraServerError"), False),
        (status(502, "SoraServerError", retry_after=1.0), False),
        (status(504, "SoraServerError", retry_after=1.0), False),
        (exceptions.SoraConnectionError("x"), False),
    ],
)
def test_a_server_that_wants_fewer_requests_says_so_by_its_status(error: Exception, throttled: bool) -> None:
    assert is_throttled(error) is throttled


@pytest.mark.parametrize(
    ("error", "none"),
    [
        (status(404, "SoraNotFoundError"), True),
        (status(405, "SoraUnsupportedError"), True),
        (status(400, "SoraBadRequestError"), True),
        (status(422, "SoraBadRequestError"), True),
        (status(401, "SoraAuthError"), False),
        (status(423), False),
        (status(404, "SoraNotFoundError", api=False), False),
        (exceptions.SoraConnectionError("x"), False),
    ],
)
def test_a_server_without_a_list_says_so_itself(error: exceptions.SoraError, none: bool) -> None:
    assert has_no_list(error) is none
