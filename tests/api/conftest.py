"""A scripted server, and both clients in front of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import pytest

from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.flows import OnChange
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import ListVideos, Request

ResponseT = TypeVar("ResponseT")
Answer = httpx.Response | Exception

CONFIG = SoraConfig("http://server", api_key="secret-key-123")


def job(status: str = "queued", video_id: str = "video_1", **fields: Any) -> dict[str, Any]:
    """A Video as a server answers it."""
    return {"id": video_id, "object": "video", "status": status, **fields}


def litellm_id(upstream_id: str, model: str = "m") -> str:
    """An id as LiteLLM makes them: the same job has others, which differ in the model."""
    text = f"litellm:custom_llm_provider:hosted_vllm;model_id:{model};video_id:{upstream_id}"
    return "video_" + base64.b64encode(text.encode()).decode()


def answer(payload: Any = None, status: int = 200, **headers: str) -> httpx.Response:
    """An answer with a JSON body."""
    return httpx.Response(status, json=payload, headers={name.replace("_", "-"): v for name, v in headers.items()})


class Server:
    """Answers what it is told, in order, and keeps what it was asked. Time passes only while a client sleeps."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[httpx.Request], httpx.Response]] = []
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.now = 1000.0

    def will(self, *answers: Answer | Callable[[httpx.Request], httpx.Response]) -> None:
        """Add what it answers next."""
        self.answers += answers

    def handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        response = self.answers.pop(0)
        if isinstance(response, Exception):
            raise response
        if not isinstance(response, httpx.Response):
            return response(request)
        if not response.is_stream_consumed and not response.is_closed:
            return response
        # As from the network: not read yet, and good for more than one client.
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content))

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    @property
    def paths(self) -> list[str]:
        """What was asked for: method and path with query."""
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]


class Client:
    """The blocking client, or the one on an event loop, behind the same calls."""

    def __init__(self, server: Server, *, blocking: bool, config: SoraConfig = CONFIG) -> None:
        self.server = server
        self.blocking = blocking
        self.config = config

    def send(self, request: Request[ResponseT]) -> ResponseT:
        if self.blocking:
            with self._sync() as client:
                return client.send(request)

        async def use() -> ResponseT:
            async with self._async() as client:
                return await client.send(request)

        return asyncio.run(use())

    def wait(self, state: Wait, on_change: OnChange = lambda _: None) -> Video:
        if self.blocking:
            with self._sync() as client:
                return client.wait(state, on_change)

        async def use() -> Video:
            async with self._async() as client:
                return await client.wait(state, on_change)

        return asyncio.run(use())

    def list_videos(self, first: ListVideos | None = None) -> list[Video]:
        if self.blocking:
            with self._sync() as client:
                return list(client.list_videos(first))

        async def use() -> list[Video]:
            async with self._async() as client:
                return [video async for video in client.list_videos(first)]

        return asyncio.run(use())

    def _sync(self) -> SoraClient:
        return SoraClient(
            self.config,
            RequestRetryPolicy(attempts=3, base_seconds=2, max_seconds=10),
            transport=httpx.MockTransport(self.server.handle),
            sleep=self.server.sleep,
            clock=lambda: self.server.now,
            monotonic=lambda: self.server.now,
            jitter=lambda: 0.0,
        )

    def _async(self) -> AsyncSoraClient:
        return AsyncSoraClient(
            self.config,
            RequestRetryPolicy(attempts=3, base_seconds=2, max_seconds=10),
            transport=httpx.MockTransport(self.server.handle),
            sleep=self.server.asleep,
            clock=lambda: self.server.now,
            monotonic=lambda: self.server.now,
            jitter=lambda: 0.0,
        )


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(params=[True, False], ids=["blocking", "async"])
def client(request: pytest.FixtureRequest, server: Server) -> Client:
    return Client(server, blocking=request.param)
