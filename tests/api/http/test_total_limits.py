"""Answers that drip, or unpack without end: each exchange has a limit as a whole."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import bounded_body
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.requests import CreateVideo, RetrieveVideo
from airflow_provider_sora.exceptions import (
    SoraAmbiguousError,
    SoraConfigError,
    SoraConnectionError,
    SoraServerError,
    SoraWaitTimeoutError,
)
from tests.api.conftest import CONFIG, answer, job
from tests.api.job_world import World, outcomes
from tests.api.virtual_time import in_virtual_time

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends a byte every 50 ms, for ever."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65536)
            connection.sendall(HEAD)
            while not stopped.wait(0.05):
                connection.sendall(b" ")

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    stopped.set()
    listener.close()


def use(config: SoraConfig, blocking: bool, what: Callable[[Any], Any], **fields: Any) -> None:
    """Do something with a client of one kind or the other, without retries."""
    policy = RequestRetryPolicy(attempts=1)

    async def use_async() -> None:
        async with AsyncSoraClient(config, policy, **fields) as client:
            await what(client)

    if not blocking:
        asyncio.run(use_async())
        return
    with SoraClient(config, policy, **fields) as client:
        what(client)


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize(
    ("request_", "error"),
    [(RetrieveVideo(video_id="video_1"), SoraConnectionError), (CreateVideo(prompt="a"), SoraAmbiguousError)],
)
def test_an_answer_that_drips_is_left_after_the_total_time(
    dripping: str, blocking: bool, request_: RetrieveVideo | CreateVideo, error: type[Exception]
) -> None:
    config = SoraConfig(dripping, total_timeout_seconds=0.3)
    begun = time.monotonic()

    with pytest.raises(error, match="ReadTimeout"):
        use(config, blocking, lambda client: client.send(request_))
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("blocking", [True, False])
def test_a_wait_of_a_moment_ends_soon_though_the_answer_drips(
    dripping: str, blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_sora.api.decisions.polling.LAST_POLL_SECONDS", 0.3)
    begun = time.monotonic()
    wait = Wait("video_1", time.time() + 0.2, 0.1)

    with pytest.raises(SoraWaitTimeoutError):
        use(SoraConfig(dripping), blocking, lambda client: client.wait(wait))
    assert time.monotonic() - begun < 5


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize(("status", "error"), [(200, SoraConnectionError), (500, SoraServerError)])
def test_an_answer_that_unpacks_without_end_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, blocking: bool, status: int, error: type[Exception]
) -> None:
    monkeypatch.setattr(bounded_body, "MAX_JSON_BYTES", 100_000)
    packed = gzip.compress(b" " * 3_000_000)
    pieces = Pieces([packed[at : at + 100] for at in range(0, len(packed), 100)])

    def bomb(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"content-encoding": "gzip"}, stream=pieces)

    request = RetrieveVideo(video_id="video_1")
    with pytest.raises(error) as caught:
        use(CONFIG, blocking, lambda client: client.send(request), transport=httpx.MockTransport(bomb))
    if status == 200:
        assert "the response is larger than 100000 bytes" in str(caught.value)


def test_the_total_limit_has_to_be_a_time() -> None:
    with pytest.raises(SoraConfigError, match="total_timeout_seconds is 0"):
        SoraConfig("http://server", total_timeout_seconds=0)


@in_virtual_time
async def test_sixteen_answers_that_drip_do_not_stop_the_other_waits() -> None:
    async with World() as world:

        async def drip(request: httpx.Request) -> httpx.Response | None:
            if "slow" in request.url.path:
                await asyncio.sleep(10_000)
            return None

        world.server.before_job = drip
        for number in range(16):
            world.server.add(f"slow_{number}", 60, listed=False)
        slow = [world.start(f"slow_{number}", timeout=900) for number in range(16)]
        await asyncio.sleep(20)
        world.server.add("video_1", 30)
        begun = world.clock()
        assert (await world.start("video_1")).status.value == "completed"
        assert world.clock() - begun < 120
        assert set(await outcomes(slow)) <= {"SoraWaitError", "SoraWaitTimeoutError"}


def test_a_body_that_came_whole_in_time_is_read() -> None:
    response = answer(job())
    assert bounded_body.read(response, 5.0, lambda: 4.0) == response.content
