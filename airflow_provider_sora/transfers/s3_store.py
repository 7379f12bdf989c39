"""S3, and what speaks its protocol."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from airflow_provider_sora import masking
from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.exceptions import SoraConfigError, SoraContentError
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.store import (
    DIGEST_KEY,
    ObjectInfo,
    Store,
    Target,
    Upload,
    digest_metadata,
    metadata_of,
)

log = masking.logger(__name__)

MAX_PARTS = 10_000
_TAKEN = frozenset({"PreconditionFailed", "412"})
# botocore sends a call again whose answer got lost: the second answer is then about what the first has done.
_PERHAPS_DONE = _TAKEN | {"NoSuchUpload"}


class S3Store(Store):
    """A bucket.

    :param client: boto3's client for S3
    :param arguments: what boto3's ``upload_fileobj`` takes as ``ExtraArgs``; each call gets those it knows
    :param tags: further tags
    :param workers: parts of one file on their way at once
    """

    def __init__(
        self, client: Any, bucket: str, arguments: Mapping[str, Any], tags: Mapping[str, str], workers: int
    ) -> None:
        self.client = client
        self.bucket = bucket
        self.tags = dict(tags)
        self.workers = workers
        self._arguments = dict(arguments)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def find(self, key: str) -> ObjectInfo | None:
        head = self._head(key)
        if head is None:
            return None
        labels = metadata_of(head["Metadata"])
        if DIGEST_KEY not in labels and head.get("TagCount", 1):
            labels |= {name: value for name, value in self._tags(key).items() if name == DIGEST_KEY}
        return ObjectInfo(head["ContentLength"], head.get("ContentType", ""), labels)

    def begin(self, target: Target) -> Upload:
        self._abort_leftovers(target.key)
        answer = self.call(
            "CreateMultipartUpload",
            target.key,
            **self._about(target),
            Metadata=self._metadata(target),
            **self.part_checksum(),
        )
        return S3Upload(self, target, answer["UploadId"])

    def put(self, target: Target, content: Content, part: Part) -> bool:
        from botocore.exceptions import ClientError

        self._abort_leftovers(target.key)
        digest = base64.b64encode(bytes.fromhex(content.sha256)).decode()
        metadata = self._metadata(target) | digest_metadata(content)
        checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digest} if self.part_checksum() else {}
        try:
            answer = self.call(
                "PutObject",
                target.key,
                Body=part,
                Metadata=metadata,
                **self._about(target),
                **checksum,
                **_only_new(target),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                raise self.exists(target.key) from error
            raise
        return bool(checksum) and answer.get("ChecksumSHA256") == digest

    def call(self, operation: str, key: str, **arguments: Any) -> Any:
        """One call about `key`, with those of the user's arguments that it takes."""
        known = self.client.meta.service_model.operation_model(operation).input_shape.members
        given = {name: value for name, value in self._arguments.items() if name in known}
        method = getattr(self.client, _METHODS[operation])
        return method(**{"Bucket": self.bucket, "Key": key, **given, **arguments})

    def _head(self, key: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self.call("HeadObject", key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise

    def _tags(self, key: str) -> dict[str, str]:
        from botocore.exceptions import ClientError

        try:
            return {tag["Key"]: tag["Value"] for tag in self.call("GetObjectTagging", key)["TagSet"]}
        except ClientError as error:
            log.info("The tags of %s cannot be read: %s", self.uri(key), error)
            return {}

    def _about(self, target: Target) -> dict[str, Any]:
        tagging = {"Tagging": urlencode(self.tags)} if self.tags else {}
        return {"ContentType": self._arguments.get("ContentType", target.content_type), **tagging}

    def _metadata(self, target: Target) -> dict[str, str]:
        return {**self._arguments.get("Metadata", {}), **target.metadata()}

    def part_checksum(self) -> dict[str, str]:
        """A checksum with each part, unless the connection says that its server knows none, or the user names one."""
        if self.client.meta.config.request_checksum_calculation == "when_required":
            return {}
        return {} if "ChecksumAlgorithm" in self._arguments else {"ChecksumAlgorithm": "CRC32"}

    def _abort_leftovers(self, key: str) -> None:
        """Abort uploads to this key that were begun and never ended: a killed try cannot, and they cost storage."""
        from botocore.exceptions import ClientError

        try:
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=key)
            left = [item for page in pages for item in page.get("Uploads", ()) if item["Key"] == key]
            for item in left:
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=item["UploadId"])
                log.info("Aborted an upload to %s that an earlier try had left", self.uri(key))
        except ClientError as error:
            log.info("Uploads that earlier tries may have left to %s stay: %s", self.uri(key), error)


class S3Upload(Upload):
    """A multipart upload."""

    def __init__(self, store: S3Store, target: Target, upload_id: str) -> None:
        self._store = store
        self._target = target
        self._id = upload_id
        self._parts: dict[int, dict[str, Any]] = {}

    def send(self, number: int, part: Part) -> None:
        if number > MAX_PARTS:
            raise SoraConfigError(f"{self._uri()} has more than {MAX_PARTS} parts: make part_size_bytes larger")
        answer = self._store.call(
            "UploadPart",
            self._target.key,
            UploadId=self._id,
            PartNumber=number,
            Body=part,
            **self._store.part_checksum(),
        )
        checksums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        self._parts[number] = {"PartNumber": number, "ETag": answer["ETag"], **checksums}

    def complete(self, content: Content) -> bool:
        from botocore.exceptions import ClientError

        parts = [self._parts[number] for number in sorted(self._parts)]
        try:
            answer = self._store.call(
                "CompleteMultipartUpload",
                self._target.key,
                UploadId=self._id,
                MultipartUpload={"Parts": parts},
                **_only_new(self._target),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _PERHAPS_DONE:
                raise
            self._check_done(content, error)
            return True
        confirmed = self._check(answer.get("ChecksumCRC32"), parts)
        self._write_digest(content)
        return confirmed

    def abort(self) -> None:
        self._store.call("AbortMultipartUpload", self._target.key, UploadId=self._id)

    def _check(self, stated: str | None, parts: list[dict[str, Any]]) -> bool:
        """Compare the whole's checksum with that of the parts, where the store states one."""
        if stated is None or "-" not in stated or any("ChecksumCRC32" not in part for part in parts):
            return False
        joined = b"".join(base64.b64decode(part["ChecksumCRC32"]) for part in parts)
        expected = base64.b64encode(zlib.crc32(joined).to_bytes(4, "big")).decode()
        if stated.partition("-")[0] != expected:
            self._store.call("DeleteObject", self._target.key)
            raise SoraContentError(
                f"{self._uri()} was damaged on the way into the store: its checksum is {stated}, "
                f"that of what was sent {expected}"
            )
        return True

    def _check_done(self, content: Content, error: Exception) -> None:
        from botocore.exceptions import ClientError

        try:
            found = self._store.find(self._target.key)
        except ClientError:
            raise error from None
        ours = found is not None and found.is_of(self._target.video_id, self._target.variant)
        if not ours or found is None or found.size_bytes != content.size_bytes:
            if self._target.create_only and found is not None:
                raise self._store.exists(self._target.key) from error
            raise error
        with suppress(ClientError):  # what was refused because it exists is still open
            self.abort()
        self._write_digest(content)

    def _write_digest(self, content: Content) -> None:
        """Metadata is fixed when an upload begins, before the digest is known: it becomes a tag."""
        from botocore.exceptions import ClientError

        if not content.end_verified:
            return
        tags = {**self._store.tags, **digest_metadata(content)}
        try:
            self._store.call(
                "PutObjectTagging",
                self._target.key,
                Tagging={"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]},
            )
        except ClientError as error:
            log.warning("%s is whole, but its SHA-256 could not be written as a tag: %s", self._uri(), error)

    def _uri(self) -> str:
        return self._store.uri(self._target.key)


def _only_new(target: Target) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if target.create_only else {}


_METHODS = {
    "AbortMultipartUpload": "abort_multipart_upload",
    "CompleteMultipartUpload": "complete_multipart_upload",
    "CreateMultipartUpload": "create_multipart_upload",
    "DeleteObject": "delete_object",
    "GetObjectTagging": "get_object_tagging",
    "HeadObject": "head_object",
    "PutObject": "put_object",
    "PutObjectTagging": "put_object_tagging",
    "UploadPart": "upload_part",
}
