"""`S3Store` by itself, on a client in memory: what it asks for, and what it concludes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.exceptions import SoraConfigError, SoraContentError, SoraTargetExistsError
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.s3_store import S3Store
from airflow_provider_sora.transfers.store import ObjectInfo, Target, Upload
from tests.transfers.fake_s3 import FakeS3, crc32, refusal

PARTS = (b"first part, ", b"second part")
WHOLE = b"".join(PARTS)
SHA256 = hashlib.sha256(WHOLE).hexdigest()
CONTENT = Content("video_1", "video", len(WHOLE), "video/mp4", SHA256, end_verified=True)
UNPROVED = replace(CONTENT, end_verified=False)
TARGET = Target("a/x", "video_1", "video", "video/mp4", create_only=False)
NEW = replace(TARGET, create_only=True)
LABELS = {"sora-video-id": "video_1", "sora-variant": "video"}


def store_of(s3: FakeS3, *, tags: dict[str, str] | None = None, workers: int = 3, **arguments: Any) -> S3Store:
    return S3Store(s3, "bucket", arguments, tags or {}, workers)


def part_of(*chunks: bytes) -> Part:
    part = Part()
    for chunk in chunks:
        part.add(chunk)
    return part


def put(store: S3Store, target: Target = TARGET, content: Content = CONTENT) -> bool:
    return store.put(target, content, part_of(WHOLE))


def upload(store: S3Store, target: Target = TARGET) -> Upload:
    """An upload whose parts have arrived, the last one first."""
    begun = store.begin(target)
    for number in (2, 1):
        begun.send(number, part_of(PARTS[number - 1]))
    return begun


def several(store: S3Store, target: Target = TARGET, content: Content = CONTENT) -> bool:
    return upload(store, target).complete(content)


WAYS: list[Callable[..., bool]] = [put, several]


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


def test_it_says_where_it_writes_and_on_how_many_threads(s3: FakeS3) -> None:
    store = store_of(s3, workers=7)
    assert (store.uri("a/x"), store.workers, store.keeps_metadata) == ("s3://bucket/a/x", 7, True)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_written_is_found_again_with_its_labels(s3: FakeS3, way: Callable[..., bool]) -> None:
    store = store_of(s3)
    assert store.find("a/x") is None
    assert way(store) is True
    assert s3.objects["a/x"]["body"] == WHOLE
    found = store.find("a/x")
    assert found == ObjectInfo(len(WHOLE), "video/mp4", LABELS | {"sha256": SHA256})
    assert found.is_of("video_1", "video")
    assert s3.uploads == {}


@pytest.mark.parametrize("way", WAYS)
def test_content_whose_end_nothing_proves_gets_no_digest(s3: FakeS3, way: Callable[..., bool]) -> None:
    store = store_of(s3, tags={"team": "a"})
    way(store, content=UNPROVED)
    found = store.find("a/x")
    assert found is not None
    assert found.sha256 is None
    assert s3.of("put_object_tagging") == []


@pytest.mark.parametrize("way", WAYS)
def test_only_what_is_new_is_written_under_a_condition(s3: FakeS3, way: Callable[..., bool]) -> None:
    store = store_of(s3)
    way(store)
    assert [call.get("IfNoneMatch") for name in METHODS for call in s3.of(name)] == [None]
    with pytest.raises(SoraTargetExistsError, match="s3://bucket/a/x exists"):
        way(store, target=replace(NEW, video_id="video_2"))
    assert [call.get("IfNoneMatch") for name in METHODS for call in s3.of(name)] == [None, "*"]


METHODS = ("put_object", "complete_multipart_upload")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("code", ["PreconditionFailed", "412"])
def test_a_key_that_is_taken_is_an_error_of_ours(s3: FakeS3, way: Callable[..., bool], code: str) -> None:
    store = store_of(s3)
    s3.objects["a/x"] = {"body": b"other", "about": {}, "tags": {}}
    s3.refuse = {name: refusal(code, 412) for name in METHODS}
    with pytest.raises(SoraTargetExistsError):
        way(store, target=NEW)


@pytest.mark.parametrize("way", WAYS)
def test_any_other_refusal_is_raised_as_it_is(s3: FakeS3, way: Callable[..., bool]) -> None:
    s3.refuse = {name: refusal("AccessDenied", 403) for name in METHODS}
    with pytest.raises(ClientError, match="AccessDenied"):
        way(store_of(s3), target=NEW)
    assert s3.of("head_object") == []


@pytest.mark.parametrize("way", WAYS)
def test_the_users_arguments_reach_the_calls_that_know_them(s3: FakeS3, way: Callable[..., bool]) -> None:
    store = store_of(
        s3,
        tags={"team": "a b"},
        ContentType="x/y",
        Metadata={"k": "v"},
        StorageClass="GLACIER",
        RequestPayer="requester",
    )
    way(store)
    [made] = s3.of("put_object") + s3.of("create_multipart_upload")
    assert (made["ContentType"], made["StorageClass"], made["Tagging"]) == ("x/y", "GLACIER", "team=a+b")
    assert {"k": "v"}.items() <= made["Metadata"].items()
    assert LABELS.items() <= made["Metadata"].items()
    assert all(call["RequestPayer"] == "requester" for name in ("upload_part", *METHODS) for call in s3.of(name))
    assert not [
        call for name in ("upload_part", "complete_multipart_upload") for call in s3.of(name) if "Metadata" in call
    ]
    for call in s3.of("put_object_tagging"):
        assert call["Tagging"]["TagSet"] == [{"Key": "team", "Value": "a b"}, {"Key": "sha256", "Value": SHA256}]


def test_without_tags_none_are_sent(s3: FakeS3) -> None:
    store = store_of(s3)
    put(store)
    several(store)
    assert not [call for name in ("put_object", "create_multipart_upload") for call in s3.of(name) if "Tagging" in call]


def test_one_part_goes_with_its_sha256_and_its_echo_proves_it(s3: FakeS3) -> None:
    put(store_of(s3))
    [sent] = s3.of("put_object")
    digest = base64.b64encode(hashlib.sha256(WHOLE).digest()).decode()
    assert (sent["ChecksumAlgorithm"], sent["ChecksumSHA256"]) == ("SHA256", digest)
    s3.change["put_object"] = {"ChecksumSHA256": None}
    assert put(store_of(s3)) is False
    s3.change["put_object"] = {"ChecksumSHA256": "AAAA"}
    assert put(store_of(s3)) is False


def test_each_of_several_parts_goes_with_its_crc32(s3: FakeS3) -> None:
    several(store_of(s3))
    assert {call["ChecksumAlgorithm"] for call in s3.of("upload_part") + s3.of("create_multipart_upload")} == {"CRC32"}
    [completed] = s3.of("complete_multipart_upload")
    assert completed["MultipartUpload"]["Parts"] == [
        {"PartNumber": number, "ETag": f"etag-{number}", "ChecksumCRC32": crc32(PARTS[number - 1])} for number in (1, 2)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_a_server_without_checksums_gets_none_and_proves_nothing(way: Callable[..., bool]) -> None:
    s3 = FakeS3(checksums="when_required")
    s3.change["put_object"] = {"ChecksumSHA256": base64.b64encode(hashlib.sha256(WHOLE).digest()).decode()}
    assert way(store_of(s3)) is False
    assert "Checksum" not in str(s3.asked)


@pytest.mark.parametrize("way", WAYS)
def test_a_checksum_of_the_users_own_choice_is_left_to_boto3(s3: FakeS3, way: Callable[..., bool]) -> None:
    assert way(store_of(s3, ChecksumAlgorithm="SHA1")) is False
    made = s3.of("put_object") + s3.of("create_multipart_upload") + s3.of("upload_part")
    assert {call["ChecksumAlgorithm"] for call in made} == {"SHA1"}
    assert not [call for call in made if "ChecksumSHA256" in call]


@pytest.mark.parametrize(
    ("change", "confirmed"),
    [
        ({}, True),
        ({"complete_multipart_upload": {"ChecksumCRC32": None}}, False),
        (
            {"complete_multipart_upload": {"ChecksumCRC32": "AAAAAA=="}},
            False,
        ),  # of the whole, which is not ours to tell
        ({"upload_part": {"ChecksumCRC32": None}}, False),
    ],
)
def test_only_a_checksum_of_all_parts_proves_the_whole(s3: FakeS3, change: Any, confirmed: bool) -> None:
    s3.change = change
    assert several(store_of(s3)) is confirmed
    assert s3.objects["a/x"]["tags"] == {"sha256": SHA256}


def test_a_whole_that_is_not_its_parts_is_removed(s3: FakeS3) -> None:
    s3.change["complete_multipart_upload"] = {"ChecksumCRC32": "AAAAAA==-2"}
    with pytest.raises(SoraContentError, match=r"s3://bucket/a/x was damaged .*: its checksum is AAAAAA==-2, that of"):
        several(store_of(s3))
    assert s3.objects == {}
    assert s3.of("put_object_tagging") == []


def done_already(s3: FakeS3, begun: Upload, **changes: Any) -> None:
    """The upload was completed by the first of two calls, whose answer was lost."""
    s3.objects["a/x"] = {"body": WHOLE, "about": {"Metadata": LABELS, "ContentType": "video/mp4"}, "tags": {}} | changes


@pytest.mark.parametrize("code", ["NoSuchUpload", "PreconditionFailed", "412"])
@pytest.mark.parametrize("target", [TARGET, NEW])
def test_a_completion_whose_answer_was_lost_is_recognized(s3: FakeS3, code: str, target: Target) -> None:
    begun = upload(store_of(s3), target)
    done_already(s3, begun)
    s3.refuse["complete_multipart_upload"] = refusal(code, 412)
    assert begun.complete(CONTENT) is True
    assert s3.objects["a/x"]["tags"] == {"sha256": SHA256}
    assert s3.uploads == {}


def test_an_upload_that_is_gone_with_it_is_no_error(s3: FakeS3) -> None:
    begun = upload(store_of(s3))
    done_already(s3, begun)
    s3.refuse = {
        "complete_multipart_upload": refusal("NoSuchUpload", 404),
        "abort_multipart_upload": refusal("NoSuchUpload", 404),
    }
    assert begun.complete(CONTENT) is True


OTHER_VIDEO = {"about": {"Metadata": LABELS | {"sora-video-id": "video_2"}}}


@pytest.mark.parametrize(
    "changes", [{"body": WHOLE + b"x"}, {"body": WHOLE[:-1]}, OTHER_VIDEO, {"about": {"Metadata": {}}}], ids=str
)
@pytest.mark.parametrize(("target", "error"), [(TARGET, ClientError), (NEW, SoraTargetExistsError)])
def test_what_is_not_the_whole_of_this_video_is_not_taken_for_it(
    s3: FakeS3, changes: Any, target: Target, error: Any
) -> None:
    begun = upload(store_of(s3), target)
    done_already(s3, begun, **changes)
    s3.refuse["complete_multipart_upload"] = refusal("NoSuchUpload", 404)
    with pytest.raises(error):
        begun.complete(CONTENT)
    assert s3.objects["a/x"]["tags"] == {}
    assert s3.of("abort_multipart_upload") == []


@pytest.mark.parametrize("target", [TARGET, NEW])
@pytest.mark.parametrize("refused", [None, refusal("403", 403)])
def test_where_nothing_is_found_the_refusal_stands(s3: FakeS3, target: Target, refused: ClientError | None) -> None:
    begun = upload(store_of(s3), target)
    s3.refuse["complete_multipart_upload"] = refusal("NoSuchUpload", 404)
    if refused:
        s3.refuse["head_object"] = refused
    with pytest.raises(ClientError, match="NoSuchUpload"):
        begun.complete(CONTENT)


def test_a_digest_that_cannot_be_written_is_no_failure(s3: FakeS3, caplog: pytest.LogCaptureFixture) -> None:
    s3.refuse["put_object_tagging"] = refusal("AccessDenied", 403)
    assert several(store_of(s3)) is True
    assert "s3://bucket/a/x is whole, but its SHA-256 could not be written as a tag" in caplog.text


@pytest.mark.parametrize("way", WAYS)
def test_what_killed_tries_have_left_at_this_key_is_aborted(s3: FakeS3, way: Callable[..., bool]) -> None:
    for key in ("a/x", "a/x-other", "a/x"):
        s3.create_multipart_upload(Bucket="bucket", Key=key)
    way(store_of(s3))
    assert [left["about"]["Key"] for left in s3.uploads.values()] == ["a/x-other"]


@pytest.mark.parametrize("way", WAYS)
def test_leftovers_that_cannot_be_listed_are_no_failure(s3: FakeS3, way: Callable[..., bool]) -> None:
    s3.refuse["list_multipart_uploads"] = refusal("AccessDenied", 403)
    assert way(store_of(s3)) is True


def test_an_abort_names_its_upload(s3: FakeS3) -> None:
    begun = upload(store_of(s3))
    s3.create_multipart_upload(Bucket="bucket", Key="other")
    begun.abort()
    assert list(s3.uploads) == ["upload-2"]


def test_the_last_part_that_s3_takes_is_the_ten_thousandth(s3: FakeS3) -> None:
    begun = store_of(s3).begin(TARGET)
    begun.send(10_000, part_of(b"x"))
    with pytest.raises(SoraConfigError, match="s3://bucket/a/x has more than 10000 parts: make part_size_bytes larger"):
        begun.send(10_001, part_of(b"x"))
    assert len(s3.of("upload_part")) == 1


def test_a_look_up_that_is_refused_is_raised(s3: FakeS3) -> None:
    s3.refuse["head_object"] = refusal("403", 403)
    with pytest.raises(ClientError, match="403"):
        store_of(s3).find("a/x")


def test_tags_are_asked_for_only_where_they_may_hold_the_digest(s3: FakeS3) -> None:
    store = store_of(s3)
    put(store)
    assert store.find("a/x") is not None
    assert s3.of("get_object_tagging") == []  # it is in the metadata
    several(store)
    s3.change["head_object"] = {"TagCount": 0}
    found = store.find("a/x")
    assert found is not None
    assert found.sha256 is None
    s3.change["head_object"] = {"TagCount": None, "ContentType": None}  # a server that does not count them
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "", LABELS | {"sha256": SHA256})
    s3.refuse["get_object_tagging"] = refusal("AccessDenied", 403)
    found = store.find("a/x")
    assert found is not None
    assert found.sha256 is None


def test_other_tags_are_no_labels_and_names_are_read_in_any_case(s3: FakeS3) -> None:
    store = store_of(s3, tags={"sora-video-id": "video_9"})
    several(store)
    s3.objects["a/x"]["about"]["Metadata"] = {"Sora-Video-Id": "video_1", "SORA-VARIANT": "video"}
    found = store.find("a/x")
    assert found is not None
    assert found.is_of("video_1", "video")
