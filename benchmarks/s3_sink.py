"""An S3 that remembers what it was given and keeps none of the bytes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.wire import Answer, Connection, Request

_NO_TAGS = b"<Tagging><TagSet></TagSet></Tagging>"
_KEPT = ("content-type", "x-amz-storage-class", "x-amz-server-side-encryption")


@dataclass
class Stored:
    """What is left of an object."""

    size: int
    etag: str
    headers: dict[str, str]
    tags: bytes = _NO_TAGS


@dataclass
class Upload:
    """One in parts, not yet ended."""

    headers: dict[str, str]
    parts: dict[int, int] = field(default_factory=dict)


class S3Sink:
    """The operations of S3 that uploading needs."""

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self._uploads: dict[str, Upload] = {}
        # A request is known by its method and by the one of these words that is in its query.
        self._operations: dict[tuple[str, str], Callable[[Connection, Request], Answer]] = {
            ("PUT", ""): self._put,
            ("HEAD", ""): self._head,
            ("DELETE", ""): self._delete,
            ("POST", "uploads"): self._create,
            ("GET", "uploads"): self._list_uploads,
            ("PUT", "uploadId"): self._put_part,
            ("POST", "uploadId"): self._complete,
            ("DELETE", "uploadId"): self._abort,
            ("GET", "tagging"): self._get_tags,
            ("PUT", "tagging"): self._put_tags,
        }

    def handle(self, connection: Connection, request: Request) -> None:
        """Answer one request."""
        word = next((word for word in ("uploadId", "uploads", "tagging") if word in request.query), "")
        operation = self._operations.get((request.method, word), _unknown)
        connection.answer(operation(connection, request), bodiless=request.method == "HEAD")

    def _put(self, connection: Connection, request: Request) -> Answer:
        size = connection.discard(request)
        etag = _etag()
        self._objects[request.path] = Stored(size, etag, _kept(request.headers))
        return Answer(headers={"ETag": etag, **_checksum(request)})

    def _head(self, _: Connection, request: Request) -> Answer:
        stored = self._objects.get(request.path)
        if stored is None:
            bucket = request.path.strip("/").count("/") == 0
            return Answer() if bucket else _missing("NoSuchKey")
        # The body of an answer to HEAD is not sent; its length is that of the object.
        return Answer(headers={"Content-Length": str(stored.size), "ETag": stored.etag, **stored.headers})

    def _delete(self, connection: Connection, request: Request) -> Answer:
        connection.discard(request)
        self._objects.pop(request.path, None)
        return Answer("204 No Content")

    def _create(self, connection: Connection, request: Request) -> Answer:
        connection.discard(request)
        name = secrets.token_hex(16)
        self._uploads[name] = Upload(_kept(request.headers))
        return _xml(
            f"<InitiateMultipartUploadResult>{_where(request)}<UploadId>{name}</UploadId>"
            "</InitiateMultipartUploadResult>"
        )

    def _list_uploads(self, connection: Connection, request: Request) -> Answer:
        """None: no run leaves any to the next one."""
        connection.discard(request)
        return _xml(
            f"<ListMultipartUploadsResult>{_where(request)}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        )

    def _put_part(self, connection: Connection, request: Request) -> Answer:
        size = connection.discard(request)
        upload = self._uploads.get(request.query["uploadId"])
        if upload is None:
            return _missing("NoSuchUpload")
        upload.parts[int(request.query["partNumber"])] = size
        return Answer(headers={"ETag": _etag(), **_checksum(request)})

    def _complete(self, connection: Connection, request: Request) -> Answer:
        named = connection.take(request.length).count(b"<PartNumber>")
        upload = self._uploads.get(request.query["uploadId"])
        if upload is None:
            return _missing("NoSuchUpload")
        if named != len(upload.parts):
            return _xml("<Error><Code>InvalidPart</Code></Error>", "400 Bad Request")
        etag = f'{_etag()[:-1]}-{named}"'
        self._objects[request.path] = Stored(sum(upload.parts.values()), etag, upload.headers)
        del self._uploads[request.query["uploadId"]]
        return _xml(
            f"<CompleteMultipartUploadResult>{_where(request)}<ETag>{etag.replace(chr(34), '&quot;')}</ETag>"
            "</CompleteMultipartUploadResult>"
        )

    def _abort(self, connection: Connection, request: Request) -> Answer:
        connection.discard(request)
        known = self._uploads.pop(request.query["uploadId"], None)
        return Answer("204 No Content") if known else _missing("NoSuchUpload")

    def _get_tags(self, connection: Connection, request: Request) -> Answer:
        connection.discard(request)
        stored = self._objects.get(request.path)
        return _xml(stored.tags.decode()) if stored else _missing("NoSuchKey")

    def _put_tags(self, connection: Connection, request: Request) -> Answer:
        tags = connection.take(request.length)
        stored = self._objects.get(request.path)
        if stored is None:
            return _missing("NoSuchKey")
        stored.tags = tags
        return Answer()


def _unknown(connection: Connection, request: Request) -> Answer:
    connection.discard(request)
    return _xml("<Error><Code>NotImplemented</Code></Error>", "501 Not Implemented")


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _KEPT or name.startswith("x-amz-meta-")}


def _checksum(request: Request) -> dict[str, str]:
    name = "x-amz-checksum-crc32"
    return {name: request.headers[name]} if name in request.headers else {}


def _where(request: Request) -> str:
    bucket, _, key = request.path.strip("/").partition("/")
    return f"<Bucket>{bucket}</Bucket><Key>{key}</Key>"


def _etag() -> str:
    return f'"{secrets.token_hex(16)}"'


def _missing(code: str) -> Answer:
    return _xml(f"<Error><Code>{code}</Code><Message>not there</Message></Error>", "404 Not Found")


def _xml(text: str, status: str = "200 OK") -> Answer:
    return Answer(status, {"Content-Type": "application/xml"}, text.encode())
