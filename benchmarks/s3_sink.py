"""An S3 server that keeps the properties of its objects, but not their bytes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.loopback_server import Connection, Request, Response

_NO_TAGS = b"<Tagging><TagSet></TagSet></Tagging>"
_KEPT_HEADERS = ("content-type", "x-amz-storage-class", "x-amz-server-side-encryption")


@dataclass
class StoredObject:
    """The properties of an object."""

    size: int
    etag: str
    headers: dict[str, str]
    tags: bytes = _NO_TAGS


@dataclass
class MultipartUpload:
    """A multipart upload that has not ended; `parts` are the sizes by part number."""

    headers: dict[str, str]
    parts: dict[int, int] = field(default_factory=dict)


class S3Sink:
    """The operations of S3 that an upload needs."""

    def __init__(self) -> None:
        self._objects: dict[str, StoredObject] = {}
        self._uploads: dict[str, MultipartUpload] = {}
        # By method, and by the parameter of the query that distinguishes the operation.
        self._operations: dict[tuple[str, str], Callable[[Connection, Request], Response]] = {
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
        """Respond to one request."""
        parameter = next((name for name in ("uploadId", "uploads", "tagging") if name in request.query), "")
        operation = self._operations.get((request.method, parameter), _unknown)
        connection.respond(operation(connection, request), head_only=request.method == "HEAD")

    def _put(self, connection: Connection, request: Request) -> Response:
        size = connection.discard(request)
        etag = _etag()
        self._objects[request.path] = StoredObject(size, etag, _properties(request.headers))
        return Response(headers={"ETag": etag, **_checksum(request)})

    def _head(self, _: Connection, request: Request) -> Response:
        stored = self._objects.get(request.path)
        if stored is None:
            bucket = request.path.strip("/").count("/") == 0
            return Response() if bucket else _not_found("NoSuchKey")
        # A response to HEAD has no body; its length is that of the object.
        return Response(headers={"Content-Length": str(stored.size), "ETag": stored.etag, **stored.headers})

    def _delete(self, connection: Connection, request: Request) -> Response:
        connection.discard(request)
        self._objects.pop(request.path, None)
        return Response("204 No Content")

    def _create(self, connection: Connection, request: Request) -> Response:
        connection.discard(request)
        name = secrets.token_hex(16)
        self._uploads[name] = MultipartUpload(_properties(request.headers))
        return _xml(
            f"<InitiateMultipartUploadResult>{_location(request)}<UploadId>{name}</UploadId>"
            "</InitiateMultipartUploadResult>"
        )

    def _list_uploads(self, connection: Connection, request: Request) -> Response:
        """None: each run ends its own."""
        connection.discard(request)
        return _xml(
            f"<ListMultipartUploadsResult>{_location(request)}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        )

    def _put_part(self, connection: Connection, request: Request) -> Response:
        size = connection.discard(request)
        upload = self._uploads.get(request.query["uploadId"])
        if upload is None:
            return _not_found("NoSuchUpload")
        upload.parts[int(request.query["partNumber"])] = size
        return Response(headers={"ETag": _etag(), **_checksum(request)})

    def _complete(self, connection: Connection, request: Request) -> Response:
        named = connection.read(request.length).count(b"<PartNumber>")
        upload = self._uploads.get(request.query["uploadId"])
        if upload is None:
            return _not_found("NoSuchUpload")
        if named != len(upload.parts):
            return _xml("<Error><Code>InvalidPart</Code></Error>", "400 Bad Request")
        etag = f'{_etag()[:-1]}-{named}"'
        self._objects[request.path] = StoredObject(sum(upload.parts.values()), etag, upload.headers)
        del self._uploads[request.query["uploadId"]]
        return _xml(
            f"<CompleteMultipartUploadResult>{_location(request)}<ETag>{etag.replace(chr(34), '&quot;')}</ETag>"
            "</CompleteMultipartUploadResult>"
        )

    def _abort(self, connection: Connection, request: Request) -> Response:
        connection.discard(request)
        known = self._uploads.pop(request.query["uploadId"], None)
        return Response("204 No Content") if known else _not_found("NoSuchUpload")

    def _get_tags(self, connection: Connection, request: Request) -> Response:
        connection.discard(request)
        stored = self._objects.get(request.path)
        return _xml(stored.tags.decode()) if stored else _not_found("NoSuchKey")

    def _put_tags(self, connection: Connection, request: Request) -> Response:
        tags = connection.read(request.length)
        stored = self._objects.get(request.path)
        if stored is None:
            return _not_found("NoSuchKey")
        stored.tags = tags
        return Response()


def _unknown(connection: Connection, request: Request) -> Response:
    connection.discard(request)
    return _xml("<Error><Code>NotImplemented</Code></Error>", "501 Not Implemented")


def _properties(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _KEPT_HEADERS or name.startswith("x-amz-meta-")}


def _checksum(request: Request) -> dict[str, str]:
    name = "x-amz-checksum-crc32"
    return {name: request.headers[name]} if name in request.headers else {}


def _location(request: Request) -> str:
    bucket, _, key = request.path.strip("/").partition("/")
    return f"<Bucket>{bucket}</Bucket><Key>{key}</Key>"


def _etag() -> str:
    return f'"{secrets.token_hex(16)}"'


def _not_found(code: str) -> Response:
    return _xml(f"<Error><Code>{code}</Code><Message>not there</Message></Error>", "404 Not Found")


def _xml(text: str, status: str = "200 OK") -> Response:
    return Response(status, {"Content-Type": "application/xml"}, text.encode())
