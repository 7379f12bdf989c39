"""A bucket of google-cloud-storage in memory, with what `GCSStore` and Google's own `BlobWriter` use of it."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import google_crc32c
from google.cloud.exceptions import PreconditionFailed


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


class FakeBlob:
    """An object, or one that will be written."""

    def __init__(self, bucket: FakeBucket, name: str, chunk_size: int, kms_key_name: str | None) -> None:
        self.bucket = bucket
        self.name = name
        self.chunk_size = chunk_size
        self.kms_key_name = kms_key_name
        self.metadata: dict[str, str] | None = None
        self.content_type: str | None = None
        self.crc32c: str | None = None
        self.size: int | None = None
        self.generation = 5
        self.metageneration = 7
        self.storage_class: str | None = None
        self.cache_control: str | None = None

    def upload_from_file(self, file: Any, **options: Any) -> None:
        data = file.read()
        self.bucket.calls.append(("upload_from_file", options))
        assert options["size"] == len(data)
        self._finish(data, options)

    def _finish(self, data: bytes, options: dict[str, Any]) -> None:
        if self.bucket.fail:
            raise self.bucket.fail.pop()
        if options["if_generation_match"] == 0 and self.name in self.bucket.objects:
            raise PreconditionFailed("exists")
        self.size, self.content_type = len(data), options["content_type"]
        self.crc32c = self.bucket.checksum(data)
        self.bucket.objects[self.name] = (self, data)

    def _initiate_resumable_upload(
        self, _: Any, stream: Any, content_type: str, *__: Any, chunk_size: int, retry: Any, **options: Any
    ) -> tuple[Any, Any]:
        self.bucket.calls.append(("resumable", options))
        parts: list[bytes] = []

        def transmit(_: Any, **__: Any) -> None:
            parts.append(stream.read(chunk_size))
            self.bucket.sent.append(len(parts[-1]))
            if len(parts[-1]) < chunk_size:
                self._finish(b"".join(parts), options | {"content_type": content_type})

        upload = SimpleNamespace(transmit_next_chunk=transmit, resumable_url="https://upload")
        return upload, SimpleNamespace(delete=lambda url, headers: self.bucket.cancelled.append((url, headers)))

    def reload(self) -> None:
        self.bucket.record("reload")
        self.metadata = dict(self.metadata or {}) or None

    def patch(self, **options: Any) -> None:
        self.bucket.record("patch", **options)

    def delete(self, **options: Any) -> None:
        self.bucket.record("delete", **options)
        del self.bucket.objects[self.name]


class FakeBucket:
    """A bucket.

    :ivar fail: the errors with which the next uploads end, each once
    :ivar deny: by name of a call the error that it raises
    :ivar checksum: computes the checksum that the response to an upload states
    """

    name = "bucket"
    client = None

    def __init__(self) -> None:
        self.objects: dict[str, tuple[FakeBlob, bytes]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sent: list[int] = []
        self.cancelled: list[tuple[str, dict[str, str]]] = []
        self.fail: list[Exception] = []
        self.deny: dict[str, Exception] = {}
        self.checksum: Any = crc32c

    def record(self, name: str, **options: Any) -> None:
        self.calls.append((name, options))
        if name in self.deny:
            raise self.deny[name]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [options for called, options in self.calls if called == name]

    def blob(self, name: str, *, chunk_size: int, kms_key_name: str | None) -> FakeBlob:
        return FakeBlob(self, name, chunk_size, kms_key_name)

    def get_blob(self, name: str) -> FakeBlob | None:
        self.record("get_blob")
        found = self.objects.get(name)
        return found[0] if found else None
