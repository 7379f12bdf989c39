"""A limit on the total time that a thread spends on its connections.

httpx limits each read. A server that sends a byte now and then, in the headers or in the frame of a chunk, never
reaches that timeout: here each read and write gets no more time than is left of the total.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

_limit = threading.local()


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Limit the total time of what this thread sends and receives on clients prepared by `keep_time_limit`."""
    _limit.ends_at = None if seconds is None else time.monotonic() + seconds
    try:
        yield
    finally:
        _limit.ends_at = None


def keep_time_limit(client: httpx.Client) -> None:
    """Make a client's connections keep the limit.

    httpx has no public way to set the network backend of its pools; if a newer version stores it elsewhere, only each
    read is limited.
    """
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = _Backend(pool._network_backend)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _shortened(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _shortened(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *arguments: Any, **named: Any) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(*arguments, **named))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, *arguments: Any, **named: Any) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_tcp(*arguments, **named))

    def connect_unix_socket(self, *arguments: Any, **named: Any) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_unix_socket(*arguments, **named))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


def _shortened(timeout: float | None, error: type[Exception]) -> float | None:
    ends_at: float | None = getattr(_limit, "ends_at", None)
    if ends_at is None:
        return timeout
    left = ends_at - time.monotonic()
    if left <= 0:
        raise error("the total time limit has passed")
    return left if timeout is None else min(timeout, left)
