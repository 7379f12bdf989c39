from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.emulator import Emulator
from airflow_provider_sora.exceptions import SoraContentError
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from tests.transfers.stores import keys, uploads
from tests.transfers.video_server import MIB, VideoServer


def test_a_url_holds_bucket_and_key(video: dict[str, Any], s3: Any) -> None:
    [stored] = SoraToS3Operator(task_id="move", video=video, s3_key="s3://bucket/x.{extension}").execute({})
    assert stored["uri"] == "s3://bucket/x.mp4"


def head(s3: Any, operator_fields: dict[str, Any], video: dict[str, Any], long: bool) -> Any:
    """What S3 says of an object that was moved with these parameters, in one part or in several."""
    which: dict[str, Any] = {"video": "video_1", "sora_conn_id": "sora_long"} if long else {"video": video}
    SoraToS3Operator(task_id="m", s3_bucket="bucket", s3_key="x", **which, **operator_fields).execute({})
    return s3.head_object(Bucket="bucket", Key="x", ChecksumMode="ENABLED")


@pytest.mark.parametrize("long", [False, True], ids=["one part", "several"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"ContentType": "video/mp4"}),
        ({"content_type": "application/mp4"}, {"ContentType": "application/mp4"}),
        ({"cache_control": "max-age=60"}, {"CacheControl": "max-age=60"}),
        ({"storage_class": "STANDARD_IA"}, {"StorageClass": "STANDARD_IA"}),
        ({"encrypt": True}, {"ServerSideEncryption": "AES256"}),
        ({"kms_key_id": "key-1"}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key-1"}),
        ({"extra_args": {"ContentDisposition": "inline"}}, {"ContentDisposition": "inline"}),
        ({"extra_args": {"ContentType": "x/y", "StorageClass": "GLACIER"}}, {"ContentType": "x/y"}),
    ],
)
def test_each_parameter_arrives_at_the_object(
    video: dict[str, Any],
    s3: Any,
    long_server: VideoServer,
    fields: dict[str, Any],
    expected: dict[str, Any],
    *,
    long: bool,
) -> None:
    found = head(s3, fields, video, long)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("long", [False, True], ids=["one part", "several"])
def test_metadata_names_the_video_and_the_digest_is_beside_the_bytes(
    video: dict[str, Any], s3: Any, long_server: VideoServer, *, long: bool
) -> None:
    found = head(s3, {"metadata": {"team": "a"}, "tags": {"cost": "b"}}, video, long)
    content = s3.get_object(Bucket="bucket", Key="x")["Body"].read()
    digest = hashlib.sha256(content).hexdigest()
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket="bucket", Key="x")["TagSet"]}
    labels = {"team": "a", "sora-video-id": "video_1" if long else video["id"], "sora-variant": "video"}
    assert found["Metadata"] == (labels if long else {**labels, "sha256": digest})
    assert tags == ({"cost": "b", "sha256": digest} if long else {"cost": "b"})


def test_tags_may_be_among_the_extra_args(video: dict[str, Any], s3: Any, long_server: VideoServer) -> None:
    head(s3, {"extra_args": {"Tagging": "a=b&c=d+e"}}, video, long=True)
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket="bucket", Key="x")["TagSet"]}
    assert {"a": "b", "c": "d e"}.items() <= tags.items()


@pytest.mark.parametrize("long", [False, True], ids=["one part", "several"])
def test_the_acl_arrives_at_the_object(video: dict[str, Any], s3: Any, long_server: VideoServer, *, long: bool) -> None:
    head(s3, {"acl_policy": "public-read"}, video, long)
    grants = s3.get_object_acl(Bucket="bucket", Key="x")["Grants"]
    assert any(grant["Grantee"].get("URI", "").endswith("AllUsers") for grant in grants)


def test_arguments_go_to_each_call_that_knows_them(video: dict[str, Any], s3: Any, long_server: VideoServer) -> None:
    operator = SoraToS3Operator(
        task_id="m",
        s3_key="s3://bucket/x",
        video="video_1",
        sora_conn_id="sora_long",
        extra_args={"RequestPayer": "requester", "ExpectedBucketOwner": "123456789012"},
    )
    sent: dict[str, set[str]] = {}

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        sent[model.name] = set(params["headers"])

    client: Any = operator.s3_hook.get_conn()
    client.meta.events.register("before-call.s3", note)
    operator.execute({})
    for call in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject", "PutObjectTagging"):
        assert {"x-amz-request-payer", "x-amz-expected-bucket-owner"} <= sent[call]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"extra_args": {"Acl": "private"}}, "extra_args has Acl; boto3 takes ACL, "),
        ({"extra_args": {"ACL": "private"}, "acl_policy": "private"}, "extra_args has ACL, and so has an argument"),
    ],
)
def test_arguments_that_will_not_do_are_named_before_anything_is_read(
    video: dict[str, Any], s3: Any, sora_emulator: Emulator, fields: dict[str, Any], words: str
) -> None:
    before = len(sora_emulator.requests)
    with pytest.raises(AirflowFailException, match=words):
        SoraToS3Operator(task_id="m", s3_key="s3://bucket/x", video=video, **fields).execute({})
    assert len(sora_emulator.requests) == before


@pytest.mark.parametrize("long", [False, True], ids=["one part", "several"])
def test_each_part_is_checked_by_the_store(
    video: dict[str, Any], s3: Any, long_server: VideoServer, *, long: bool
) -> None:
    found = head(s3, {}, video, long)
    content = s3.get_object(Bucket="bucket", Key="x")["Body"].read()
    if long:
        parts = [content[at : at + 8 * MIB] for at in range(0, len(content), 8 * MIB)]
        joined = b"".join(zlib.crc32(part).to_bytes(4, "big") for part in parts)
        expected = base64.b64encode(zlib.crc32(joined).to_bytes(4, "big")).decode()
        assert found["ChecksumCRC32"].partition("-")[0] == expected
    else:
        assert found["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_a_checksum_of_the_users_own_choice_is_used(video: dict[str, Any], s3: Any, long_server: VideoServer) -> None:
    found = head(s3, {"extra_args": {"ChecksumAlgorithm": "SHA1"}}, video, long=True)
    assert "ChecksumSHA1" in found


def test_a_server_without_checksums_gets_none(
    video: dict[str, Any], s3: Any, moto: str, long_server: VideoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"request_checksum_calculation": "when_required"}
    extra = {"endpoint_url": moto, "region_name": "us-east-1", "config_kwargs": config}
    connection = {"conn_type": "aws", "login": "x", "password": "x" * 8, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    for long in (False, True):
        assert not [name for name in head(s3, {}, video, long) if name.startswith("ChecksumCRC32")]


def test_an_object_that_the_store_has_got_wrong_is_removed(
    video: dict[str, Any], s3: Any, long_server: VideoServer
) -> None:
    operator = SoraToS3Operator(task_id="m", s3_key="s3://bucket/x", video="video_1", sora_conn_id="sora_long")
    client: Any = operator.s3_hook.get_conn()

    def damage(parsed: dict[str, Any], **_: Any) -> None:
        parsed["ChecksumCRC32"] = "AAAAAA==-4"

    client.meta.events.register("after-call.s3.CompleteMultipartUpload", damage)
    with pytest.raises(SoraContentError, match=r"s3://bucket/x was damaged in transit into the store"):
        operator.execute({})
    assert (keys(s3), uploads(s3)) == ([], [])


def test_a_completion_whose_answer_got_lost_is_recognized(
    video: dict[str, Any], s3: Any, long_server: VideoServer
) -> None:
    operator = SoraToS3Operator(
        task_id="m", s3_key="s3://bucket/x", video="video_1", sora_conn_id="sora_long", if_exists="skip"
    )
    client: Any = operator.s3_hook.get_conn()

    def complete_first(params: dict[str, Any], **_: Any) -> None:
        for item in s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []):
            parts = s3.list_parts(Bucket="bucket", Key="x", UploadId=item["UploadId"])["Parts"]
            listed = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
            s3.complete_multipart_upload(
                Bucket="bucket", Key="x", UploadId=item["UploadId"], MultipartUpload={"Parts": listed}
            )

    client.meta.events.register("before-call.s3.CompleteMultipartUpload", complete_first)
    [stored] = operator.execute({})
    assert (keys(s3), uploads(s3)) == (["x"], [])
    [tag] = s3.get_object_tagging(Bucket="bucket", Key="x")["TagSet"]
    assert tag == {"Key": "sha256", "Value": stored["sha256"]}


def refusing(operator: SoraToS3Operator, operation: str) -> SoraToS3Operator:
    client: Any = operator.s3_hook.get_conn()

    def deny(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, operation)

    client.meta.events.register(f"before-call.s3.{operation}", deny)
    return operator


def test_a_digest_that_may_not_be_written_is_no_failure(
    video: dict[str, Any], s3: Any, long_server: VideoServer, caplog: pytest.LogCaptureFixture
) -> None:
    operator = SoraToS3Operator(task_id="m", s3_key="s3://bucket/x", video="video_1", sora_conn_id="sora_long")
    [stored] = refusing(operator, "PutObjectTagging").execute({})
    assert stored["sha256"]
    assert "s3://bucket/x is whole, but its SHA-256 could not be written as a tag" in caplog.text


def test_tags_that_may_not_be_read_are_taken_as_no_digest(
    video: dict[str, Any], s3: Any, long_server: VideoServer
) -> None:
    fields: dict[str, Any] = {"task_id": "m", "s3_key": "s3://bucket/x", "sora_conn_id": "sora_long"}
    SoraToS3Operator(video="video_1", **fields).execute({})
    refusing(SoraToS3Operator(video="video_1", if_exists="skip", **fields), "GetObjectTagging").execute({})
    assert len(long_server.requests) == 2


def test_a_bucket_that_is_not_there_is_named(video: dict[str, Any], s3: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        SoraToS3Operator(task_id="m", s3_key="s3://nowhere/x", video=video).execute({})


def test_the_connection_and_verify_arrive_at_the_hook() -> None:
    hook = SoraToS3Operator(task_id="m", video="v", s3_key="s3://b/k", aws_conn_id="other", verify="/ca.pem").s3_hook
    assert (hook.aws_conn_id, hook._verify) == ("other", "/ca.pem")


@pytest.mark.parametrize(
    ("bucket", "key"), [(None, "x"), ("bucket", "s3://bucket/x"), ("bucket", ""), (None, "s3://bucket")]
)
def test_a_target_that_will_not_do_is_named(video: dict[str, Any], bucket: str | None, key: str) -> None:
    with pytest.raises(AirflowFailException, match="give a bucket and a key, or one s3:// URL"):
        SoraToS3Operator(task_id="m", video=video, s3_bucket=bucket, s3_key=key).execute({})


def begin(s3: Any, key: str) -> None:
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
    s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=1, Body=b"x")


def test_an_upload_that_a_killed_try_has_left_is_aborted_and_no_other(video: dict[str, Any], s3: Any) -> None:
    for key in ("x", "x-other"):
        begin(s3, key)
    SoraToS3Operator(task_id="m", video=video, s3_bucket="bucket", s3_key="x").execute({})
    assert uploads(s3) == ["x-other"]
    assert keys(s3) == ["x"]


def test_a_store_that_does_not_list_uploads_is_written_to_all_the_same(
    video: dict[str, Any], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = SoraToS3Operator(task_id="m", video=video, s3_bucket="bucket", s3_key="x")
    client = operator.s3_hook.get_conn()

    def deny(_: str) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListMultipartUploads")

    monkeypatch.setattr(client, "get_paginator", deny)
    monkeypatch.setattr(operator.s3_hook, "get_conn", lambda: client)
    operator.execute({})
    assert keys(s3) == ["x"]
