"""A client for S3 in memory: it responds as S3 does, records its calls, and fails on request."""

from __future__ import annotations

import base64
import hashlib
import zlib
from functools import cache
from types import SimpleNamespace
from typing import Any

import botocore.session
from botocore.exceptions import ClientError

BUCKET = "bucket"


@cache
def _model() -> Any:
    return botocore.session.Session().get_service_model("s3")


def client_error(code: str, status: int = 400) -> ClientError:
    """What boto3 raises for an error response."""
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Any")


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class FakeS3:
    """A client with one bucket.

    :ivar fail: by method the error to raise, each once
    :ivar override: by method the values that replace those of its response
    """

    def __init__(self, *, checksums: str = "when_supported") -> None:
        self.meta = SimpleNamespace(
            service_model=_model(), config=SimpleNamespace(request_checksum_calculation=checksums)
        )
        self.objects: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fail: dict[str, ClientError] = {}
        self.override: dict[str, dict[str, Any]] = {}

    def of(self, method: str) -> list[dict[str, Any]]:
        """The arguments of each call of a method."""
        return [arguments for name, arguments in self.calls if name == method]

    def _record(self, method: str, arguments: dict[str, Any]) -> None:
        assert arguments["Bucket"] == BUCKET
        self.calls.append((method, arguments))
        if method in self.fail:
            raise self.fail.pop(method)

    def _respond(self, method: str, **response: Any) -> dict[str, Any]:
        fields = response | self.override.get(method, {})
        return {name: value for name, value in fields.items() if value is not None}

    def put_object(self, **arguments: Any) -> dict[str, Any]:
        self._record("put_object", arguments)
        data = arguments["Body"].read()
        self._store(arguments, data)
        stated = arguments.get("ChecksumSHA256")
        if stated:
            assert stated == base64.b64encode(hashlib.sha256(data).digest()).decode()
        return self._respond("put_object", ETag="e", ChecksumSHA256=stated)

    def _store(self, properties: dict[str, Any], data: bytes) -> None:
        if properties.get("IfNoneMatch") == "*" and properties["Key"] in self.objects:
            raise client_error("PreconditionFailed", 412)
        self.objects[properties["Key"]] = {"body": data, "properties": properties, "tags": {}}

    def head_object(self, **arguments: Any) -> dict[str, Any]:
        self._record("head_object", arguments)
        found = self.objects.get(arguments["Key"])
        if found is None:
            raise client_error("404", 404)
        return self._respond(
            "head_object",
            ContentLength=len(found["body"]),
            ContentType=found["properties"].get("ContentType"),
            Metadata=found["properties"].get("Metadata", {}),
            TagCount=len(found["tags"]) or None,
        )

    def get_object_tagging(self, **arguments: Any) -> dict[str, Any]:
        self._record("get_object_tagging", arguments)
        tags = self.objects[arguments["Key"]]["tags"]
        return {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}

    def put_object_tagging(self, **arguments: Any) -> dict[str, Any]:
        self._record("put_object_tagging", arguments)
        tags = {tag["Key"]: tag["Value"] for tag in arguments["Tagging"]["TagSet"]}
        self.objects[arguments["Key"]]["tags"] = tags
        return {}

    def delete_object(self, **arguments: Any) -> dict[str, Any]:
        self._record("delete_object", arguments)
        del self.objects[arguments["Key"]]
        return {}

    def create_multipart_upload(self, **arguments: Any) -> dict[str, Any]:
        self._record("create_multipart_upload", arguments)
        name = f"upload-{len(self.of('create_multipart_upload'))}"
        self.uploads[name] = {"properties": arguments, "parts": {}}
        return {"UploadId": name}

    def upload_part(self, **arguments: Any) -> dict[str, Any]:
        self._record("upload_part", arguments)
        number = arguments["PartNumber"]
        data = arguments["Body"].read(-1)
        self.uploads[arguments["UploadId"]]["parts"][number] = data
        stated = crc32(data) if arguments.get("ChecksumAlgorithm") == "CRC32" else None
        return self._respond("upload_part", ETag=f"etag-{number}", ChecksumCRC32=stated)

    def complete_multipart_upload(self, **arguments: Any) -> dict[str, Any]:
        self._record("complete_multipart_upload", arguments)
        upload = self.uploads[arguments["UploadId"]]
        listed = arguments["MultipartUpload"]["Parts"]
        parts = [upload["parts"][part["PartNumber"]] for part in listed]
        self._store(upload["properties"] | arguments, b"".join(parts))
        del self.uploads[arguments["UploadId"]]
        joined = b"".join(zlib.crc32(part).to_bytes(4, "big") for part in parts)
        stated = f"{crc32(joined)}-{len(parts)}" if upload["properties"].get("ChecksumAlgorithm") == "CRC32" else None
        return self._respond("complete_multipart_upload", ChecksumCRC32=stated)

    def abort_multipart_upload(self, **arguments: Any) -> dict[str, Any]:
        self._record("abort_multipart_upload", arguments)
        del self.uploads[arguments["UploadId"]]
        return {}

    def get_paginator(self, name: str) -> Any:
        assert name == "list_multipart_uploads"

        def paginate(**arguments: Any) -> list[dict[str, Any]]:
            self._record(name, arguments)
            found = [
                {"Key": upload["properties"]["Key"], "UploadId": upload_id}
                for upload_id, upload in self.uploads.items()
                if upload["properties"]["Key"].startswith(arguments["Prefix"])
            ]
            return [{}, *({"Uploads": [item]} for item in found)]

        return SimpleNamespace(paginate=paginate)
