"""A Videos API whose finished videos have any size: `video_256m` has 256 MiB, `video_2g` 2 GiB."""

from __future__ import annotations

import json
import os
import random
import re

from benchmarks.wire import Answer, Connection, Request

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# The head of an MP4 of any length: ftyp, moov, and an mdat that goes on to the end of the file.
_HEAD = b"\x00\x00\x00\x14ftypisom" + bytes(8) + b"\x00\x00\x00\x08moov" + b"\x00\x00\x00\x00mdat"
_BLOCK = 1 << 20
_BLOCKS = 32  # in the file, so that one call may send many bytes


def size_of(video: str) -> int | None:
    """The bytes of a video, by its id."""
    found = re.fullmatch(r"video_(\d+)([kmg])", video)
    return int(found[1]) * _UNITS[found[2]] if found else None


class VideoServer:
    """Answers for jobs and contents; content comes from a file in memory by sendfile, the cheapest way there is."""

    def __init__(self) -> None:
        block = _HEAD + random.Random(1).randbytes(_BLOCK - len(_HEAD))  # noqa: S311 - no secret
        self._file = os.memfd_create("video")
        os.write(self._file, block * _BLOCKS)

    def handle(self, connection: Connection, request: Request) -> None:
        """Answer one request."""
        connection.take(request.length)
        found = re.fullmatch(r"/v1/videos/([^/]+)(/content)?", request.path)
        size = size_of(found[1]) if found else None
        if found is None or size is None:
            connection.answer(_json("404 Not Found", {"error": {"message": "no such video", "code": "not_found"}}))
        elif request.method == "DELETE":
            connection.answer(Answer("204 No Content"))
        elif found[2]:
            self._send(connection, request, found[1], size)
        else:
            connection.answer(_json("200 OK", _job(found[1])))

    def _send(self, connection: Connection, request: Request, video: str, size: int) -> None:
        version = f'"{video}"'
        first, last = _range(request, size, version)
        headers = {"Content-Type": "video/mp4", "ETag": version, "Accept-Ranges": "bytes"}
        answer = Answer(headers=headers)
        if (first, last) != (0, size - 1):
            answer = Answer("206 Partial Content", {**headers, "Content-Range": f"bytes {first}-{last}/{size}"})
        connection.sock.sendall(answer.head(last + 1 - first))
        while first <= last:
            place = first % _BLOCK
            piece = connection.line.piece if connection.line.piece < _BLOCK else _BLOCKS * _BLOCK - place
            sent = os.sendfile(connection.sock.fileno(), self._file, place, min(piece, last + 1 - first))
            connection.line.use(sent)
            first += sent


def _range(request: Request, size: int, version: str) -> tuple[int, int]:
    """The first and the last byte to send; a range that is not understood is left out of account, as HTTP has it."""
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


def _json(status: str, value: dict[str, object]) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
