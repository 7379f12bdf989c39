"""A video server with one long video, for errors in the middle of a download."""

from __future__ import annotations

import json
import random
import re
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Self

from tests.http_server import LoopbackServer
from tests.media import mp4

MIB = 1024 * 1024


def long_video(size: int) -> bytes:
    """An MP4 with correct boxes and random content."""
    block = random.Random(7).randbytes(MIB)  # noqa: S311
    return mp4(size, block)


class VideoServer:
    """Listens on a free loopback port until it is closed.

    :param content: the video's bytes
    :ivar drops: the offsets at which the connection is closed, each once
    :ivar supports_ranges: whether a part of the content can be requested
    :ivar body: a content type and a body to send with status 200 in place of the video
    :ivar extra_length: added to the true length in ``Content-Length``
    :ivar states_length: whether there is a ``Content-Length``; otherwise the content ends with the connection
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.drops: list[int] = []
        self.supports_ranges = True
        self.body: tuple[str, bytes] | None = None
        self.extra_length = 0
        self.states_length = True
        self.requests: list[tuple[str, str]] = []
        self.deleted = False
        self._http = LoopbackServer(partial(_Handler, self))
        self.url = f"{self._http.url}/v1"
        self._http.start()

    def connection(self) -> str:
        """The Airflow connection to this server, as JSON."""
        return json.dumps({"conn_type": "sora", "host": self.url, "password": "secret-key-123"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: VideoServer, *args: object) -> None:
        self.video = server
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.video.requests.append(("GET", self.headers.get("Range", "")))
        if self.video.deleted:
            self._head(404, {"Content-Length": "0"})
            return
        if self.video.body is not None:
            kind, body = self.video.body
            self._head(200, {"Content-Type": kind, "Content-Length": str(len(body))})
            self.wfile.write(body)
            return
        total = len(self.video.content)
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(found[1]) if found and self.video.supports_ranges else 0
        headers = {"Content-Type": "video/mp4"}
        if self.video.states_length:
            headers["Content-Length"] = str(total - start + self.video.extra_length)
        if self.video.supports_ranges:
            headers["ETag"] = '"v1"'
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        self._head(206 if start else 200, headers)
        drop = next((drop for drop in sorted(self.video.drops) if drop > start), None)
        self.wfile.write(memoryview(self.video.content)[start:drop])
        if drop is not None:
            self.video.drops.remove(drop)
        if drop is not None or self.video.extra_length or not self.video.states_length:
            self.close_connection = True

    def do_DELETE(self) -> None:
        self.video.requests.append(("DELETE", ""))
        self.video.deleted = True
        body = json.dumps({"id": "video_1", "object": "video.deleted", "deleted": True}).encode()
        self._head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
