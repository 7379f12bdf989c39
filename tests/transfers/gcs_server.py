"""A GCS emulator over HTTP, extended by preconditions, cancelled uploads, a log of its requests, and errors."""

from __future__ import annotations

import re
from functools import partial
from io import BytesIO
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

from tests.http_server import LoopbackServer


class GCSServer:
    """Listens on a free loopback port until it is closed.

    :ivar fail: the status with which a request fails, by a part of ``METHOD path?query Content-Range``
    :ivar sessions: the object names of resumable uploads that have not ended, by upload id
    """

    def __init__(self) -> None:
        self.storage: Any = Storage(use_memory_fs=True)
        self.requests: list[tuple[str, str, dict[str, list[str]], dict[str, str]]] = []
        self.fail: dict[str, int] = {}
        self.sessions: dict[str, str] = {}
        self._http = LoopbackServer(partial(_Handler, self))
        self.url = self._http.url
        self._http.start()

    def exists(self, bucket: str, name: str) -> bool:
        try:
            self.storage.get_file_obj(bucket, name)
        except NotFound:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stop()


class _Handler(RequestHandler):  # type: ignore[misc]
    def __init__(self, front: GCSServer, *args: Any) -> None:
        self.front = front
        super().__init__(front.storage, *args)

    def do_GET(self) -> None:  # noqa: N802
        if self._accepts("GET"):
            super().do_GET()

    def do_PATCH(self) -> None:  # noqa: N802
        if self._accepts("PATCH"):
            super().do_PATCH()

    def do_POST(self) -> None:  # noqa: N802
        if self._accepts("POST") and not self._object_exists():
            super().do_POST()

    def do_PUT(self) -> None:  # noqa: N802
        upload = self._query().get("upload_id", [""])[0]
        if self._accepts("PUT"):
            super().do_PUT()
            if "/*" not in self.headers.get("Content-Range", ""):
                self.front.sessions.pop(upload, None)

    def do_DELETE(self) -> None:  # noqa: N802
        if not self._accepts("DELETE"):
            return
        upload = self._query().get("upload_id", [""])[0]
        if upload:
            self.front.sessions.pop(upload, None)
            self._respond(499)
        else:
            super().do_DELETE()

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.lower() == "location" and "upload_id" in value:
            self.front.sessions[parse_qs(urlsplit(value).query)["upload_id"][0]] = self.path
        super().send_header(keyword, value)

    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    def _accepts(self, method: str) -> bool:
        path = unquote(urlsplit(self.path).path)
        self.front.requests.append((method, path, self._query(), dict(self.headers)))
        for part, status in self.front.fail.items():
            if part in f"{method} {self.path} {self.headers.get('Content-Range', '')}":
                self._respond(status)
                return False
        return True

    def _object_exists(self) -> bool:
        body: bytes = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.rfile: Any = BytesIO(body)
        if self._query().get("ifGenerationMatch") != ["0"]:
            return False
        found = re.search(rb'"name": ?"([^"]+)"', body)
        exists = bool(found and self.front.exists(self.path.split("/b/")[1].split("/")[0], found[1].decode()))
        if exists:
            self._respond(412)
        return exists

    def _respond(self, status: int) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
