"""The steps an exchange is made of, and what comes back from each.

A flow is a generator of steps. Whoever drives it performs each and hands back a `Reply`, or the error that stopped it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import httpx

from airflow_provider_sora.api.protocol import pause_limits
from airflow_provider_sora.api.protocol.encoding import Sent
from airflow_provider_sora.api.protocol.requests import Request
from airflow_provider_sora.exceptions import SoraError

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Send:
    """Send this request to the server and read the whole answer.

    :param limit_seconds: how long that may take altogether; None: what the connection allows
    :param encoding: in place of the connection's
    """

    request: Request[Any]
    limit_seconds: float | None = None
    encoding: Sent | None = None


@dataclass(frozen=True)
class Open:
    """Send this request to the server and stop behind the headers; the body is read by `Read`.

    :param headers: sent along, for a part of the body
    """

    request: Request[Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenUrl:
    """Get what somebody named by its URL, on whatever host: without the key, and from public addresses only.

    :param trusted: the server itself named it, so that the key may go along where it is on the same server
    :param headers: sent along, for a part of the body
    """

    url: str
    trusted: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """The next bytes of the open body; none at its end."""


@dataclass(frozen=True)
class Emit:
    """Hand these bytes to whoever reads the content."""

    chunk: bytes


@dataclass(frozen=True)
class Sleep:
    """Do nothing for so long; 0 just tells the time."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """What came back, and when. After `Sleep` and `Emit` only the time is of use.

    :param at: unix seconds, for what is compared with a server's times
    :param monotonic: seconds on a clock that nobody sets, for everything that is waited for
    :param sent_as: how the request's body was encoded, where the connection leaves that to the server
    """

    at: float
    status_code: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""
    monotonic: float = 0.0
    sent_as: Sent | None = None

    @property
    def hint_seconds(self) -> float | None:
        """When the server suggests to poll again, within bounds; the official client reads the same header."""
        value = self.headers.get("openai-poll-after-ms", "")
        is_set = value.isdigit() and value.isascii() and value.strip("0")
        return pause_limits.poll_pause(float(value) / 1000) if is_set else None


Step: TypeAlias = Send | Open | OpenUrl | Read | Emit | Sleep
Outcome: TypeAlias = Reply | httpx.RequestError | SoraError
Flow: TypeAlias = Generator[Step, Reply, ResultT]


def advance(flow: Flow[ResultT], outcome: Outcome | None) -> Step:
    """Take a flow to its next step; `outcome` is what became of the last one, None to begin.

    :raises StopIteration: the flow has ended; its result is in ``value``
    """
    if outcome is None:
        return next(flow)
    if isinstance(outcome, Reply):
        return flow.send(outcome)
    return flow.throw(outcome)
