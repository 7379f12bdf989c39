"""Servers that are never silent for long and never done: everything ends all the same."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import httpcore
import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.content import opening, reading
from airflow_provider_sora.api.content.throughput import ThroughputMeter
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import LowSpeed, SoraConfig
from airflow_provider_sora.api.http.time_limit import keep_time_limit, time_limit
from airflow_provider_sora.api.protocol.requests import DownloadContent, RetrieveVideo
from tests.api.conftest import Server
from tests.api.http.test_response_body import TcpServer, head
from tests.media import mp4

LIMIT = LowSpeed(bytes_per_second=100, seconds=10)
VIDEO = mp4(3000)


def test_what_comes_fast_enough_is_never_too_slow() -> None:
    meter = ThroughputMeter(LIMIT, 1)
    meter.start(5.0)
    for second in range(6, 100):
        meter.add(second, 100)


def test_what_comes_slower_for_so_long_is_too_slow_and_not_before() -> None:
    meter = ThroughputMeter(LIMIT, 2)
    meter.start(5.0)
    meter.add(14.9, 100)
    with pytest.raises(exceptions.SoraConnectionError, match=r"content is too slow: 999 bytes came in 10 s; low_speed"):
        meter.add(15.0, 899)
    meter.add(24.9, 10)  # measured anew
    with pytest.raises(exceptions.SoraContentError, match="repeatedly too slow: 11 bytes came in 20 s") as caught:
        meter.add(35.0, 1)
    assert caught.value.retryable


def test_exactly_the_least_is_enough_and_an_end_is_never_too_slow() -> None:
    meter = ThroughputMeter(LIMIT, 1)
    meter.start(0.0)
    meter.add(10.0, 1000)
    meter.add(1000.0, 0)


def test_the_time_that_others_take_does_not_count() -> None:
    meter = ThroughputMeter(LIMIT, 1)
    meter.start(0.0)
    for second in range(1, 100):
        meter.resume(second * 1000)
        meter.add(second * 1000 + 1, 100)


def test_a_new_body_is_measured_anew() -> None:
    meter = ThroughputMeter(LIMIT, 1)
    meter.start(0.0)
    meter.add(9.0, 1)
    meter.start(9.0)
    meter.add(18.0, 1)


def test_zero_is_no_limit() -> None:
    meter = ThroughputMeter(LowSpeed(0, 1), 1)
    meter.start(0.0)
    meter.add(1000.0, 1)


class Slow(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body whose pieces take their time, by the test's own clock."""

    def __init__(self, server: Server, body: bytes, step: int, seconds: float) -> None:
        self.server, self.body, self.step, self.seconds = server, body, step, seconds

    def __iter__(self) -> Any:
        for at in range(0, len(self.body), self.step):
            self.server.now += self.seconds
            yield self.body[at : at + self.step]

    async def __aiter__(self) -> Any:
        for chunk in self:
            yield chunk


@pytest.fixture(params=[True, False], ids=["blocking", "async"])
def blocking(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def slowly(server: Server, step: int, seconds: float, *, ranges: bool) -> Callable[[httpx.Request], httpx.Response]:
    """Hand the video out in pieces; from the second request on without any pause where `ranges` are known."""

    def handle(request: httpx.Request) -> httpx.Response:
        server.requests.append(request)
        wanted = request.headers.get("range", "") if ranges else ""
        begin = int(wanted.removeprefix("bytes=").removesuffix("-") or 0)
        headers = {"Content-Length": str(len(VIDEO) - begin), "ETag": '"one"'}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(VIDEO) - 1}/{len(VIDEO)}"
        pause = 0.0 if begin else seconds
        return httpx.Response(206 if begin else 200, headers=headers, stream=Slow(server, VIDEO[begin:], step, pause))

    return handle


def download(
    server: Server, handle: Callable[[httpx.Request], httpx.Response], *, blocking: bool, between: float = 0.0
) -> bytes:
    """Read a video by a client whose clock is the test's.

    :param between: seconds that whoever reads takes after each piece
    """
    config = SoraConfig("http://server", low_speed_limit=100, low_speed_seconds=10)
    policy = RequestRetryPolicy(attempts=3, base_seconds=1)
    transport = httpx.MockTransport(handle)
    request = DownloadContent(video_id="v")
    clocks: dict[str, Any] = {"clock": lambda: server.now, "monotonic": lambda: server.now, "jitter": lambda: 0.0}
    parts: list[bytes] = []
    if blocking:
        with SoraClient(config, policy, transport=transport, sleep=server.sleep, **clocks) as client:
            for chunk in client.read_content(request):
                parts.append(chunk)
                server.now += between
        return b"".join(parts)

    async def use() -> bytes:
        async with AsyncSoraClient(config, policy, transport=transport, sleep=server.asleep, **clocks) as client:
            async for chunk in client.read_content(request):
                parts.append(chunk)
                server.now += between
        return b"".join(parts)

    return asyncio.run(use())


def test_content_that_is_too_slow_is_continued_where_it_was(server: Server, blocking: bool) -> None:
    assert download(server, slowly(server, 50, 1.0, ranges=True), blocking=blocking) == VIDEO
    # The piece that showed it is not handed on: it comes again.
    assert [request.headers.get("range") for request in server.requests] == [None, "bytes=450-"]


def test_content_that_is_too_slow_again_and_again_is_given_up(server: Server, blocking: bool) -> None:
    begun = server.now
    with pytest.raises(exceptions.SoraContentError, match="repeatedly too slow: 500 bytes came in 10 s"):
        download(server, slowly(server, 50, 1.0, ranges=False), blocking=blocking)
    assert len(server.requests) == 3
    assert server.now - begun < 40


def test_whoever_takes_the_bytes_may_take_their_time(server: Server, blocking: bool) -> None:
    handle = slowly(server, 50, 0.1, ranges=False)
    assert download(server, handle, blocking=blocking, between=60) == VIDEO
    assert len(server.requests) == 1


def test_content_without_end_ends(server: Server, blocking: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_CONTENT_BYTES", 2000)
    with pytest.raises(exceptions.SoraContentError, match="content of video v has more than 2000 bytes"):
        download(server, slowly(server, 50, 0.0, ranges=False), blocking=blocking)
    monkeypatch.setattr(reading, "MAX_CONTENT_BYTES", len(VIDEO))
    assert download(server, slowly(server, 50, 0.0, ranges=False), blocking=blocking) == VIDEO


def test_an_answer_that_takes_longer_altogether_is_given_up_by_the_clients_own_clock(server: Server) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Slow(server, b" " * 100, 10, 2.0))

    config = SoraConfig("http://server", total_timeout_seconds=5)
    transport = httpx.MockTransport(handle)
    with (
        SoraClient(config, RequestRetryPolicy(attempts=1), transport=transport, monotonic=lambda: server.now) as client,
        pytest.raises(exceptions.SoraConnectionError, match="not complete within the total time limit"),
    ):
        client.send(RetrieveVideo(video_id="v"))


def dripping(begin: bytes, drop: bytes = b"x") -> Callable[[socket.socket], None]:
    """Send a beginning, and then a byte now and then until nobody listens."""

    def act(connection: socket.socket) -> None:
        connection.sendall(begin)
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(drop)
                time.sleep(0.02)

    return act


HEADS = {
    "head": (b"HTTP/1.1 200 OK\r\nX-Long: ", "ReadTimeout"),
    "chunk's frame": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "ReadTimeout"),
    "body": (head(VIDEO) + VIDEO[:100], "too slow"),
}


@pytest.mark.parametrize("where", HEADS)
def test_a_server_that_drips_does_not_hold_a_download(where: str, blocking: bool) -> None:
    begin, words = HEADS[where]
    with TcpServer(dripping(begin)) as server:
        config = SoraConfig(
            server.url, timeout_seconds=0.3, total_timeout_seconds=0.3, low_speed_limit=100_000, low_speed_seconds=0.3
        )
        begun = time.monotonic()
        with pytest.raises(exceptions.SoraError, match=words):
            read_with(config, DownloadContent(video_id="v"), blocking=blocking)
        assert time.monotonic() - begun < 3


def read_with(config: SoraConfig, request: DownloadContent, *, blocking: bool) -> None:
    policy = RequestRetryPolicy(attempts=1)
    if blocking:
        with SoraClient(config, policy) as client:
            list(client.read_content(request))
        return

    async def use() -> None:
        async with AsyncSoraClient(config, policy) as client:
            _ = [chunk async for chunk in client.read_content(request)]

    asyncio.run(use())


@pytest.mark.parametrize("where", ["head", "chunk's frame"])
def test_a_server_that_drips_does_not_hold_a_call(where: str, blocking: bool) -> None:
    with TcpServer(dripping(HEADS[where][0])) as server:
        config = SoraConfig(server.url, timeout_seconds=0.3, total_timeout_seconds=0.3)
        begun = time.monotonic()
        with pytest.raises(exceptions.SoraConnectionError):
            call_with(config, blocking=blocking)
        assert time.monotonic() - begun < 3


def call_with(config: SoraConfig, *, blocking: bool) -> None:
    policy = RequestRetryPolicy(attempts=1)
    if blocking:
        with SoraClient(config, policy) as client:
            client.send(RetrieveVideo(video_id="v"))
        return

    async def use() -> None:
        async with AsyncSoraClient(config, policy) as client:
            await client.send(RetrieveVideo(video_id="v"))

    asyncio.run(use())


def test_a_picture_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_FETCH_SECONDS", 0.2)
    with (
        TcpServer(dripping(head(VIDEO))) as server,
        SoraClient(SoraConfig(server.url, allow_private_urls=True)) as client,
        pytest.raises(exceptions.SoraConnectionError, match=r"was not complete within 0\.2 s"),
    ):
        client.fetch(f"{server.url}/cat.png")


class Recorder(httpcore.NetworkStream, httpcore.NetworkBackend):
    """A connection that notes how long it was allowed to take."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b"x"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return self

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return self

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return info

    def close(self) -> None:
        self.timeouts.append(-1)

    def sleep(self, seconds: float) -> None:
        self.timeouts.append(-seconds)


def test_no_read_or_write_may_take_longer_than_what_is_left() -> None:
    recorder = Recorder()
    with httpx.Client(trust_env=False) as client:
        pool: Any = client._transport._pool  # type: ignore[attr-defined]
        pool._network_backend = recorder
        keep_time_limit(client)
        backend = pool._network_backend
    for stream in (backend.connect_tcp("h", 1), backend.connect_unix_socket("s").start_tls(None)):
        recorder.timeouts.clear()
        stream.read(1, 7.0)
        with time_limit(None):
            stream.write(b"x", 7.0)
        with time_limit(5.0):
            stream.read(1, 7.0)
            stream.write(b"x", 3.0)
            stream.read(1)
        unlimited, other, limited, short, none = recorder.timeouts
        assert (unlimited, other, short) == (7.0, 7.0, 3.0)
        assert limited is not None
        assert none is not None
        assert 4 < none <= limited <= 5
        with time_limit(0.0):
            with pytest.raises(httpcore.ReadTimeout, match="the total time limit has passed"):
                stream.read(1, 7.0)
            with pytest.raises(httpcore.WriteTimeout):
                stream.write(b"x", 7.0)
        stream.read(1, 7.0)
        assert recorder.timeouts[-1] == 7.0
        assert stream.get_extra_info("socket") == "socket"
        stream.close()
        backend.sleep(2)
        assert recorder.timeouts[-2:] == [-1, -2]


def test_a_client_without_a_pool_is_left_alone() -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        keep_time_limit(client)
        assert client.get("http://server").status_code == 200
