"""S3, and servers that speak its protocol."""

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
from airflow_provider_sora.transfers import object_metadata
from airflow_provider_sora.transfers.object_metadata import DIGEST_KEY
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.store import ObjectInfo, Store, Target, Upload

log = masking.logger(__name__)

MAX_PARTS = 10_000
_EXISTS_CODES = frozenset({"PreconditionFailed", "412"})
# botocore repeats a call whose response was lost: the second response is then about what the first call has done.
_PERHAPS_COMPLETED_CODES = _EXISTS_CODES | {"NoSuchUpload"}


class S3Store(Store):
    """A bucket.

    :param client: boto3's client for S3
    :param arguments: what boto3's ``upload_fileobj`` takes as ``ExtraArgs``; each call gets those it accepts
    :param tags: tags for each object, in addition to the digest
    :param workers: how many parts of one file are sent at once
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
        metadata = object_metadata.with_lower_case_names(head["Metadata"])
        if DIGEST_KEY not in metadata and head.get("TagCount", 1):
            metadata |= {name: value for name, value in self._tags(key).items() if name == DIGEST_KEY}
        return ObjectInfo(head["ContentLength"], head.get("ContentType", ""), metadata)

    def begin(self, target: Target) -> Upload:
        self._abort_leftovers(target.key)
        response = self.call(
            "CreateMultipartUpload",
            target.key,
            **self._properties(target),
            Metadata=self._metadata(target),
            **self.part_checksum(),
        )
        return S3Upload(self, target, response["UploadId"])

    def put(self, target: Target, content: Content, part: Part) -> bool:
        from botocore.exceptions import ClientError

        self._abort_leftovers(target.key)
        digest = base64.b64encode(bytes.fromhex(content.sha256)).decode()
        checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digest} if self.part_checksum() else {}
        try:
            response = self.call(
                "PutObject",
                target.key,
                Body=part,
                Metadata=self._metadata(target) | object_metadata.digest(content),
                **self._properties(target),
                **checksum,
                **_condition(target),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _EXISTS_CODES:
                raise self.exists_error(target.key) from error
            raise
        return bool(checksum) and response.get("ChecksumSHA256") == digest

    def call(self, operation: str, key: str, **arguments: Any) -> Any:
        """Make one call about `key`, with those of the user's arguments that it accepts."""
        accepted = self.client.meta.service_model.operation_model(operation).input_shape.members
        given = {name: value for name, value in self._arguments.items() if name in accepted}
        method = getattr(self.client, _METHODS[operation])
        return method(**{"Bucket": self.bucket, "Key": key, **given, **arguments})

    def part_checksum(self) -> dict[str, str]:
        """A checksum for each part, unless the connection disables them (the server has none) or the user names one."""
        if self.client.meta.config.request_checksum_calculation == "when_required":
            return {}
        return {} if "ChecksumAlgorithm" in self._arguments else {"ChecksumAlgorithm": "CRC32"}

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
            log.info("Could not read the tags of %s: %s", self.uri(key), error)
            return {}

    def _properties(self, target: Target) -> dict[str, Any]:
        tagging = {"Tagging": urlencode(self.tags)} if self.tags else {}
        return {"ContentType": self._arguments.get("ContentType", target.content_type), **tagging}

    def _metadata(self, target: Target) -> dict[str, str]:
        return {**self._arguments.get("Metadata", {}), **target.metadata()}

    def _abort_leftovers(self, key: str) -> None:
        """Abort incomplete multipart uploads to this key: a killed try cannot abort its own, and they cost storage."""
        from botocore.exceptions import ClientError

        try:
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=key)
            incomplete = [item for page in pages for item in page.get("Uploads", ()) if item["Key"] == key]
            for item in incomplete:
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=item["UploadId"])
                log.info("Aborted an incomplete multipart upload to %s that an earlier try had begun", self.uri(key))
        except ClientError as error:
            log.info("Could not abort incomplete multipart uploads to %s: %s", self.uri(key), error)


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
        response = self._store.call(
            "UploadPart",
            self._target.key,
            UploadId=self._id,
            PartNumber=number,
            Body=part,
            **self._store.part_checksum(),
        )
        checksums = {name: value for name, value in response.items() if name.startswith("Checksum")}
        self._parts[number] = {"PartNumber": number, "ETag": response["ETag"], **checksums}

    def complete(self, content: Content) -> bool:
        from botocore.exceptions import ClientError

        parts = [self._parts[number] for number in sorted(self._parts)]
        try:
            response = self._store.call(
                "CompleteMultipartUpload",
                self._target.key,
                UploadId=self._id,
                MultipartUpload={"Parts": parts},
                **_condition(self._target),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _PERHAPS_COMPLETED_CODES:
                raise
            self._check_completed(content, error)
            return True
        confirmed = self._check_checksum(response.get("ChecksumCRC32"), parts)
        self._write_digest(content)
        return confirmed

    def abort(self) -> None:
        self._store.call("AbortMultipartUpload", self._target.key, UploadId=self._id)

    def _check_checksum(self, stated: str | None, parts: list[dict[str, Any]]) -> bool:
        """Compare the checksum of the object with that of its parts, where the store states both."""
        if stated is None or "-" not in stated or any("ChecksumCRC32" not in part for part in parts):
            return False
        joined = b"".join(base64.b64decode(part["ChecksumCRC32"]) for part in parts)
        expected = base64.b64encode(zlib.crc32(joined).to_bytes(4, "big")).decode()
        if stated.partition("-")[0] != expected:
            self._store.call("DeleteObject", self._target.key)
            raise SoraContentError(
                f"{self._uri()} was damaged during the upload and was removed: the store states the checksum {stated}, "
                f"and {expected} was sent"
            )
        return True

    def _check_completed(self, content: Content, error: Exception) -> None:
        """Check whether an earlier call, whose response was lost, has completed this upload; otherwise raise."""
        from botocore.exceptions import ClientError

        try:
            info = self._store.find(self._target.key)
        except ClientError:
            raise error from None
        ours = info is not None and info.identifies(self._target.video_id, self._target.variant)
        if not ours or info is None or info.size_bytes != content.size_bytes:
            if self._target.create_only and info is not None:
                raise self._store.exists_error(self._target.key) from error
            raise error
        with suppress(ClientError):  # an upload that was refused because the object exists is still open
            self.abort()
        self._write_digest(content)

    def _write_digest(self, content: Content) -> None:
        """Write the digest as a tag: metadata is fixed when an upload begins, before the digest is known."""
        from botocore.exceptions import ClientError

        if not content.end_verified:
            return
        tags = {**self._store.tags, **object_metadata.digest(content)}
        try:
            self._store.call(
                "PutObjectTagging",
                self._target.key,
                Tagging={"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]},
            )
        except ClientError as error:
            log.warning("%s was stored, but its SHA-256 could not be written as a tag: %s", self._uri(), error)

    def _uri(self) -> str:
        return self._store.uri(self._target.key)


def _condition(target: Target) -> dict[str, str]:
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
