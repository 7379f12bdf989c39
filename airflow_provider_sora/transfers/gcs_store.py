"""Google Cloud Storage."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from airflow_provider_sora import masking
from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.exceptions import SoraContentError
from airflow_provider_sora.transfers import object_metadata
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.store import ObjectInfo, Store, Target, Upload

log = masking.logger(__name__)


class GCSStore(Store):
    """A bucket.

    :param bucket: google-cloud-storage's own, with the project to bill
    :param properties: of each object: ``storage_class``, ``cache_control``, ``content_type``, ``metadata``
    :param kms_key_name: the key to encrypt with
    :param predefined_acl: the predefined ACL of each object
    :param part_bytes: how many bytes one request sends
    """

    def __init__(
        self,
        bucket: Any,
        properties: Mapping[str, Any],
        *,
        kms_key_name: str | None,
        predefined_acl: str | None,
        part_bytes: int,
    ) -> None:
        self.bucket = bucket
        self._properties = {name: value for name, value in properties.items() if value is not None}
        self._kms_key_name = kms_key_name
        self._acl = predefined_acl
        self._part_bytes = part_bytes

    def uri(self, key: str) -> str:
        return f"gs://{self.bucket.name}/{key}"

    def find(self, key: str) -> ObjectInfo | None:
        blob = self.bucket.get_blob(key)
        if blob is None:
            return None
        metadata = object_metadata.with_lower_case_names(blob.metadata)
        return ObjectInfo(blob.size, blob.content_type or "", metadata)

    def begin(self, target: Target) -> Upload:
        from google.cloud.storage.fileio import BlobWriter

        blob = self._blob(target, {})
        writer = BlobWriter(blob, self._part_bytes, **self.options(target))
        return GCSUpload(self, target, blob, writer)

    def put(self, target: Target, content: Content, part: Part) -> bool:
        blob = self._blob(target, object_metadata.digest(content))
        data = part.read()
        with _TranslatedErrors(self, target):
            blob.upload_from_file(BytesIO(data), size=len(data), **self.options(target))
        return self._check_checksum(blob, data)

    def options(self, target: Target) -> dict[str, Any]:
        """The options of an upload that are not properties of the object."""
        return {
            "content_type": self._properties.get("content_type", target.content_type),
            "predefined_acl": self._acl,
            "checksum": "crc32c",
            "if_generation_match": 0 if target.create_only else None,
        }

    def remove_damaged(self, key: str, reason: object) -> SoraContentError:
        """Remove an object that is not what was sent; returns the error to raise."""
        blob = self.bucket.get_blob(key)
        if blob is not None:
            blob.delete(if_generation_match=blob.generation)
        return SoraContentError(f"{self.uri(key)} was damaged during the upload and was removed: {reason}")

    def _check_checksum(self, blob: Any, data: bytes) -> bool:
        """Compare checksums, where the store states one: the library does not for an upload of one request."""
        from google_crc32c import value as crc32c

        expected = base64.b64encode(crc32c(data).to_bytes(4, "big")).decode()
        if blob.crc32c not in (None, expected):
            reason = f"the store states the crc32c {blob.crc32c}, and {expected} was sent"
            raise self.remove_damaged(blob.name, reason)
        return blob.crc32c is not None

    def _blob(self, target: Target, digest: dict[str, str]) -> Any:
        blob = self.bucket.blob(target.key, chunk_size=self._part_bytes, kms_key_name=self._kms_key_name)
        for name, value in self._properties.items():
            if name != "content_type":
                setattr(blob, name, value)
        blob.metadata = {**self._properties.get("metadata", {}), **target.metadata(), **digest}
        return blob


class GCSUpload(Upload):
    """A resumable upload: one part after the other, finalized by the last."""

    def __init__(self, store: GCSStore, target: Target, blob: Any, writer: Any) -> None:
        self._store = store
        self._target = target
        self._blob = blob
        self._writer = writer

    def send(self, number: int, part: Part) -> None:  # noqa: ARG002 - one worker: they arrive in order
        with _TranslatedErrors(self._store, self._target):
            for chunk in part.chunks:
                self._writer.write(chunk)

    def complete(self, content: Content) -> bool:
        with _TranslatedErrors(self._store, self._target):
            self._writer.close()
        if content.end_verified:
            self._write_digest(content)
        return True  # the last part is sent with the checksum of the object, which Google checks before it is visible

    def abort(self) -> None:
        # Not the writer's `terminate`: it cancels another URL than that of the upload, and leaves the buffer open where
        # that fails. A writer with an open buffer makes what it has sent visible when it is garbage-collected.
        self._writer._buffer.close()
        begun = self._writer._upload_and_transport
        if begun:
            upload, transport = begun
            transport.delete(upload.resumable_url, headers={"Content-Length": "0"})

    def _write_digest(self, content: Content) -> None:
        """Add the digest to the metadata, which is fixed when an upload begins, before the digest is known."""
        from google.api_core.exceptions import GoogleAPIError

        try:
            self._blob.reload()
            self._blob.metadata = {**(self._blob.metadata or {}), **object_metadata.digest(content)}
            self._blob.patch(if_metageneration_match=self._blob.metageneration)
        except GoogleAPIError as error:
            uri = self._store.uri(self._target.key)
            log.warning("%s was stored, but its SHA-256 could not be written to its metadata: %s", uri, error)


class _TranslatedErrors:
    """Turns Google's errors at the end of an upload into those of this package."""

    def __init__(self, store: GCSStore, target: Target) -> None:
        self._store = store
        self._target = target

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        from google.cloud.exceptions import PreconditionFailed

        data_corruption, invalid_response = _upload_errors()
        exists = isinstance(error, invalid_response) and error.response.status_code == 412
        if exists or isinstance(error, PreconditionFailed):
            raise self._store.exists_error(self._target.key) from error
        if isinstance(error, data_corruption):
            raise self._store.remove_damaged(self._target.key, error) from error


def _upload_errors() -> tuple[type[Any], type[Any]]:
    """The errors for damaged bytes and for an error status, which google-cloud-storage has itself from 3.0 on."""
    try:
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    except ImportError:
        from google.resumable_media import DataCorruption, InvalidResponse
    return DataCorruption, InvalidResponse
