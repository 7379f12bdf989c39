"""A minimal HTTP/1.1 server on loopback that costs little CPU: a thread for each connection, bodies are not kept."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

CHUNK_BYTES = 1 << 20  # moved by one system call
THROTTLED_CHUNK_BYTES = 1 << 16  # small chunks keep the rate even
_CREDIT_SECONDS = 0.02  # how much unused time may be caught up


class Bandwidth:
    """A limit on the bytes per second, which all connections of a server share.

    :param rate: bytes per second; 0: no limit
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0
        self._lock = threading.Lock()
        self.chunk_bytes = THROTTLED_CHUNK_BYTES if rate else CHUNK_BYTES

    def use(self, count: int) -> None:
        """Wait as long as `count` bytes take."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._free = max(self._free, now - _CREDIT_SECONDS) + count / self._rate
            pause = self._free - now
        if pause > 0:
            time.sleep(pause)


@dataclass(frozen=True)
class Request:
    """The head of a request; the names of headers are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def length(self) -> int:
        """The length of the body in bytes."""
        return int(self.headers.get("content-length", 0))


@dataclass(frozen=True)
class Response:
    """A response with a small body."""

    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def head(self, length: int) -> bytes:
        """The head of the response, for a body of `length` bytes."""
        lines = [f"HTTP/1.1 {self.status}"]
        lines += [f"{name}: {value}" for name, value in {"Content-Length": str(length), **self.headers}.items()]
        return "\r\n".join((*lines, "", "")).encode()


class Connection:
    """The connection of one client."""

    def __init__(self, sock: socket.socket, bandwidth: Bandwidth) -> None:
        self.sock = sock
        self.bandwidth = bandwidth
        self._buffer = b""
        self._discarded = bytearray(CHUNK_BYTES)

    def request(self) -> Request | None:
        """The head of the next request; None: the client has closed the connection."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("expect") == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(method, unquote(parts.path), query, headers)

    def discard(self, request: Request) -> int:
        """Read a body and discard it; returns the length of its content in bytes."""
        if "chunked" not in request.headers.get("transfer-encoding", ""):
            self._discard(request.length)
            return request.length
        count = self._discard_chunks()
        return int(request.headers.get("x-amz-decoded-content-length", count))

    def read(self, count: int) -> bytes:
        """Read a small body."""
        while len(self._buffer) < count and self._more():
            pass
        body, self._buffer = self._buffer[:count], self._buffer[count:]
        return body

    def respond(self, response: Response, *, head_only: bool = False) -> None:
        """Send a response; one to HEAD has no body."""
        self.sock.sendall(response.head(len(response.body)) + (b"" if head_only else response.body))

    def _discard(self, count: int) -> None:
        count -= len(self.read(min(count, len(self._buffer))))
        while count:
            # MSG_TRUNC avoids even the copy out of the kernel: a remote store costs this machine nothing either.
            received = self.sock.recv_into(self._discarded, min(count, self.bandwidth.chunk_bytes), socket.MSG_TRUNC)
            if not received:
                raise ConnectionError("the connection was closed within a body")
            self.bandwidth.use(received)
            count -= received

    def _discard_chunks(self) -> int:
        total = 0
        while size := int((self._until(b"\r\n") or b"0").partition(b";")[0], 16):
            self._discard(size + 2)
            total += size
        while self._until(b"\r\n"):  # trailers
            pass
        return total

    def _until(self, separator: bytes) -> bytes | None:
        while separator not in self._buffer:
            if not self._more():
                return None
        found, _, self._buffer = self._buffer.partition(separator)
        return found

    def _more(self) -> bool:
        data = self.sock.recv(THROTTLED_CHUNK_BYTES)
        self._buffer += data
        return bool(data)


def serve(handle: Callable[[Connection, Request], None], bandwidth: Bandwidth) -> None:
    """Serve on a free loopback port, which is printed, until stdin is closed by the parent process."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    end_with_parent()
    announce(listener.getsockname()[1])
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_converse, args=(Connection(sock, bandwidth), handle), daemon=True).start()


def announce(port: int) -> None:
    """Print the port for the parent process."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def end_with_parent() -> None:
    """End this process once its parent has ended, even if it was killed."""

    def watch() -> None:
        os.read(0, 1)  # not by `sys.stdin`, whose lock would block the end of the process
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _converse(connection: Connection, handle: Callable[[Connection, Request], None]) -> None:
    with connection.sock, contextlib.suppress(ConnectionError):
        while (request := connection.request()) is not None:
            handle(connection, request)
