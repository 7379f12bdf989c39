"""Each exchange with the server, written once for both clients, which drive the same flows (`steps`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import httpx

from airflow_provider_sora.api.decisions import retry
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import negotiation
from airflow_provider_sora.api.http.steps import Flow, Sleep
from airflow_provider_sora.api.protocol.error_mapping import connection_error, status_error
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import Request
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraError

ResponseT = TypeVar("ResponseT")
OnChange: TypeAlias = Callable[[Video], None]
Jitter: TypeAlias = Callable[[], float]


def exchange(request: Request[ResponseT], limit_seconds: float | None = None) -> Flow[tuple[ResponseT, Response]]:
    """Send a request once and parse its response.

    :param limit_seconds: total time limit; None: that of the connection
    :raises SoraError: the request failed
    """
    try:
        response = yield from negotiation.send(request, limit_seconds)
    except httpx.RequestError as error:
        raise connection_error(str(request), error, paid=request.paid) from error
    if response.status_code < 300:
        return request.parse(response.body), response
    result = request.parse_error_body(response.body, response.status_code)
    if result is not None:
        return result, response
    raise status_error(request, response)


def call(
    request: Request[ResponseT], policy: RequestRetryPolicy, jitter: Jitter, before_each: Callable[[], object] = tuple
) -> Flow[ResponseT]:
    """Send a request, again where that is safe (`decisions.retry_pause`).

    :param before_each: called each time before the request is sent; an error that it raises ends the call
    """
    attempt = 0
    while True:
        attempt += 1
        before_each()
        try:
            result, _ = yield from exchange(request)
        except SoraError as error:
            pause = retry.retry_pause(policy, error, attempt, paid=request.paid, jitter=jitter())
            if pause is None:
                raise
        else:
            return result
        yield Sleep(pause)
