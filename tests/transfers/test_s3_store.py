"""`S3Store` by itself, on a client in memory: which requests it makes, and what it finds."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from airflow_provider_sora.exceptions import SoraConfigError, SoraTargetExistsError
from airflow_provider_sora.transfers.store import ObjectInfo
from tests.transfers.fake_s3 import FakeS3, client_error
from tests.transfers.s3_writes import (
    SHA256,
    UNVERIFIED,
    WHOLE,
    Write,
    either_way,
    put,
    put_in_parts,
    store_of,
    upload,
)
from tests.transfers.store_inputs import CREATE_ONLY, IDENTITY, TARGET, part_of


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


def test_it_has_a_uri_and_as_many_workers_as_it_is_given(s3: FakeS3) -> None:
    store = store_of(s3, workers=7)
    assert (store.uri("a/x"), store.workers, store.keeps_metadata) == ("s3://bucket/a/x", 7, True)


@either_way
def test_what_was_written_is_found_again_with_its_metadata(s3: FakeS3, write: Write) -> None:
    store = store_of(s3)
    assert store.find("a/x") is None
    assert write(store) is True
    assert s3.objects["a/x"]["body"] == WHOLE
    found = store.find("a/x")
    assert found == ObjectInfo(len(WHOLE), "video/mp4", IDENTITY | {"sha256": SHA256})
    assert found.identifies("video_1", "video")
    assert s3.uploads == {}


@either_way
def test_content_that_is_not_verified_gets_no_digest(s3: FakeS3, write: Write) -> None:
    store = store_of(s3, tags={"team": "a"})
    write(store, content=UNVERIFIED)
    found = store.find("a/x")
    assert found is not None
    assert found.sha256 is None
    assert s3.of("put_object_tagging") == []


@either_way
def test_create_only_is_sent_as_a_condition(s3: FakeS3, write: Write) -> None:
    store = store_of(s3)
    write(store)
    assert [call.get("IfNoneMatch") for name in METHODS for call in s3.of(name)] == [None]
    with pytest.raises(SoraTargetExistsError, match="s3://bucket/a/x already exists"):
        write(store, target=replace(CREATE_ONLY, video_id="video_2"))
    assert [call.get("IfNoneMatch") for name in METHODS for call in s3.of(name)] == [None, "*"]


METHODS = ("put_object", "complete_multipart_upload")


@either_way
@pytest.mark.parametrize("code", ["PreconditionFailed", "412"])
def test_a_key_that_exists_is_an_error_of_this_package(s3: FakeS3, write: Write, code: str) -> None:
    store = store_of(s3)
    s3.objects["a/x"] = {"body": b"other", "properties": {}, "tags": {}}
    s3.fail = {name: client_error(code, 412) for name in METHODS}
    with pytest.raises(SoraTargetExistsError):
        write(store, target=CREATE_ONLY)


@either_way
def test_any_other_error_is_raised_unchanged(s3: FakeS3, write: Write) -> None:
    s3.fail = {name: client_error("AccessDenied", 403) for name in METHODS}
    with pytest.raises(ClientError, match="AccessDenied"):
        write(store_of(s3), target=CREATE_ONLY)
    assert s3.of("head_object") == []


@either_way
def test_the_users_arguments_reach_the_calls_that_accept_them(s3: FakeS3, write: Write) -> None:
    store = store_of(
        s3,
        tags={"team": "a b"},
        ContentType="x/y",
        Metadata={"k": "v"},
        StorageClass="GLACIER",
        RequestPayer="requester",
    )
    write(store)
    [created] = s3.of("put_object") + s3.of("create_multipart_upload")
    assert (created["ContentType"], created["StorageClass"], created["Tagging"]) == ("x/y", "GLACIER", "team=a+b")
    assert {"k": "v"}.items() <= created["Metadata"].items()
    assert IDENTITY.items() <= created["Metadata"].items()
    assert all(call["RequestPayer"] == "requester" for name in ("upload_part", *METHODS) for call in s3.of(name))
    assert not [
        call for name in ("upload_part", "complete_multipart_upload") for call in s3.of(name) if "Metadata" in call
    ]
    for call in s3.of("put_object_tagging"):
        assert call["Tagging"]["TagSet"] == [{"Key": "team", "Value": "a b"}, {"Key": "sha256", "Value": SHA256}]


def test_without_tags_no_tagging_is_sent(s3: FakeS3) -> None:
    store = store_of(s3)
    put(store)
    put_in_parts(store)
    assert not [call for name in ("put_object", "create_multipart_upload") for call in s3.of(name) if "Tagging" in call]


@either_way
def test_incomplete_uploads_of_killed_tries_to_this_key_are_aborted(s3: FakeS3, write: Write) -> None:
    for key in ("a/x", "a/x-other", "a/x"):
        s3.create_multipart_upload(Bucket="bucket", Key=key)
    write(store_of(s3))
    assert [upload["properties"]["Key"] for upload in s3.uploads.values()] == ["a/x-other"]


@either_way
def test_incomplete_uploads_that_cannot_be_listed_are_no_failure(
    s3: FakeS3, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    s3.fail["list_multipart_uploads"] = client_error("AccessDenied", 403)
    assert write(store_of(s3)) is True
    assert "Could not abort incomplete multipart uploads to s3://bucket/a/x: An error" in caplog.text


def test_an_abort_ends_its_own_upload_only(s3: FakeS3) -> None:
    begun = upload(store_of(s3))
    s3.create_multipart_upload(Bucket="bucket", Key="other")
    begun.abort()
    assert list(s3.uploads) == ["upload-2"]


def test_s3_accepts_ten_thousand_parts_and_no_more(s3: FakeS3) -> None:
    begun = store_of(s3).begin(TARGET)
    begun.send(10_000, part_of(b"x"))
    with pytest.raises(SoraConfigError, match="s3://bucket/a/x has more than 10000 parts: make part_size_bytes larger"):
        begun.send(10_001, part_of(b"x"))
    assert len(s3.of("upload_part")) == 1


def test_an_error_of_head_object_is_raised(s3: FakeS3) -> None:
    s3.fail["head_object"] = client_error("403", 403)
    with pytest.raises(ClientError, match="403"):
        store_of(s3).find("a/x")


def test_tags_are_read_only_where_they_may_have_the_digest(s3: FakeS3) -> None:
    store = store_of(s3)
    put(store)
    assert store.find("a/x") is not None
    assert s3.of("get_object_tagging") == []  # the digest is in the metadata
    put_in_parts(store)
    s3.override["head_object"] = {"TagCount": 0}
    found = store.find("a/x")
    assert found is not None
    assert found.sha256 is None
    s3.override["head_object"] = {"TagCount": None, "ContentType": None}  # a server that does not count them
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "", IDENTITY | {"sha256": SHA256})
    s3.fail["get_object_tagging"] = client_error("AccessDenied", 403)
    found = store.find("a/x")
    assert found is not None
    assert found.sha256 is None


def test_only_the_digest_is_read_from_tags_and_names_are_read_in_any_case(s3: FakeS3) -> None:
    store = store_of(s3, tags={"sora-video-id": "video_9"})
    put_in_parts(store)
    s3.objects["a/x"]["properties"]["Metadata"] = {"Sora-Video-Id": "video_1", "SORA-VARIANT": "video"}
    found = store.find("a/x")
    assert found is not None
    assert found.identifies("video_1", "video")
