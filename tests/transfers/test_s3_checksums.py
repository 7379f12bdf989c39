"""`S3Store` by itself: which checksums it sends, and which of those in responses confirm an object."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from airflow_provider_sora.exceptions import SoraContentError
from tests.transfers.fake_s3 import FakeS3, crc32
from tests.transfers.s3_writes import PARTS, SHA256, WHOLE, Write, either_way, put, put_in_parts, store_of

SHA256_BASE64 = base64.b64encode(hashlib.sha256(WHOLE).digest()).decode()


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


def test_one_part_is_sent_with_its_sha256_and_the_same_sha256_in_the_response_confirms_it(s3: FakeS3) -> None:
    put(store_of(s3))
    [sent] = s3.of("put_object")
    assert (sent["ChecksumAlgorithm"], sent["ChecksumSHA256"]) == ("SHA256", SHA256_BASE64)
    s3.override["put_object"] = {"ChecksumSHA256": None}
    assert put(store_of(s3)) is False
    s3.override["put_object"] = {"ChecksumSHA256": "AAAA"}
    assert put(store_of(s3)) is False


def test_each_of_several_parts_is_sent_with_its_crc32(s3: FakeS3) -> None:
    put_in_parts(store_of(s3))
    assert {call["ChecksumAlgorithm"] for call in s3.of("upload_part") + s3.of("create_multipart_upload")} == {"CRC32"}
    [completed] = s3.of("complete_multipart_upload")
    assert completed["MultipartUpload"]["Parts"] == [
        {"PartNumber": number, "ETag": f"etag-{number}", "ChecksumCRC32": crc32(PARTS[number - 1])} for number in (1, 2)
    ]


@either_way
def test_a_server_without_checksums_gets_none_and_confirms_nothing(write: Write) -> None:
    s3 = FakeS3(checksums="when_required")
    s3.override["put_object"] = {"ChecksumSHA256": SHA256_BASE64}
    assert write(store_of(s3)) is False
    assert "Checksum" not in str(s3.calls)


@either_way
def test_a_checksum_algorithm_that_the_user_chooses_is_left_to_boto3(s3: FakeS3, write: Write) -> None:
    assert write(store_of(s3, ChecksumAlgorithm="SHA1")) is False
    sent = s3.of("put_object") + s3.of("create_multipart_upload") + s3.of("upload_part")
    assert {call["ChecksumAlgorithm"] for call in sent} == {"SHA1"}
    assert not [call for call in sent if "ChecksumSHA256" in call]


@pytest.mark.parametrize(
    ("override", "confirmed"),
    [
        ({}, True),
        ({"complete_multipart_upload": {"ChecksumCRC32": None}}, False),
        # A checksum of all bytes: that of the parts cannot be compared with it.
        ({"complete_multipart_upload": {"ChecksumCRC32": "AAAAAA=="}}, False),
        ({"upload_part": {"ChecksumCRC32": None}}, False),
    ],
)
def test_only_a_checksum_of_all_parts_confirms_the_object(s3: FakeS3, override: Any, confirmed: bool) -> None:
    s3.override = override
    assert put_in_parts(store_of(s3)) is confirmed
    assert s3.objects["a/x"]["tags"] == {"sha256": SHA256}


def test_an_object_that_differs_from_its_parts_is_removed(s3: FakeS3) -> None:
    s3.override["complete_multipart_upload"] = {"ChecksumCRC32": "AAAAAA==-2"}
    with pytest.raises(
        SoraContentError, match=r"s3://bucket/a/x was damaged .*: the store states the checksum AAAAAA==-2, and"
    ):
        put_in_parts(store_of(s3))
    assert s3.objects == {}
    assert s3.of("put_object_tagging") == []
