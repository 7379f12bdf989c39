"""`GCSStore` by itself, on a bucket in memory: which requests it makes, and what it concludes."""

from __future__ import annotations

import gc
import re
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
from airflow_provider_sora.transfers.store import ObjectInfo, Target, Upload
from tests.transfers.fake_gcs import FakeBucket, crc32c
from tests.transfers.store_inputs import CREATE_ONLY, IDENTITY, TARGET, content_of, part_of

DataCorruption, InvalidResponse = _upload_errors()
PART_BYTES = 256 * 1024
PARTS = (bytes(PART_BYTES), b"the rest")
WHOLE = b"".join(PARTS)
CONTENT = content_of(WHOLE)
UNVERIFIED = replace(CONTENT, end_verified=False)
SHA256 = CONTENT.sha256


def store_of(bucket: FakeBucket, *, kms: str | None = None, acl: str | None = None, **properties: Any) -> GCSStore:
    return GCSStore(bucket, properties, kms_key_name=kms, predefined_acl=acl, part_bytes=PART_BYTES)


def put(store: GCSStore, target: Target = TARGET, content: Content = CONTENT) -> bool:
    """Write the content in one part."""
    return store.put(target, content, part_of(*PARTS))


def upload(store: GCSStore, target: Target = TARGET) -> Upload:
    begun = store.begin(target)
    begun.send(1, part_of(PARTS[0][:1000], PARTS[0][1000:]))
    begun.send(2, part_of(PARTS[1]))
    return begun


def put_in_parts(store: GCSStore, target: Target = TARGET, content: Content = CONTENT) -> bool:
    """Write the content in two parts."""
    begun = upload(store, target)
    try:
        return begun.complete(content)
    except BaseException:
        begun.abort()  # as `pipeline.upload` does
        raise


Write = Callable[..., bool]
either_way = pytest.mark.parametrize("write", [put, put_in_parts])


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket()


def test_it_has_a_uri_and_one_worker(bucket: FakeBucket) -> None:
    store = store_of(bucket)
    assert (store.uri("a/x"), store.workers, store.keeps_metadata) == ("gs://bucket/a/x", 1, True)


@either_way
def test_what_was_written_is_found_again_with_its_metadata(bucket: FakeBucket, write: Write) -> None:
    store = store_of(bucket)
    assert store.find("a/x") is None
    assert write(store) is True
    assert bucket.objects["a/x"][1] == WHOLE
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "video/mp4", IDENTITY | {"sha256": SHA256})
    assert bucket.of("patch") == ([] if write is put else [{"if_metageneration_match": 7}])


def test_parts_are_sent_as_soon_as_they_are_full(bucket: FakeBucket) -> None:
    begun = upload(store_of(bucket))
    assert bucket.sent == [PART_BYTES]
    assert bucket.objects == {}
    begun.complete(CONTENT)
    assert bucket.sent == [PART_BYTES, len(PARTS[1])]


@either_way
def test_content_that_is_not_verified_gets_no_digest(bucket: FakeBucket, write: Write) -> None:
    store = store_of(bucket)
    assert write(store, content=UNVERIFIED) is True
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "video/mp4", IDENTITY)
    assert bucket.of("patch") == []


@either_way
def test_each_property_and_option_reaches_the_request(bucket: FakeBucket, write: Write) -> None:
    given = {"storage_class": "NEARLINE", "cache_control": "no", "content_type": "x/y", "metadata": {"k": "v"}}
    write(store_of(bucket, kms="key", acl="publicRead", **given))
    blob, _ = bucket.objects["a/x"]
    assert (blob.kms_key_name, blob.storage_class, blob.cache_control, blob.content_type) == (
        "key",
        "NEARLINE",
        "no",
        "x/y",
    )
    assert blob.metadata == {"k": "v", **IDENTITY, "sha256": SHA256}
    assert blob.chunk_size == PART_BYTES
    [(_, options), *_] = bucket.calls
    assert (options["predefined_acl"], options["checksum"], options["if_generation_match"]) == (
        "publicRead",
        "crc32c",
        None,
    )


@either_way
def test_create_only_is_sent_as_a_condition(bucket: FakeBucket, write: Write) -> None:
    store = store_of(bucket, storage_class=None)
    write(store, target=CREATE_ONLY)
    [(_, options), *_] = bucket.calls
    assert options["if_generation_match"] == 0
    with pytest.raises(SoraTargetExistsError, match="gs://bucket/a/x already exists"):
        write(store, target=CREATE_ONLY)


def response(status: int) -> Any:
    return InvalidResponse(SimpleNamespace(status_code=status), "no")


@either_way
@pytest.mark.parametrize("error", [response(412), PreconditionFailed("no")])
def test_a_key_that_exists_is_an_error_of_this_package(bucket: FakeBucket, write: Write, error: Exception) -> None:
    bucket.fail = [error]
    with pytest.raises(SoraTargetExistsError):
        write(store_of(bucket))


@either_way
@pytest.mark.parametrize("error", [response(411), response(413), Forbidden("no"), ValueError("no")])
def test_any_other_error_is_raised_unchanged(bucket: FakeBucket, write: Write, error: Exception) -> None:
    bucket.fail = [error]
    with pytest.raises(type(error), match="no"):
        write(store_of(bucket))
    assert bucket.of("delete") == []


def test_a_key_that_exists_is_recognized_while_parts_are_sent_too(bucket: FakeBucket) -> None:
    begun: Any = store_of(bucket).begin(CREATE_ONLY)
    begun._writer = SimpleNamespace(write=fail_to_write)
    with pytest.raises(SoraTargetExistsError):
        begun.send(1, part_of(b"x"))


def fail_to_write(_: bytes) -> None:
    raise response(412)


@either_way
def test_a_damaged_object_is_removed(bucket: FakeBucket, write: Write) -> None:
    store = store_of(bucket)
    write(store)  # an object of this name exists
    bucket.fail = [DataCorruption(None, "crc32c differs")]
    with pytest.raises(
        SoraContentError, match="gs://bucket/a/x was damaged during the upload and was removed: crc32c differs"
    ):
        write(store)
    assert bucket.objects == {}
    assert bucket.of("delete") == [{"if_generation_match": 5}]
    bucket.fail = [DataCorruption(None, "crc32c differs")]
    with pytest.raises(SoraContentError):  # no object exists that could be removed
        write(store)


def test_an_object_of_one_part_is_compared_with_what_was_sent(bucket: FakeBucket) -> None:
    bucket.checksum = lambda _: "AAAAAA=="
    message = f"the store states the crc32c AAAAAA==, and {crc32c(WHOLE)} was sent"
    with pytest.raises(SoraContentError, match=re.escape(message)):
        put(store_of(bucket))
    assert bucket.objects == {}
    bucket.checksum = lambda _: None
    assert put(store_of(bucket)) is False


@pytest.mark.parametrize("denied", ["reload", "patch"])
def test_a_digest_that_cannot_be_written_is_no_failure(
    bucket: FakeBucket, denied: str, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.deny[denied] = Forbidden("no")
    assert put_in_parts(store_of(bucket)) is True
    assert "gs://bucket/a/x was stored, but its SHA-256 could not be written to its metadata: 403 no" in caplog.text


def test_an_object_without_metadata_and_type_is_found(bucket: FakeBucket) -> None:
    store = store_of(bucket)
    put(store)
    blob, _ = bucket.objects["a/x"]
    blob.metadata = blob.content_type = None
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "", {})
    blob.metadata = {"Sora-Video-Id": "video_1"}
    assert store.find("a/x") == ObjectInfo(len(WHOLE), "", {"sora-video-id": "video_1"})


def test_the_digest_is_written_although_the_server_has_lost_the_other_metadata(bucket: FakeBucket) -> None:
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
    gc.collect()  # a writer that was left open would send its buffer
    assert bucket.objects == {}
    assert bucket.sent == [PART_BYTES]


def test_an_abort_before_the_first_request_sends_nothing(bucket: FakeBucket) -> None:
    begun = store_of(bucket).begin(TARGET)
    begun.send(1, part_of(b"x"))
    begun.abort()
    del begun
    gc.collect()
    assert (bucket.cancelled, bucket.sent, bucket.objects) == ([], [], {})
