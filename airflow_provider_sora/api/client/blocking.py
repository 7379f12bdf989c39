"""The blocking client."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

import httpx

from airflow_provider_sora.api.client.base import LOCATION_ERRORS, STEP_ERRORS, BaseClient, ignore, invalid_location
from airflow_provider_sora.api.content import opening
from airflow_provider_sora.api.content.reading import Content, OnOpen
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import bounded_body, flows, wait_flow
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.flows import Jitter, OnChange
from airflow_provider_sora.api.http.http_codec import ssl_context
from airflow_provider_sora.api.http.pages import Pages
from airflow_provider_sora.api.http.response_body import ResponseBody
from airflow_provider_sora.api.http.steps import Emit, Flow, Open, OpenUrl, Outcome, Read, Send, Sleep, Step, advance
from airflow_provider_sora.api.http.time_limit import keep_time_limit, time_limit
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import DownloadContent, ListVideos, Request
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.masking import masked_logs

ResponseT = TypeVar("ResponseT")
ResultT = TypeVar("ResultT")


class SoraClient(BaseClient):
    """The Videos API, blocking.

    :param transport: in place of the network, for tests
    :param sleep: in place of `time.sleep`, for tests
    """

    def __init__(
        self,
        config: SoraConfig,
        policy: RequestRetryPolicy | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Jitter = random.random,
    ) -> None:
        super().__init__(config, policy, clock, monotonic, jitter)
        self._sleep = sleep
        self._http = httpx.Client(transport=transport, verify=transport is None and ssl_context(config))
        keep_time_limit(self._http)

    def send(self, request: Request[ResponseT], before_each: Callable[[], object] = tuple) -> ResponseT:
        """Send a request, again where that is safe, and return what the response means.

        :param before_each: called each time before the request is sent; an error that it raises ends the call
        :raises SoraError: the request failed
        """
        return self.run(self._call(request, before_each))

    def exchange(self, request: Request[ResponseT]) -> tuple[ResponseT, Response]:
        """Send a request once; returns what the response means, and the response.

        :raises SoraError: the request failed
        """
        return self.run(flows.exchange(request))

    def wait(self, state: Wait, on_change: OnChange = ignore) -> Video:
        """Poll a job until it is a video; see `wait_flow.wait`."""
        return self.run(wait_flow.wait(state, on_change, self._jitter))

    def list_videos(self, first: ListVideos | None = None) -> Iterator[Video]:
        """The list's videos, page by page, in the server's order; always ends."""
        pages = Pages(first or ListVideos())
        while pages.next is not None:
            yield from pages.take(self.send(pages.next))

    def read_content(self, request: DownloadContent, on_open: OnOpen = ignore) -> Generator[bytes, None, Content]:
        """The bytes of a video as they come; the generator's return value describes them, once they are checked.

        :param on_open: called with the size in bytes, where the server states it, before the first bytes come
        :raises SoraContentError: the bytes are incomplete, or not the variant that was asked for
        """
        return self._drive(self._content(request, on_open))

    def fetch(self, url: str) -> bytes:
        """The content of a URL, on any host, without the key.

        :raises SoraConfigError: the URL may not be fetched, or answers anything but 200
        """
        return self.run(opening.fetch(url))

    def run(self, flow: Flow[ResultT]) -> ResultT:
        """Run a flow to its end; returns its result."""
        steps = self._drive(flow)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> SoraClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drive(self, flow: Flow[ResultT]) -> Generator[bytes, None, ResultT]:
        body = ResponseBody()
        outcome: Outcome | None = None
        try:
            while True:
                step = advance(flow, outcome)
                if isinstance(step, Emit):
                    yield step.chunk
                with masked_logs():
                    outcome = self._perform(step, body)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        finally:
            body.close()

    def _perform(self, step: Step, body: ResponseBody) -> Outcome:
        try:
            with time_limit(self._codec.step_limit(step)):
                return self._take(step, body)
        except STEP_ERRORS as error:
            return error
        except LOCATION_ERRORS as error:
            return invalid_location(error)

    def _take(self, step: Step, body: ResponseBody) -> Response:
        match step:
            case Send():
                return self._send(step)
            case Open():
                body.close()  # a server may have room for one connection only
                body.open(self._http.send(self._codec.build_request(step), stream=True))
                return self._codec.parse_response(body.response, b"")
            case OpenUrl():
                body.close()
                body.open(self._http.send(self._codec.build_public_request(step), stream=True))
                return self._codec.parse_response(body.response, b"", step.url)
            case Read():
                return self._codec.parse_chunk(body.read())
            case Sleep():
                self._sleep(step.seconds)
        return self._codec.now()

    def _send(self, step: Send) -> Response:
        ends_at = self._codec.monotonic() + self._codec.limit(step)
        response = self._http.send(self._codec.build_request(step), stream=True)
        try:
            return self._codec.parse_response(response, bounded_body.read(response, ends_at, self._codec.monotonic))
        finally:
            response.close()
