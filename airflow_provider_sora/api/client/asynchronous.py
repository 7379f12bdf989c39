"""The client for an event loop."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx

from airflow_provider_sora.api.client.base import LOCATION_ERRORS, STEP_ERRORS, BaseClient, ignore, invalid_location
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import bounded_body, flows, wait_flow
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.flows import Jitter, OnChange
from airflow_provider_sora.api.http.http_codec import ssl_context
from airflow_provider_sora.api.http.pages import Pages
from airflow_provider_sora.api.http.response_body import AsyncResponseBody
from airflow_provider_sora.api.http.steps import Emit, Flow, Open, OpenUrl, Outcome, Read, Send, Sleep, Step, advance
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import DownloadContent, ListVideos, Request
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.masking import masked_logs

ResponseT = TypeVar("ResponseT")
ResultT = TypeVar("ResultT")

# Parsing more JSON than this would hold up an event loop; it is done in a thread.
LARGE_JSON_BYTES = 512 * 1024


class AsyncSoraClient(BaseClient):
    """The Videos API on an event loop.

    :param verify: from `ssl_context`, which must not be called on the loop
    :param transport: in place of the network, for tests
    :param sleep: in place of `asyncio.sleep`, for tests
    """

    def __init__(
        self,
        config: SoraConfig,
        policy: RequestRetryPolicy | None = None,
        *,
        verify: ssl.SSLContext | bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Jitter = random.random,
    ) -> None:
        super().__init__(config, policy, clock, monotonic, jitter)
        self._sleep = sleep
        self._http = httpx.AsyncClient(transport=transport, verify=verify)

    @classmethod
    async def create(cls, config: SoraConfig, policy: RequestRetryPolicy | None = None) -> AsyncSoraClient:
        """A client whose certificates were read in a thread."""
        return cls(config, policy, verify=await asyncio.to_thread(ssl_context, config))

    async def send(self, request: Request[ResponseT]) -> ResponseT:
        """Send a request, again where that is safe, and return what the response means.

        :raises SoraError: the request failed
        """
        return await self.run(self._call(request))

    async def exchange(self, request: Request[ResponseT]) -> tuple[ResponseT, Response]:
        """Send a request once; returns what the response means, and the response.

        :raises SoraError: the request failed
        """
        return await self.run(flows.exchange(request))

    async def wait(self, state: Wait, on_change: OnChange = ignore) -> Video:
        """Poll a job until it is a video; see `wait_flow.wait`."""
        return await self.run(wait_flow.wait(state, on_change, self._jitter))

    async def list_videos(self, first: ListVideos | None = None) -> AsyncIterator[Video]:
        """The list's videos, page by page, in the server's order; always ends."""
        pages = Pages(first or ListVideos())
        while pages.next is not None:
            for video in pages.take(await self.send(pages.next)):
                yield video

    def read_content(self, request: DownloadContent) -> AsyncGenerator[bytes, None]:
        """The bytes of a video as they come; the iteration ends normally only if they are complete and checked.

        :raises SoraContentError: the bytes are incomplete, or not the variant that was asked for
        """
        return self._drive(self._content(request, ignore), [])

    async def run(self, flow: Flow[ResultT]) -> ResultT:
        """Run a flow to its end; returns its result."""
        results: list[ResultT] = []
        _ = [chunk async for chunk in self._drive(flow, results)]
        return results[0]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncSoraClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _drive(self, flow: Flow[ResultT], results: list[ResultT]) -> AsyncGenerator[bytes, None]:
        body = AsyncResponseBody()
        outcome: Outcome | None = None
        try:
            while True:
                large = isinstance(outcome, Response) and len(outcome.body) > LARGE_JSON_BYTES
                step = await asyncio.to_thread(_next_step, flow, outcome) if large else _next_step(flow, outcome)
                if isinstance(step, _Ended):
                    results.append(step.value)
                    return
                if isinstance(step, Emit):
                    yield step.chunk
                with masked_logs():
                    outcome = await self._perform(step, body)
        finally:
            await body.close()

    async def _perform(self, step: Step, body: AsyncResponseBody) -> Outcome:
        try:
            async with bounded_body.within(self._codec.step_limit(step)):
                return await self._take(step, body)
        except STEP_ERRORS as error:
            return error
        except LOCATION_ERRORS as error:
            return invalid_location(error)

    async def _take(self, step: Step, body: AsyncResponseBody) -> Response:
        match step:
            case Send():
                return await self._send(step)
            case Open():
                await body.close()
                await body.open(await self._http.send(self._codec.build_request(step), stream=True))
                return self._codec.parse_response(body.response, b"")
            case OpenUrl():
                await body.close()
                request = await asyncio.to_thread(self._codec.build_public_request, step)
                await body.open(await self._http.send(request, stream=True))
                return self._codec.parse_response(body.response, b"", step.url)
            case Read():
                return self._codec.parse_chunk(await body.read())
            case Sleep():
                await self._sleep(step.seconds)
        return self._codec.now()

    async def _send(self, step: Send) -> Response:
        response = await self._http.send(self._codec.build_request(step), stream=True)
        try:
            return self._codec.parse_response(response, await bounded_body.read_async(response))
        finally:
            await response.aclose()


@dataclass(frozen=True)
class _Ended(Generic[ResultT]):
    """A flow's result: a `StopIteration` cannot leave a thread."""

    value: ResultT


def _next_step(flow: Flow[ResultT], outcome: Outcome | None) -> Step | _Ended[ResultT]:
    try:
        return advance(flow, outcome)
    except StopIteration as stop:
        return _Ended(stop.value)
