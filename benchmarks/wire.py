"""Just enough HTTP/1.1 for servers that cost little: a thread for each connection, bodies never kept."""

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

PIECE = 1 << 20  # bytes moved by one call
THROTTLED_PIECE = 1 << 16  # small pieces keep the pace even
_CREDIT = 0.02  # seconds that a line which was not used may catch up


class Line:
    """A line of so many bytes in a second, which all connections of a server share.

    :param rate: bytes in a second; 0: as fast as it goes
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0
        self._lock = threading.Lock()
        self.piece = THROTTLED_PIECE if rate else PIECE

    def use(self, count: int) -> None:
        """Take the time that `count` bytes need."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._free = max(self._free, now - _CREDIT) + count / self._rate
            pause = self._free - now
        if pause > 0:
            time.sleep(pause)


@dataclass(frozen=True)
class Request:
    """The head of a request; names of headers are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return int(self.headers.get("content-length", 0))


@dataclass(frozen=True)
class Answer:
    """An answer with a small body."""

    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def head(self, length: int) -> bytes:
        """The answer's head, for a body of `length` bytes."""
        lines = [f"HTTP/1.1 {self.status}"]
        lines += [f"{name}: {value}" for name, value in {"Content-Length": str(length), **self.headers}.items()]
        return "\r\n".join((*lines, "", "")).encode()


class Connection:
    """One client's connection."""

    def __init__(self, sock: socket.socket, line: Line) -> None:
        self.sock = sock
        self.line = line
        self._ahead = b""
        self._scratch = bytearray(PIECE)

    def request(self) -> Request | None:
        """The next request's head; None: the client is gone."""
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
        """Read a body and throw it away; how many bytes of content it held."""
        if "chunked" not in request.headers.get("transfer-encoding", ""):
            self._discard(request.length)
            return request.length
        count = self._discard_chunks()
        return int(request.headers.get("x-amz-decoded-content-length", count))

    def take(self, count: int) -> bytes:
        """A small body."""
        while len(self._ahead) < count and self._more():
            pass
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        return taken

    def answer(self, answer: Answer, *, bodiless: bool = False) -> None:
        """Send an answer; one to HEAD has no body."""
        self.sock.sendall(answer.head(len(answer.body)) + (b"" if bodiless else answer.body))

    def _discard(self, count: int) -> None:
        count -= len(self.take(min(count, len(self._ahead))))
        while count:
            # MSG_TRUNC spares even the copy out of the kernel: a real store costs this machine nothing either.
            got = self.sock.recv_into(self._scratch, min(count, self.line.piece), socket.MSG_TRUNC)
            if not got:
                raise ConnectionError("a body broke off")
            self.line.use(got)
            count -= got

    def _discard_chunks(self) -> int:
        total = 0
        while size := int((self._until(b"\r\n") or b"0").partition(b";")[0], 16):
            self._discard(size + 2)
            total += size
        while self._until(b"\r\n"):  # trailers
            pass
        return total

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._ahead:
            if not self._more():
                return None
        found, _, self._ahead = self._ahead.partition(mark)
        return found

    def _more(self) -> bool:
        data = self.sock.recv(THROTTLED_PIECE)
        self._ahead += data
        return bool(data)


def serve(handle: Callable[[Connection, Request], None], line: Line) -> None:
    """Serve on a free port of loopback, which is printed, until stdin ends: with the one who started this."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    end_with_parent()
    announce(listener.getsockname()[1])
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_converse, args=(Connection(sock, line), handle), daemon=True).start()


def announce(port: int) -> None:
    """Tell the one who started this where to find it."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def end_with_parent() -> None:
    """Leave no process behind where the benchmark itself is killed."""

    def watch() -> None:
        os.read(0, 1)  # not through `sys.stdin`, whose lock a process that ends would wait for
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _converse(connection: Connection, handle: Callable[[Connection, Request], None]) -> None:
    with connection.sock, contextlib.suppress(ConnectionError):
        while (request := connection.request()) is not None:
            handle(connection, request)
