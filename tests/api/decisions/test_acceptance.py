"""Whether a failed paid request may have been accepted: by its status, whatever class its words have made of it."""

from __future__ import annotations

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions.acceptance import Acceptance, acceptance_of, is_safe_to_resend


def error(
    status: int, *, kind: str = "SoraServerError", detail: str = "no", retry_after: float | None = None
) -> exceptions.SoraStatusError:
    made: exceptions.SoraStatusError = getattr(exceptions, kind)(
        "POST /videos", status, detail, code=None, retry_after_seconds=retry_after
    )
    return made


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 425, 429, 499, 501])
def test_a_refusal_is_one(status: int) -> None:
    assert acceptance_of(error(status)) is Acceptance.NO


@pytest.mark.parametrize("status", [301, 302, 307, 308, 399, 408, 500, 502, 503, 504, 520, 524])
@pytest.mark.parametrize("kind", ["SoraServerError", "SoraAuthError", "SoraUnsupportedError"])
def test_what_says_nothing_of_the_request_may_have_been_accepted(status: int, kind: str) -> None:
    """408 is LiteLLM's for an upstream that was too slow; "No connected db." with a 5xx is an error of the key."""
    found = error(status, kind=kind)
    assert acceptance_of(found) is Acceptance.PERHAPS
    assert not is_safe_to_resend(found)


def test_a_503_is_told_apart_by_what_comes_with_it() -> None:
    assert acceptance_of(error(503, retry_after=0.0)) is Acceptance.UNLIKELY
    assert acceptance_of(error(502, retry_after=5.0)) is Acceptance.PERHAPS
    busy = error(503, detail="Server is busy: limit of 1 concurrent tasks reached", retry_after=5.0)
    assert acceptance_of(busy) is Acceptance.NO
    assert is_safe_to_resend(busy)


@pytest.mark.parametrize(
    ("failure", "acceptance", "is_safe"),
    [
        (exceptions.SoraConnectionError("no connection"), Acceptance.NO, True),
        (exceptions.SoraAmbiguousError("broke off"), Acceptance.PERHAPS, False),
        (exceptions.SoraResponseError("not readable"), Acceptance.PERHAPS, False),
        (exceptions.SoraConfigError("no host"), Acceptance.NO, False),
        (error(400, kind="SoraBadRequestError"), Acceptance.NO, False),
        (error(429, kind="SoraRateLimitError"), Acceptance.NO, True),
    ],
)
def test_what_came_back_at_all_may_have_been_accepted(
    failure: exceptions.SoraError, acceptance: Acceptance, is_safe: bool
) -> None:
    assert acceptance_of(failure) is acceptance
    assert is_safe_to_resend(failure) is is_safe
