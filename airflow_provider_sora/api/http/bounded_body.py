"""Reads a whole response within a total time and size, however slowly it comes and however far it decompresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from airflow_provider_sora.api.http.decompression import Decompressor

MAX_JSON_BYTES = 64 * 1024 * 1024  # after decoding; the longest list page known takes a few MiB
MAX_ERROR_BYTES = 64 * 1024


class _Collector:
    """Collects the decompressed chunks of a body, up to the limit."""

    def __init__(self, response: httpx.Response) -> None:
        self._is_error = response.status_code >= 300
        self._decompressor = _decompressor(response)
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, raw: bytes) -> bool:
        """Add a chunk; returns whether more is needed.

        :raises httpx.RequestError: it cannot be decompressed, or the body is too large
        """
        return all(self._keep(chunk) for chunk in self._decompressor.feed(raw))

    def _keep(self, chunk: bytes) -> bool:
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._is_error:
            return self._size < MAX_ERROR_BYTES
        if self._size > MAX_JSON_BYTES:
            raise httpx.DecodingError(f"the response is larger than {MAX_JSON_BYTES} bytes")
        return True

    def body(self) -> bytes:
        whole = b"".join(self._chunks)
        return whole[:MAX_ERROR_BYTES] if self._is_error else whole


def _decompressor(response: httpx.Response) -> Decompressor:
    return Decompressor("" if response.is_stream_consumed else response.headers.get("content-encoding", ""))


def read(response: httpx.Response, ends_at: float, clock: Callable[[], float]) -> bytes:
    """The decoded body; for an error only its beginning.

    The request's timeouts limit each read; the total is checked after each chunk.

    :raises httpx.RequestError: it was not complete before `ends_at`, or is too large
    """
    collector = _Collector(response)
    # A transport in place of the network may have read and decoded the body already.
    for chunk in [response.content] if response.is_stream_consumed else response.iter_raw():
        if not collector.add(chunk):
            break
        if clock() > ends_at:
            raise httpx.ReadTimeout("the response was not complete within the total time limit")
    return collector.body()


async def read_async(response: httpx.Response) -> bytes:
    """The decoded body; for an error only its beginning. The caller limits the time with `within`.

    :raises httpx.RequestError: the connection broke, or the body is too large
    """
    collector = _Collector(response)
    if response.is_stream_consumed:
        collector.add(response.content)
        return collector.body()
    async for chunk in response.aiter_raw():
        if not collector.add(chunk):
            break
    return collector.body()


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[None]:
    """Limit the total time of an exchange; None: no limit.

    :raises httpx.ReadTimeout: the limit has passed
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise httpx.ReadTimeout(f"no complete response within {seconds:g} s") from None
