"""The two clients: drivers, of a few lines each, for the flows."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx

from airflow_provider_sora.api.content import opening, reading
from airflow_provider_sora.api.content.reading import Content, OnOpen
from airflow_provider_sora.api.decisions.polling import Decision, Wait
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import bounded_body, flows, wait_flow
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.flows import Jitter, OnChange
from airflow_provider_sora.api.http.http_codec import HttpCodec, ssl_context
from airflow_provider_sora.api.http.pages import Pages
from airflow_provider_sora.api.http.response_body import AsyncResponseBody, ResponseBody
from airflow_provider_sora.api.http.steps import Emit, Flow, Open, OpenUrl, Outcome, Read, Send, Sleep, Step, advance
from airflow_provider_sora.api.http.time_limit import keep_time_limit, time_limit
from airflow_provider_sora.api.http.wait_flow import OnFailure
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import DownloadContent, ListVideos, Request
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError
from airflow_provider_sora.masking import masked_logs

ResponseT = TypeVar("ResponseT")
ResultT = TypeVar("ResultT")


def _ignore(_: object) -> None:
    """Nobody asked to be told."""


def _no_location(error: Exception) -> httpx.RemoteProtocolError:
    """httpx reads the `Location` of an answer that has come, and lets some errors of that out as they are."""
    return httpx.RemoteProtocolError(f"the server redirects to what is no URL: {error}")


# Reading more than this takes longer than an event loop should be held up.
_LARGE_JSON_BYTES = 512 * 1024


class SoraClient:
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
        self.config = config
        self._policy = policy or RequestRetryPolicy()
        self._jitter = jitter
        self._codec = HttpCodec(config, clock, monotonic)
        self._sleep = sleep
        self._http = httpx.Client(transport=transport, verify=transport is None and ssl_context(config))
        keep_time_limit(self._http)

    def send(self, request: Request[ResponseT], before_each: Callable[[], object] = tuple) -> ResponseT:
        """Send a request, again where that is safe, and return its answer.

        :param before_each: called each time before it is sent; what it raises ends the call
        :raises SoraError: what became of it instead
        """
        return self._run(flows.call(request, self._policy, self._jitter, before_each))

    def exchange(self, request: Request[ResponseT]) -> tuple[ResponseT, Response]:
        """Send a request once; its answer, and what it came with.

        :raises SoraError: what became of it instead
        """
        return self._run(flows.exchange(request))

    def wait(self, state: Wait, on_change: OnChange = _ignore) -> Video:
        """Poll a job until it is a video; see `wait_flow.wait`."""
        return self._run(wait_flow.wait(state, on_change, self._jitter))

    def check(self, state: Wait, on_change: OnChange = _ignore, on_failure: OnFailure = _ignore) -> Decision:
        """Poll a job once; see `wait_flow.check`."""
        return self._run(wait_flow.check(state, on_change, on_failure, self._jitter))

    @property
    def clock_offset_seconds(self) -> float:
        """How far the server's clock is ahead of ours, by the `Date` of its last answer."""
        return self._codec.clock_offset_seconds

    @property
    def knows_server_clock(self) -> bool:
        """Whether the server has told the time (`Date`)."""
        return self._codec.knows_server_clock

    def list_videos(self, first: ListVideos | None = None) -> Iterator[Video]:
        """The list's videos, page by page, in the server's order; always ends."""
        pages = Pages(first or ListVideos())
        while pages.next is not None:
            yield from pages.take(self.send(pages.next))

    def read_content(self, request: DownloadContent, on_open: OnOpen = _ignore) -> Generator[bytes, None, Content]:
        """The bytes of a video as they come; what was read is the generator's return value, once it has been checked.

        :param on_open: told the size in bytes, where the server says it, before the first bytes come
        :raises SoraContentError: what came is not whole, or not what was asked for
        """
        return self._drive(reading.read(request, self._policy, self._jitter, on_open, self.config.low_speed))

    def fetch(self, url: str) -> bytes:
        """What a URL holds, on whatever host, without the key.

        :raises SoraConfigError: the URL is not to be fetched, or answers anything but 200
        """
        return self._run(opening.fetch(url))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> SoraClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, flow: Flow[ResultT]) -> ResultT:
        steps = self._drive(flow)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]

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
        except (httpx.RequestError, SoraConfigError, SoraConnectionError) as error:
            return error
        except (httpx.InvalidURL, UnicodeError) as error:
            return _no_location(error)

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


class AsyncSoraClient:
    """The Videos API on an event loop.

    :param verify: from `ssl_context`, which is not to be called on the loop
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
        self.config = config
        self._policy = policy or RequestRetryPolicy()
        self._jitter = jitter
        self._codec = HttpCodec(config, clock, monotonic)
        self._sleep = sleep
        self._http = httpx.AsyncClient(transport=transport, verify=verify)

    @classmethod
    async def create(cls, config: SoraConfig, policy: RequestRetryPolicy | None = None) -> AsyncSoraClient:
        """A client whose certificates were read off the loop."""
        return cls(config, policy, verify=await asyncio.to_thread(ssl_context, config))

    async def send(self, request: Request[ResponseT]) -> ResponseT:
        """Send a request, again where that is safe, and return its answer.

        :raises SoraError: what became of it instead
        """
        return await self._run(flows.call(request, self._policy, self._jitter))

    async def exchange(self, request: Request[ResponseT]) -> tuple[ResponseT, Response]:
        """Send a request once; its answer, and what it came with.

        :raises SoraError: what became of it instead
        """
        return await self._run(flows.exchange(request))

    async def wait(self, state: Wait, on_change: OnChange = _ignore) -> Video:
        """Poll a job until it is a video; see `wait_flow.wait`."""
        return await self._run(wait_flow.wait(state, on_change, self._jitter))

    async def list_videos(self, first: ListVideos | None = None) -> AsyncIterator[Video]:
        """The list's videos, page by page, in the server's order; always ends."""
        pages = Pages(first or ListVideos())
        while pages.next is not None:
            for video in pages.take(await self.send(pages.next)):
                yield video

    def read_content(self, request: DownloadContent) -> AsyncGenerator[bytes, None]:
        """The bytes of a video as they come; ends only where they have been checked and found whole.

        :raises SoraContentError: what came is not whole, or not what was asked for
        """
        return self._drive(reading.read(request, self._policy, self._jitter, _ignore, self.config.low_speed), [])

    @property
    def clock_offset_seconds(self) -> float:
        """How far the server's clock is ahead of ours, by the `Date` of its last answer."""
        return self._codec.clock_offset_seconds

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncSoraClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, flow: Flow[ResultT]) -> ResultT:
        results: list[ResultT] = []
        _ = [chunk async for chunk in self._drive(flow, results)]
        return results[0]

    async def _drive(self, flow: Flow[ResultT], results: list[ResultT]) -> AsyncGenerator[bytes, None]:
        body = AsyncResponseBody()
        outcome: Outcome | None = None
        try:
            while True:
                large = isinstance(outcome, Response) and len(outcome.body) > _LARGE_JSON_BYTES
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
        except (httpx.RequestError, SoraConfigError, SoraConnectionError) as error:
            return error
        except (httpx.InvalidURL, UnicodeError) as error:
            return _no_location(error)

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
    """A flow's result. (No `StopIteration` crosses a thread.)"""

    value: ResultT


def _next_step(flow: Flow[ResultT], outcome: Outcome | None) -> Step | _Ended[ResultT]:
    try:
        return advance(flow, outcome)
    except StopIteration as stop:
        return _Ended(stop.value)
