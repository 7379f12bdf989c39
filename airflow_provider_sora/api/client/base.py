"""What both clients have: the configuration, the retry policy and the codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import httpx

from airflow_provider_sora.api.content import reading
from airflow_provider_sora.api.content.reading import Content, OnOpen
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import flows
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.flows import Jitter
from airflow_provider_sora.api.http.http_codec import HttpCodec
from airflow_provider_sora.api.http.steps import Flow
from airflow_provider_sora.api.protocol.requests import DownloadContent, Request
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError

ResponseT = TypeVar("ResponseT")

# Errors that are the outcome of a step: the flow decides what to do about them.
STEP_ERRORS = (httpx.RequestError, SoraConfigError, SoraConnectionError)
# httpx parses the `Location` of a response on its own, and some errors of that are not `RequestError`s.
LOCATION_ERRORS = (httpx.InvalidURL, UnicodeError)


class BaseClient:
    """A client without its driver."""

    def __init__(
        self,
        config: SoraConfig,
        policy: RequestRetryPolicy | None,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        jitter: Jitter,
    ) -> None:
        self.config = config
        self._policy = policy or RequestRetryPolicy()
        self._jitter = jitter
        self._codec = HttpCodec(config, clock, monotonic)

    @property
    def clock_offset_seconds(self) -> float:
        """How far the server's clock is ahead of ours, by the `Date` of its last response."""
        return self._codec.clock_offset_seconds

    @property
    def knows_server_clock(self) -> bool:
        """Whether a response had a `Date`."""
        return self._codec.knows_server_clock

    def _call(self, request: Request[ResponseT], before_each: Callable[[], object] = tuple) -> Flow[ResponseT]:
        return flows.call(request, self._policy, self._jitter, before_each)

    def _content(self, request: DownloadContent, on_open: OnOpen) -> Flow[Content]:
        return reading.read(request, self._policy, self._jitter, on_open, self.config.low_speed)


def ignore(_: object) -> None:
    """The default of a callback."""


def invalid_location(error: Exception) -> httpx.RemoteProtocolError:
    """The outcome of a step whose response redirects to something that is not a URL."""
    return httpx.RemoteProtocolError(f"the server redirects to an invalid URL: {error}")
