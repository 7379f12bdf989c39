"""S3's client in memory: it answers as S3 does, keeps what it was asked, and refuses what it is told to."""

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


def refusal(code: str, status: int = 400) -> ClientError:
    """What boto3 raises for an answer of S3's."""
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Any")


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class FakeS3:
    """A bucket, as boto3's client shows it.

    :ivar refuse: by method the error to raise, each once
    :ivar change: by method what is changed in its answer
    """

    def __init__(self, *, checksums: str = "when_supported") -> None:
        self.meta = SimpleNamespace(
            service_model=_model(), config=SimpleNamespace(request_checksum_calculation=checksums)
        )
        self.objects: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.refuse: dict[str, ClientError] = {}
        self.change: dict[str, dict[str, Any]] = {}

    def of(self, method: str) -> list[dict[str, Any]]:
        """What a method was called with."""
        return [arguments for name, arguments in self.asked if name == method]

    def _note(self, method: str, arguments: dict[str, Any]) -> None:
        assert arguments["Bucket"] == BUCKET
        self.asked.append((method, arguments))
        if method in self.refuse:
            raise self.refuse.pop(method)

    def _answer(self, method: str, **answer: Any) -> dict[str, Any]:
        return {name: value for name, value in (answer | self.change.get(method, {})).items() if value is not None}

    def put_object(self, **arguments: Any) -> dict[str, Any]:
        self._note("put_object", arguments)
        data = arguments["Body"].read()
        self._store(arguments, data)
        stated = arguments.get("ChecksumSHA256")
        if stated:
            assert stated == base64.b64encode(hashlib.sha256(data).digest()).decode()
        return self._answer("put_object", ETag="e", ChecksumSHA256=stated)

    def _store(self, about: dict[str, Any], data: bytes) -> None:
        if about.get("IfNoneMatch") == "*" and about["Key"] in self.objects:
            raise refusal("PreconditionFailed", 412)
        self.objects[about["Key"]] = {"body": data, "about": about, "tags": {}}

    def head_object(self, **arguments: Any) -> dict[str, Any]:
        self._note("head_object", arguments)
        found = self.objects.get(arguments["Key"])
        if found is None:
            raise refusal("404", 404)
        return self._answer(
            "head_object",
            ContentLength=len(found["body"]),
            ContentType=found["about"].get("ContentType"),
            Metadata=found["about"].get("Metadata", {}),
            TagCount=len(found["tags"]) or None,
        )

    def get_object_tagging(self, **arguments: Any) -> dict[str, Any]:
        self._note("get_object_tagging", arguments)
        tags = self.objects[arguments["Key"]]["tags"]
        return {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}

    def put_object_tagging(self, **arguments: Any) -> dict[str, Any]:
        self._note("put_object_tagging", arguments)
        tags = {tag["Key"]: tag["Value"] for tag in arguments["Tagging"]["TagSet"]}
        self.objects[arguments["Key"]]["tags"] = tags
        return {}

    def delete_object(self, **arguments: Any) -> dict[str, Any]:
        self._note("delete_object", arguments)
        del self.objects[arguments["Key"]]
        return {}

    def create_multipart_upload(self, **arguments: Any) -> dict[str, Any]:
        self._note("create_multipart_upload", arguments)
        name = f"upload-{len(self.of('create_multipart_upload'))}"
        self.uploads[name] = {"about": arguments, "parts": {}}
        return {"UploadId": name}

    def upload_part(self, **arguments: Any) -> dict[str, Any]:
        self._note("upload_part", arguments)
        number = arguments["PartNumber"]
        data = arguments["Body"].read(-1)
        self.uploads[arguments["UploadId"]]["parts"][number] = data
        stated = crc32(data) if arguments.get("ChecksumAlgorithm") == "CRC32" else None
        return self._answer("upload_part", ETag=f"etag-{number}", ChecksumCRC32=stated)

    def complete_multipart_upload(self, **arguments: Any) -> dict[str, Any]:
        self._note("complete_multipart_upload", arguments)
        upload = self.uploads[arguments["UploadId"]]
        listed = arguments["MultipartUpload"]["Parts"]
        parts = [upload["parts"][part["PartNumber"]] for part in listed]
        self._store(upload["about"] | arguments, b"".join(parts))
        del self.uploads[arguments["UploadId"]]
        joined = b"".join(zlib.crc32(part).to_bytes(4, "big") for part in parts)
        stated = f"{crc32(joined)}-{len(parts)}" if upload["about"].get("ChecksumAlgorithm") == "CRC32" else None
        return self._answer("complete_multipart_upload", ChecksumCRC32=stated)

    def abort_multipart_upload(self, **arguments: Any) -> dict[str, Any]:
        self._note("abort_multipart_upload", arguments)
        del self.uploads[arguments["UploadId"]]
        return {}

    def get_paginator(self, name: str) -> Any:
        assert name == "list_multipart_uploads"

        def paginate(**arguments: Any) -> list[dict[str, Any]]:
            self._note(name, arguments)
            found = [
                {"Key": upload["about"]["Key"], "UploadId": upload_id}
                for upload_id, upload in self.uploads.items()
                if upload["about"]["Key"].startswith(arguments["Prefix"])
            ]
            return [{}, *({"Uploads": [item]} for item in found)]

        return SimpleNamespace(paginate=paginate)
