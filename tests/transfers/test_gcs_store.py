"""`GCSStore` by itself, on a bucket in memory: what it asks for, and what it concludes."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden
from google.cloud.exceptions import PreconditionFailed

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.exceptions import SoraContentError, SoraTargetExistsError
from airflow_provider_sora.transfers.gcs_store import GCSStore, _upload_errors
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.store import ObjectInfo, Target, Upload
from tests.transfers.fake_gcs import FakeBucket, crc32c

DataCorruption, InvalidResponse = _upload_errors()
PART_BYTES = 256 * 1024
PARTS = (bytes(PART_BYTES), b"the rest")
WHOLE = b"".join(PARTS)
SHA256 = hashlib.sha256(WHOLE).hexdigest()
CONTENT = Content("video_1", "video", len(WHOLE), "video/mp4", SHA256, end_verified=True)
UNPROVED = replace(CONTENT, end_verified=False)
TARGET = Target("a/x", "video_1", "video", "video/mp4", create_only=False)
NEW = replace(TARGET, create_only=True)
LABELS = {"sora-video-id": "video_1", "sora-variant": "video"}


def store_of(bucket: FakeBucket, *, kms: str | None = None, acl: str | None = None, **properties: Any) -> GCSStore:
    return GCSStore(bucket, properties, kms_key_name=kms, predefined_acl=acl, part_bytes=PART_BYTES)


def part_of(*chunks: bytes) -> Part:
    part = Part()
    for chunk in chunks:
        part.add(chunk)
    return part


def put(store: GCSStore, target: Target = TARGET, content: Content = CONTENT) -> bool:
    return store.put(target, content, part_of(*PARTS))


def upload(store: GCSStore, target: Target = TARGET) -> Upload:
    begun = store.begin(target)
    begun.send(1, part_of(PARTS[0][:1000], PARTS[0][1000:]))
    begun.send(2, part_of(PARTS[1]))
    return begun


def several(store: GCSStore, target: Target = TARGET, content: Content = CONTENT) -> bool:
    begun = upload(store, target)
    try:
        return begun.complete(content)
    except BaseException:
        begun.abort()  # as `pipeline.move` does
        raise


WAYS: list[Callable[..., bool]] = [put, several]
both_ways = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket()


def test_it_says_where_it_writes_and_takes_parts_in_order(bucket: FakeBucket) -> None:
    store = store_of(bucket)
    assert (store.uri("a/x"), store.workers, store.keeps_metadata) == ("gs://bucket/a/x", 1, True)


@both_ways
def test_what_was_written_is_found_again_with_its_labels(bucket: FakeBucket, way: Callable[..., bool]) -> None:
    store = store_of(bucket)
    assert store.find("a/x") is None
    assert way(store) is True
    assert bucket.objects["a/x"][1] == WHOLE
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "video/mp4", LABELS | {"sha256": SHA256})
    assert bucket.of("patch") == ([] if way is put else [{"if_metageneration_match": 7}])


def test_parts_go_up_as_they_come(bucket: FakeBucket) -> None:
    begun = upload(store_of(bucket))
    assert bucket.sent == [PART_BYTES]
    assert bucket.objects == {}
    begun.complete(CONTENT)
    assert bucket.sent == [PART_BYTES, len(PARTS[1])]


@both_ways
def test_content_whose_end_nothing_proves_gets_no_digest(bucket: FakeBucket, way: Callable[..., bool]) -> None:
    store = store_of(bucket)
    assert way(store, content=UNPROVED) is True
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "video/mp4", LABELS)
    assert bucket.of("patch") == []


@both_ways
def test_each_property_and_option_arrives(bucket: FakeBucket, way: Callable[..., bool]) -> None:
    given = {"storage_class": "NEARLINE", "cache_control": "no", "content_type": "x/y", "metadata": {"k": "v"}}
    way(store_of(bucket, kms="key", acl="publicRead", **given))
    blob, _ = bucket.objects["a/x"]
    assert (blob.kms_key_name, blob.storage_class, blob.cache_control, blob.content_type) == (
        "key",
        "NEARLINE",
        "no",
        "x/y",
    )
    assert blob.metadata == {"k": "v", **LABELS, "sha256": SHA256}
    assert blob.chunk_size == PART_BYTES
    [(_, options), *_] = bucket.asked
    assert (options["predefined_acl"], options["checksum"], options["if_generation_match"]) == (
        "publicRead",
        "crc32c",
        None,
    )


@both_ways
def test_only_what_is_new_is_written_under_a_condition(bucket: FakeBucket, way: Callable[..., bool]) -> None:
    store = store_of(bucket, storage_class=None)
    way(store, target=NEW)
    [(_, options), *_] = bucket.asked
    assert options["if_generation_match"] == 0
    with pytest.raises(SoraTargetExistsError, match="gs://bucket/a/x exists"):
        way(store, target=NEW)


def response(status: int) -> Any:
    return InvalidResponse(SimpleNamespace(status_code=status), "no")


@both_ways
@pytest.mark.parametrize("error", [response(412), PreconditionFailed("no")])
def test_a_key_that_is_taken_is_an_error_of_ours(
    bucket: FakeBucket, way: Callable[..., bool], error: Exception
) -> None:
    bucket.refuse = [error]
    with pytest.raises(SoraTargetExistsError):
        way(store_of(bucket))


@both_ways
@pytest.mark.parametrize("error", [response(411), response(413), Forbidden("no"), ValueError("no")])
def test_any_other_refusal_is_raised_as_it_is(bucket: FakeBucket, way: Callable[..., bool], error: Exception) -> None:
    bucket.refuse = [error]
    with pytest.raises(type(error), match="no"):
        way(store_of(bucket))
    assert bucket.of("delete") == []


def test_a_refusal_while_parts_go_up_is_understood_too(bucket: FakeBucket) -> None:
    begun = store_of(bucket).begin(NEW)
    begun_writer: Any = begun
    begun_writer._writer = SimpleNamespace(write=refuse_to_write)
    with pytest.raises(SoraTargetExistsError):
        begun.send(1, part_of(b"x"))


def refuse_to_write(_: bytes) -> None:
    raise response(412)


@both_ways
def test_an_object_that_is_not_what_was_sent_is_removed(bucket: FakeBucket, way: Callable[..., bool]) -> None:
    store = store_of(bucket)
    way(store)  # something of this name is there
    bucket.refuse = [DataCorruption(None, "crc32c differs")]
    with pytest.raises(SoraContentError, match="gs://bucket/a/x was damaged in transit into the store: crc32c differs"):
        way(store)
    assert bucket.objects == {}
    assert bucket.of("delete") == [{"if_generation_match": 5}]
    bucket.refuse = [DataCorruption(None, "crc32c differs")]
    with pytest.raises(SoraContentError):  # and nothing is there to be removed
        way(store)


def test_an_object_of_one_part_is_compared_with_what_was_sent(bucket: FakeBucket) -> None:
    bucket.states = lambda _: "AAAAAA=="
    words = f"its crc32c is AAAAAA==, that of what was sent {crc32c(WHOLE)}"
    with pytest.raises(SoraContentError, match=words.replace("+", r"\+")):
        put(store_of(bucket))
    assert bucket.objects == {}
    bucket.states = lambda _: None
    assert put(store_of(bucket)) is False


@pytest.mark.parametrize("denied", ["reload", "patch"])
def test_a_digest_that_cannot_be_written_is_no_failure(
    bucket: FakeBucket, denied: str, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.deny[denied] = Forbidden("no")
    assert several(store_of(bucket)) is True
    assert "gs://bucket/a/x is whole, but its SHA-256 could not be written to its metadata: 403 no" in caplog.text


def test_an_object_without_metadata_and_type_is_found(bucket: FakeBucket) -> None:
    store = store_of(bucket)
    put(store)
    blob, _ = bucket.objects["a/x"]
    blob.metadata = blob.content_type = None
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "", {})
    blob.metadata = {"Sora-Video-Id": "video_1"}
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "", {"sora-video-id": "video_1"})


def test_metadata_that_the_server_has_let_go_is_written_again(bucket: FakeBucket) -> None:
    begun: Any = upload(store_of(bucket))
    begun._blob.metadata = None
    begun.complete(CONTENT)
    assert bucket.objects["a/x"][0].metadata == {"sha256": SHA256}


def test_an_abort_cancels_the_upload_and_closes_the_writer(bucket: FakeBucket) -> None:
    begun = upload(store_of(bucket))
    begun.abort()
    assert bucket.cancelled == [("https://upload", {"Content-Length": "0"})]
    writer: Any = getattr(begun, "_writer")  # noqa: B009
    assert writer.closed
    del begun, writer
    gc.collect()  # a writer that was left open sends what it holds
    assert bucket.objects == {}
    assert bucket.sent == [PART_BYTES]


def test_an_abort_before_anything_went_up_sends_nothing(bucket: FakeBucket) -> None:
    begun = store_of(bucket).begin(TARGET)
    begun.send(1, part_of(b"x"))
    begun.abort()
    del begun
    gc.collect()
    assert (bucket.cancelled, bucket.sent, bucket.objects) == ([], [], {})
