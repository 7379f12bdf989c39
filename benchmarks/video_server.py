"""A Videos API whose finished videos have any size: `video_256m` has 256 MiB, `video_2g` 2 GiB."""

from __future__ import annotations

import json
import os
import random
import re

from benchmarks.loopback_server import Connection, Request, Response

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# The head of an MP4 of any length: ftyp, moov, and an mdat that ends with the file.
_HEAD = b"\x00\x00\x00\x14ftypisom" + bytes(8) + b"\x00\x00\x00\x08moov" + b"\x00\x00\x00\x00mdat"
_BLOCK = 1 << 20
_BLOCKS = 32  # in the file, so that one system call can send many bytes


def size_of(video: str) -> int | None:
    """The size of a video in bytes, by its id."""
    found = re.fullmatch(r"video_(\d+)([kmg])", video)
    return int(found[1]) * _UNITS[found[2]] if found else None


class VideoServer:
    """Serves jobs and contents; content is sent from a file in memory by sendfile, which costs least."""

    def __init__(self) -> None:
        block = _HEAD + random.Random(1).randbytes(_BLOCK - len(_HEAD))  # noqa: S311 - no secret
        self._file = os.memfd_create("video")
        os.write(self._file, block * _BLOCKS)

    def handle(self, connection: Connection, request: Request) -> None:
        """Respond to one request."""
        connection.read(request.length)
        found = re.fullmatch(r"/v1/videos/([^/]+)(/content)?", request.path)
        size = size_of(found[1]) if found else None
        if found is None or size is None:
            connection.respond(_json("404 Not Found", {"error": {"message": "no such video", "code": "not_found"}}))
        elif request.method == "DELETE":
            connection.respond(Response("204 No Content"))
        elif found[2]:
            self._send(connection, request, found[1], size)
        else:
            connection.respond(_json("200 OK", _job(found[1])))

    def _send(self, connection: Connection, request: Request, video: str, size: int) -> None:
        version = f'"{video}"'
        first, last = _range(request, size, version)
        headers = {"Content-Type": "video/mp4", "ETag": version, "Accept-Ranges": "bytes"}
        response = Response(headers=headers)
        if (first, last) != (0, size - 1):
            response = Response("206 Partial Content", {**headers, "Content-Range": f"bytes {first}-{last}/{size}"})
        connection.sock.sendall(response.head(last + 1 - first))
        while first <= last:
            place = first % _BLOCK
            limit = connection.bandwidth.chunk_bytes
            chunk = limit if limit < _BLOCK else _BLOCKS * _BLOCK - place
            sent = os.sendfile(connection.sock.fileno(), self._file, place, min(chunk, last + 1 - first))
            connection.bandwidth.use(sent)
            first += sent


def _range(request: Request, size: int, version: str) -> tuple[int, int]:
    """The first and the last byte to send; an invalid range is ignored, as HTTP requires."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if not found or request.headers.get("if-range", version) != version or int(found[1]) >= size:
        return 0, size - 1
    return int(found[1]), min(int(found[2] or size - 1), size - 1)


def _job(video: str) -> dict[str, object]:
    return {
        "id": video,
        "object": "video",
        "model": "sora-2",
        "status": "completed",
        "progress": 100,
        "created_at": 1_700_000_000,
        "completed_at": 1_700_000_060,
        "seconds": "8",
        "size": "1280x720",
    }


def _json(status: str, value: dict[str, object]) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
