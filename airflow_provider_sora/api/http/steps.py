"""The steps of a flow, and the outcome of each.

A flow is a generator of steps. Its driver performs each step and sends back a `Response`, or throws the error that
stopped it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import httpx

from airflow_provider_sora.api.protocol.encoding import Sent
from airflow_provider_sora.api.protocol.requests import Request
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraError

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Send:
    """Send this request to the server and read the whole response.

    :param limit_seconds: total time limit; None: that of the connection
    :param encoding: in place of that of the connection
    """

    request: Request[Any]
    limit_seconds: float | None = None
    encoding: Sent | None = None


@dataclass(frozen=True)
class Open:
    """Send this request to the server and read the response's headers; the body is read by `Read`.

    :param headers: further headers, to request a part of the body
    """

    request: Request[Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenUrl:
    """Request a URL on any host: without the key, and from public addresses only.

    :param trusted: the URL is from the server, so that the key may be sent if the URL is on the same server
    :param headers: further headers, to request a part of the body
    """

    url: str
    trusted: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """The next bytes of the open body; none at its end."""


@dataclass(frozen=True)
class Emit:
    """Pass these bytes to the reader of the content."""

    chunk: bytes


@dataclass(frozen=True)
class Sleep:
    """Pause."""

    seconds: float


@dataclass(frozen=True)
class Now:
    """Read the clocks; the response has only the times."""


Step: TypeAlias = Send | Open | OpenUrl | Read | Emit | Sleep | Now
Outcome: TypeAlias = Response | httpx.RequestError | SoraError
Flow: TypeAlias = Generator[Step, Response, ResultT]


def advance(flow: Flow[ResultT], outcome: Outcome | None) -> Step:
    """Advance a flow to its next step.

    :param outcome: of the step before; None to start the flow
    :raises StopIteration: the flow has ended; its result is in ``value``
    """
    if outcome is None:
        return next(flow)
    if isinstance(outcome, Response):
        return flow.send(outcome)
    return flow.throw(outcome)


def fail(flow: Flow[ResultT], error: SoraError) -> ResultT:
    """Run a flow whose first step cannot be performed; returns its result.

    :raises SoraError: the flow does not handle the error
    """
    try:
        next(flow)
        flow.throw(error)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise error
