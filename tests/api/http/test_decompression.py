"""Answers that unpack to more than they seem: over real connections, because httpx unpacks on its own in between."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import bounded_body, decompression
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.decompression import Decompressor
from airflow_provider_sora.api.protocol.requests import CreateVideo, Request, RetrieveVideo
from tests.api.conftest import Client, Server, answer, job
from tests.api.http.test_response_body import TcpServer, head

MIB = 1024 * 1024


@pytest.fixture(params=[True, False], ids=["blocking", "async"])
def blocking(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def send(server: TcpServer, request: Request[Any], *, blocking: bool) -> Any:
    config, policy = SoraConfig(server.url), RequestRetryPolicy(attempts=1)
    if blocking:
        with SoraClient(config, policy) as client:
            return client.send(request)

    async def use() -> Any:
        async with AsyncSoraClient(config, policy) as client:
            return await client.send(request)

    return asyncio.run(use())


def bomb(size: int) -> bytes:
    """So many blanks, packed a thousandfold."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b" " * MIB) for _ in range(size // MIB)), packer.flush()])


BOMB = bomb(256 * MIB)
RETRIEVE = RetrieveVideo(video_id="video_1")
PACK = {
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
    " Deflate": lambda body: zlib.compress(body, wbits=-15),
}


def peak_of(server: TcpServer, request: Request[Any], words: str, *, blocking: bool) -> float:
    """The most memory that was held, in MiB, while an answer was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(exceptions.SoraError, match=words):
            send(server, request, blocking=blocking)
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def test_an_answer_that_unpacks_without_end_costs_no_more_than_its_limit(blocking: bool) -> None:
    assert len(BOMB) < 400_000
    with TcpServer(head(BOMB, "Content-Encoding: gzip") + BOMB) as server:
        peak = peak_of(server, RETRIEVE, f"the response is larger than {64 * MIB} bytes", blocking=blocking)
    assert peak < 72


def test_an_error_that_unpacks_without_end_costs_nothing(blocking: bool) -> None:
    with TcpServer(head(BOMB, "Content-Encoding: gzip", status="500 No") + BOMB) as server:
        peak = peak_of(server, RETRIEVE, "answered HTTP 500", blocking=blocking)
    assert peak < 8


def test_a_paid_answer_that_is_too_large_may_have_been_accepted(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_body, "MAX_JSON_BYTES", 1000)
    server.will(answer(job(prompt="x" * 1000)))
    with pytest.raises(exceptions.SoraAmbiguousError, match="larger than 1000 bytes"):
        client.send(CreateVideo(prompt="a cat"))


@pytest.mark.parametrize("size", [1000, 1001])
def test_the_limit_is_exact(blocking: bool, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    bare = len(json.dumps(job(prompt="")))
    body = json.dumps(job(prompt="x" * (size - bare))).encode()
    packed = gzip.compress(body)
    monkeypatch.setattr(bounded_body, "MAX_JSON_BYTES", 1000)
    for packet in (head(body) + body, head(packed, "Content-Encoding: gzip") + packed):
        with TcpServer(packet) as server:
            if size == 1000:
                assert send(server, RETRIEVE, blocking=blocking)
            else:
                with pytest.raises(exceptions.SoraConnectionError, match="larger than 1000 bytes"):
                    send(server, RETRIEVE, blocking=blocking)


@pytest.mark.parametrize("encoding", PACK)
def test_a_packed_answer_is_read_though_none_was_asked_for(blocking: bool, encoding: str) -> None:
    body = PACK[encoding](json.dumps(job(prompt="x" * 100_000)).encode())
    with TcpServer(head(body, f"Content-Encoding: {encoding}") + body) as server:
        assert send(server, RETRIEVE, blocking=blocking).id == "video_1"
    [[asked]] = server.connections
    assert "\r\naccept-encoding: identity\r\n" in asked.lower()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_an_encoding_that_was_not_asked_for_is_named(blocking: bool, encoding: str) -> None:
    with (
        TcpServer(head(b"{}", f"Content-Encoding: {encoding}") + b"{}") as server,
        pytest.raises(exceptions.SoraConnectionError, match=f"has the encoding '{encoding}', which was not requested"),
    ):
        send(server, RETRIEVE, blocking=blocking)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_cannot_be_unpacked_is_an_error_of_ours(blocking: bool, encoding: str) -> None:
    body = b"\xff" * 100
    with (
        TcpServer(head(body, f"Content-Encoding: {encoding}") + body) as server,
        pytest.raises(exceptions.SoraConnectionError, match="the response cannot be decompressed"),
    ):
        send(server, RETRIEVE, blocking=blocking)


@settings(deadline=None)
@given(st.binary(max_size=3000), st.sampled_from(list(PACK)), st.integers(1, 50), st.integers(1, 300))
def test_however_it_comes_it_is_unpacked(content: bytes, encoding: str, step: int, most: int) -> None:
    packed = PACK[encoding](content * 3)
    decompressor = Decompressor(encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decompression, "STEP_BYTES", most)
        pieces = [piece for at in range(0, len(packed), step) for piece in decompressor.feed(packed[at : at + step])]
    assert b"".join(pieces) == content * 3
    assert max(map(len, pieces), default=0) <= most


def test_a_body_that_is_not_packed_is_left_alone() -> None:
    assert list(Decompressor("identity").feed(b"abc")) == [b"abc"]
    with pytest.raises(httpx.DecodingError):
        Decompressor("compress")
