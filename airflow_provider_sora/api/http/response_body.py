"""The body of a response, as a stream of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpcore
import httpx

# Reading through httpx costs about four times the CPU of reading the connection, which pays for large bodies only.
_LARGE_BYTES = 1024 * 1024
_READ_BYTES = 1048576


class ResponseBody:
    """The body that is being read, if any.

    A large body of known length is read from the connection itself (httpx's ``network_stream``) after the bytes that
    httpx has read together with the headers. Such a connection is not used again.
    """

    response: httpx.Response
    _chunks: Iterator[bytes] = iter(())
    _left: int | None = None  # bytes to read from the connection itself
    _begun = False

    def open(self, response: httpx.Response) -> None:
        self.close()
        self.response, self._chunks, self._left, self._begun = response, response.iter_raw(), None, False

    def read(self) -> bytes:
        """The next bytes; none at the end.

        :raises httpx.RequestError: the connection broke, or ended before the body did
        """
        if self._left is not None:
            return self._read_connection(self._left)
        chunk = next(self._chunks, b"")
        if not self._begun:
            self._begun = True
            left = _plain_length(self.response) - len(chunk)
            if left >= _LARGE_BYTES and "network_stream" in self.response.extensions:
                self._left = left
        return chunk

    def close(self) -> None:
        if hasattr(self, "response"):
            self.response.close()

    def _read_connection(self, left: int) -> bytes:
        if not left:
            return b""
        try:
            chunk = self._receive(min(left, _READ_BYTES))
            if not chunk:
                raise httpx.RemoteProtocolError(f"the connection was closed, {left} bytes are missing")
        except httpx.RequestError:
            # As httpx does: the connection may be open, and a server with one connection only would not accept another.
            self.response.close()
            raise
        self._left = left - len(chunk)
        return chunk

    def _receive(self, most: int) -> bytes:
        stream: Any = self.response.extensions["network_stream"]
        timeout = self.response.request.extensions.get("timeout", {}).get("read")
        try:
            return stream.read(most, timeout)  # type: ignore[no-any-return]
        except httpcore.TimeoutException as error:
            raise httpx.ReadTimeout(str(error)) from error
        except httpcore.NetworkError as error:
            raise httpx.ReadError(str(error)) from error


class AsyncResponseBody:
    """The body that is being read on an event loop, if any."""

    response: httpx.Response
    _chunks: AsyncIterator[bytes]

    async def open(self, response: httpx.Response) -> None:
        await self.close()
        self.response, self._chunks = response, response.aiter_raw()

    async def read(self) -> bytes:
        return await anext(self._chunks, b"")

    async def close(self) -> None:
        if hasattr(self, "response"):
            await self.response.aclose()


def _plain_length(response: httpx.Response) -> int:
    """The length of the body, if it is sent without transfer encoding; otherwise 0."""
    length = response.headers.get("content-length", "")
    if response.http_version != "HTTP/1.1" or "transfer-encoding" in response.headers or not length.isdigit():
        return 0
    return int(length)
