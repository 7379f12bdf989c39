"""Bodies over real connections on loopback: large ones are read past httpx, which is not to be noticed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.response_body import AsyncResponseBody, ResponseBody
from airflow_provider_sora.api.protocol.requests import DownloadContent
from tests.media import mp4

MIB = 1024 * 1024
LARGE = mp4(3 * MIB + 12, hashlib.shake_256(b"a video").digest(3 * MIB))
SMALL = mp4(1012)
WITHIN = 10  # seconds until a test that hangs is failed


def head(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {size}", 'ETag: "one"', *headers, "", ""]).encode()


class TcpServer:
    """Sends each request the next of `answers`; what each connection was asked is kept.

    :param answers: bytes to send, or what is to be done with the connection; None closes it
    """

    def __init__(self, *answers: bytes | Callable[[socket.socket], None] | None) -> None:
        self.answers = list(answers)
        self.connections: list[list[str]] = []
        self.ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> TcpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        socket.create_connection(self._socket.getsockname()).close()  # wakes `accept`
        self._thread.join(WITHIN)
        self._socket.close()

    def _serve(self) -> None:
        while not self.ended.is_set():
            connection, _ = self._socket.accept()
            connection.settimeout(WITHIN)
            with connection, contextlib.suppress(OSError):
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        asked: list[str] = []
        while request := _request(connection):
            if not asked:
                self.connections.append(asked)
            asked.append(request)
            answer = self.answers.pop(0)
            if answer is None:
                return
            if isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                answer(connection)


def _request(connection: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        if not (received := connection.recv(4096)):
            return ""
        text += received
    return text.decode()


def closing(answer: bytes) -> Callable[[socket.socket], None]:
    """Send this and end the connection."""

    def act(connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    return act


def read(url: str, timeout: float = WITHIN) -> list[bytes]:
    """The pieces of one body, by `ResponseBody` alone."""
    with httpx.Client(timeout=timeout, trust_env=False) as http:
        body = ResponseBody()
        try:
            body.open(http.send(http.build_request("GET", url), stream=True))
            return list(iter(body.read, b""))
        finally:
            body.close()


def download(server: TcpServer, *, blocking: bool, timeout: float = WITHIN, attempts: int = 3) -> bytes:
    """The content of a video, by a client."""
    config = SoraConfig(server.url, timeout_seconds=timeout)
    policy = RequestRetryPolicy(attempts=attempts, base_seconds=0)
    request = DownloadContent(video_id="v")
    if blocking:
        with SoraClient(config, policy) as client:
            return b"".join(client.read_content(request))

    async def use() -> bytes:
        async with AsyncSoraClient(config, policy) as client:
            return b"".join([chunk async for chunk in client.read_content(request)])

    return asyncio.run(use())


@pytest.fixture(params=[True, False], ids=["blocking", "async"])
def blocking(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, MIB + 70_000, len(LARGE)])
def test_a_large_body_comes_whole(blocking: bool, size: int) -> None:
    body = mp4(size)
    with TcpServer(head(body) + body) as server:
        assert download(server, blocking=blocking) == body


class Spy:
    """The connection, with what was read from it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.timeouts: set[float] = set()
        self.read_bytes = 0

    def read(self, most: int, timeout: float) -> Any:
        chunk = self.stream.read(most, timeout)
        self.timeouts.add(timeout)
        self.read_bytes += len(chunk)
        return chunk


def test_a_large_body_is_read_from_the_connection_itself() -> None:
    with TcpServer(head(LARGE) + LARGE) as server, httpx.Client(timeout=WITHIN, trust_env=False) as http:
        response = http.send(http.build_request("GET", server.url), stream=True)
        spy = response.extensions["network_stream"] = Spy(response.extensions["network_stream"])
        body = ResponseBody()
        body.open(response)
        first, rest = body.read(), b"".join(iter(body.read, b""))
        assert body.read() == b""  # and again: nothing is waited for
        body.close()
    assert first + rest == LARGE
    assert (spy.read_bytes, spy.timeouts) == (len(rest), {WITHIN})


def test_a_part_is_read_from_the_connection_too() -> None:
    part = head(LARGE, f"Content-Range: bytes 5-{len(LARGE) + 4}/{len(LARGE) + 5}", status="206 Partial Content")
    with TcpServer(part + LARGE) as server:
        assert b"".join(read(server.url)) == LARGE


def test_a_body_in_chunks_comes_whole(blocking: bool) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (LARGE[:50], LARGE[50:MIB], LARGE[MIB:]))
    with TcpServer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n") as server:
        assert download(server, blocking=blocking) == LARGE


def test_a_body_of_http_1_0_comes_whole(blocking: bool) -> None:
    answer = head(LARGE).replace(b"HTTP/1.1", b"HTTP/1.0")
    with TcpServer(closing(answer + LARGE)) as server:
        assert download(server, blocking=blocking) == LARGE


def test_small_bodies_share_a_connection_and_large_ones_do_not(blocking: bool) -> None:
    def use(path: str) -> None:
        with SoraClient(SoraConfig(server.url)) as client:
            for _ in range(3):
                b"".join(client.read_content(DownloadContent(video_id=path)))

    async def use_async(path: str) -> None:
        async with AsyncSoraClient(SoraConfig(server.url)) as client:
            for _ in range(3):
                _ = [chunk async for chunk in client.read_content(DownloadContent(video_id=path))]

    with TcpServer(*[head(SMALL) + SMALL] * 3) as server:
        use("small") if blocking else asyncio.run(use_async("small"))
    assert [len(asked) for asked in server.connections] == [3]
    with TcpServer(*[head(LARGE) + LARGE] * 3) as server:
        use("large") if blocking else asyncio.run(use_async("large"))
    assert [len(asked) for asked in server.connections] == ([1, 1, 1] if blocking else [3])


def test_a_body_given_up_halfway_leaves_nothing_behind_for_the_next(blocking: bool) -> None:
    async def use_async() -> bytes:
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(2):
                body = AsyncResponseBody()
                await body.open(await http.send(http.build_request("GET", server.url), stream=True))
                first = await body.read()
                await body.close()
            return first

    def use() -> bytes:
        with httpx.Client(trust_env=False) as http:
            for _ in range(2):
                body = ResponseBody()
                body.open(http.send(http.build_request("GET", server.url), stream=True))
                first = body.read()
                body.close()
            return first

    with TcpServer(head(LARGE) + LARGE, head(SMALL) + SMALL) as server:
        first = use() if blocking else asyncio.run(use_async())
    assert SMALL.startswith(first)
    assert len(server.connections) == 2


def test_a_connection_that_ends_early_is_an_error() -> None:
    with (
        TcpServer(closing(head(LARGE) + LARGE[: 2 * MIB])) as server,
        pytest.raises(httpx.RemoteProtocolError, match=f"closed, {len(LARGE) - 2 * MIB} bytes are missing"),
    ):
        read(server.url)


def test_a_connection_that_falls_silent_is_a_timeout() -> None:
    with TcpServer(head(LARGE) + LARGE[: 2 * MIB]) as server, pytest.raises(httpx.ReadTimeout):
        read(server.url, timeout=0.2)


def reset(connection: socket.socket) -> None:
    # Closed with no time to linger, a connection is reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_connection_that_is_reset_is_an_error() -> None:
    proceed = threading.Event()

    def act(connection: socket.socket) -> None:
        connection.sendall(head(LARGE) + LARGE[:1000])
        proceed.wait(WITHIN)
        reset(connection)

    with TcpServer(act) as server, httpx.Client(trust_env=False) as http:
        body = ResponseBody()
        body.open(http.send(http.build_request("GET", server.url), stream=True))
        come = body.read()
        while len(come) < 1000:
            come += body.read()
        proceed.set()
        with pytest.raises(httpx.ReadError):
            body.read()
        body.close()
    assert come == LARGE[:1000]


def test_what_breaks_is_read_on_where_it_broke(blocking: bool) -> None:
    at = 2 * MIB
    part = head(LARGE[at:], f"Content-Range: bytes {at}-{len(LARGE) - 1}/{len(LARGE)}", status="206 Partial Content")
    with TcpServer(closing(head(LARGE) + LARGE[:at]), None, part + LARGE[at:]) as server:
        assert download(server, blocking=blocking) == LARGE
    asked = [request for connection in server.connections for request in connection]
    assert ["\r\nRange: bytes=2097152-\r\n" in request for request in asked] == [False, True, True]


def test_a_connection_that_fell_silent_is_closed_before_the_next_is_made(blocking: bool) -> None:
    """A server that has no more than one connection would not answer the next."""
    at = 2 * MIB
    part = head(LARGE[at:], f"Content-Range: bytes {at}-{len(LARGE) - 1}/{len(LARGE)}", status="206 Partial Content")

    with TcpServer(head(LARGE) + LARGE[:at], part + LARGE[at:]) as server:
        assert download(server, blocking=blocking, timeout=0.3, attempts=2) == LARGE


def test_silence_ends_a_download_that_cannot_go_on(blocking: bool) -> None:
    with (
        TcpServer(head(LARGE) + LARGE[: 2 * MIB]) as server,
        pytest.raises(exceptions.SoraConnectionError, match="ReadTimeout"),
    ):
        download(server, blocking=blocking, timeout=0.2, attempts=1)


def test_a_body_that_is_refused_is_let_go_of_before_the_next_is_asked_for(blocking: bool) -> None:
    # The server has room for one connection only: it hears of the next request once the last one has ended.
    half = head(LARGE[: len(LARGE) // 2], length=len(LARGE)) + LARGE[: len(LARGE) // 2]
    wrong = head(LARGE, f"Content-Range: bytes 7-{len(LARGE) + 6}/{len(LARGE) + 7}", status="206 Partial Content")

    def stay_open(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(wrong + LARGE)

    with TcpServer(closing(half), stay_open, head(LARGE) + LARGE) as server:
        assert download(server, blocking=blocking, timeout=3, attempts=2) == LARGE
