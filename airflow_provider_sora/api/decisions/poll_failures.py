"""What a failed status check means, by kind: nothing about the job until the same kind has come several times in a row.

A gateway answers in its own words while the server behind it restarts (an ingress: 404 ``default backend - 404``,
nginx: 404 and 502 with a page), and a load balancer may answer anything once.
"""

from __future__ import annotations

from enum import StrEnum

from airflow_provider_sora.api.decisions.acceptance import asks_to_wait
from airflow_provider_sora.api.protocol.error_mapping import is_no_route
from airflow_provider_sora.exceptions import (
    SoraAuthError,
    SoraConnectionError,
    SoraError,
    SoraNotFoundError,
    SoraRateLimitError,
    SoraServerError,
    SoraStatusError,
    SoraUnsupportedError,
)


class FailureKind(StrEnum):
    """Why a status check brought no status."""

    CONNECTION = "connection"
    GATEWAY_NOT_FOUND = "gateway_not_found"
    NOT_FOUND = "not_found"
    AUTH = "auth"
    UNREADABLE = "unreadable"
    SERVER = "server"
    REJECTED = "rejected"


def failure_kind(error: SoraError) -> FailureKind:
    """The kind of a failed status check; `NOT_FOUND` is the API's own word that it does not know the job."""
    if isinstance(error, SoraStatusError):
        return _kind_of_status(error)
    return FailureKind.CONNECTION if isinstance(error, SoraConnectionError) else FailureKind.UNREADABLE


def _kind_of_status(error: SoraStatusError) -> FailureKind:
    if error.status_code in (404, 410):
        own = error.from_api and not is_no_route(error.detail)
        return FailureKind.NOT_FOUND if own else FailureKind.GATEWAY_NOT_FOUND
    if isinstance(error, SoraAuthError):
        return FailureKind.AUTH
    return FailureKind.SERVER if isinstance(error, SoraServerError) else FailureKind.REJECTED


def is_throttled(error: Exception) -> bool:
    """Whether a server wants fewer requests: no failure of the job that was asked for."""
    if isinstance(error, SoraServerError):
        return asks_to_wait(error)
    return isinstance(error, SoraRateLimitError)


def has_no_list(error: SoraError) -> bool:
    """Whether the API itself says that it offers no list, or none to such a request (LiteLLM without provider: 400)."""
    if not isinstance(error, SoraStatusError) or not error.from_api:
        return False
    return isinstance(error, SoraUnsupportedError | SoraNotFoundError) or error.status_code in (400, 422)
