"""Reading a whole answer within a total time and size, however it drips or unpacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from airflow_provider_sora.api.http.decompression import Unpacker

MAX_JSON_BYTES = 64 * 1024 * 1024  # after decoding; the longest list page known takes a few MiB
MAX_ERROR_BYTES = 64 * 1024


class _Kept:
    """What of a body is kept, piece by piece."""

    def __init__(self, response: httpx.Response) -> None:
        self._is_error = response.status_code >= 300
        self._unpacker = _unpacker(response)
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, raw: bytes) -> bool:
        """Keep a piece; whether any more is wanted.

        :raises httpx.RequestError: it cannot be unpacked, or is too large for an answer
        """
        return all(self._keep(chunk) for chunk in self._unpacker.feed(raw))

    def _keep(self, chunk: bytes) -> bool:
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._is_error:
            return self._size < MAX_ERROR_BYTES
        if self._size > MAX_JSON_BYTES:
            raise httpx.DecodingError(f"the answer is larger than {MAX_JSON_BYTES} bytes")
        return True

    def body(self) -> bytes:
        whole = b"".join(self._chunks)
        return whole[:MAX_ERROR_BYTES] if self._is_error else whole


def _unpacker(response: httpx.Response) -> Unpacker:
    return Unpacker("" if response.is_stream_consumed else response.headers.get("content-encoding", ""))


def read(response: httpx.Response, ends_at: float, clock: Callable[[], float]) -> bytes:
    """The body, decoded; of an error only its beginning.

    A silence ends by the request's own timeout; in between the clock is asked.

    :raises httpx.RequestError: it did not come whole before `ends_at`, or is too large
    """
    kept = _Kept(response)
    # A transport in place of the network may have read the body already, and unpacked it.
    for chunk in [response.content] if response.is_stream_consumed else response.iter_raw():
        if not kept.add(chunk):
            break
        if clock() > ends_at:
            raise httpx.ReadTimeout("the answer was not whole within the total time limit")
    return kept.body()


async def read_async(response: httpx.Response) -> bytes:
    """The body, decoded; of an error only its beginning. Whoever reads limits the time, see `within`.

    :raises httpx.RequestError: the connection broke, or the body is too large
    """
    kept = _Kept(response)
    if response.is_stream_consumed:
        kept.add(response.content)
        return kept.body()
    async for chunk in response.aiter_raw():
        if not kept.add(chunk):
            break
    return kept.body()


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[None]:
    """Limit the time of an exchange as a whole; None: no limit.

    :raises httpx.ReadTimeout: it has passed
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise httpx.ReadTimeout(f"no whole answer within {seconds:g} s") from None
