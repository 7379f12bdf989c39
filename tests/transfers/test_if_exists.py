"""`if_exists` and `delete_after_transfer` on the servers of every destination."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from tests.transfers.destinations import Destination, gcs_destination, s3_destination
from tests.transfers.gcs_server import GCSServer
from tests.transfers.golden import READABLE, UNREADABLE, golden
from tests.transfers.servers import LONG, gcs_client, keys
from tests.transfers.video_server import MIB, VideoServer

KEY = "a/file.{extension}"
LONG_VIDEO: dict[str, Any] = {"video": "video_1", "sora_conn_id": "sora_long", "part_size_bytes": 5 * MIB}


@pytest.fixture
def other(sora_emulator: Emulator) -> str:
    """The id of another finished video."""
    job = SoraHook().create_video("a dog", seconds=1, size="64x64")
    sora_emulator.clock.advance(60)
    return job.id


def content_requests(emulator: Emulator) -> int:
    return sum(entry["route"] == "content" for entry in emulator.requests)


def test_skip_makes_a_second_run_a_no_op(
    video: dict[str, Any], destination: Destination, sora_emulator: Emulator
) -> None:
    first = destination.operator(video=video, key=KEY, if_exists="skip").execute({})
    before = destination.files()
    count = content_requests(sora_emulator)
    assert destination.operator(video=video, key=KEY, if_exists="skip").execute({}) == first
    assert destination.files() == before
    assert content_requests(sora_emulator) == count + (not destination.keeps_metadata)


def test_skip_recognizes_a_long_video_too(destination: Destination, long_server: VideoServer) -> None:
    first = destination.operator(key=KEY, if_exists="skip", **LONG_VIDEO).execute({})
    assert destination.operator(key=KEY, if_exists="skip", **LONG_VIDEO).execute({}) == first
    assert len(long_server.requests) == (1 if destination.keeps_metadata else 2)


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
def test_another_video_at_the_key_is_never_replaced_nor_mistaken_for_this_one(
    video: dict[str, Any], other: str, destination: Destination, if_exists: Any
) -> None:
    destination.operator(video=other, key=KEY).execute({})
    before = destination.files()
    with pytest.raises(AirflowFailException, match=r"SoraTargetExistsError: .*/file.mp4 (already )?exists"):
        destination.operator(video=video, key=KEY, if_exists=if_exists).execute({})
    assert destination.files() == before


def test_replace_replaces(video: dict[str, Any], other: str, destination: Destination) -> None:
    destination.operator(video=other, key=KEY).execute({})
    before = destination.files()
    destination.operator(video=video, key=KEY, if_exists="replace").execute({})
    assert set(destination.files()) == set(before)
    assert destination.files() != before


@pytest.mark.parametrize("long", [False, True])
def test_fail_fails_before_anything_is_read(
    video: dict[str, Any], destination: Destination, sora_emulator: Emulator, long_server: VideoServer, *, long: bool
) -> None:
    fields: dict[str, Any] = LONG_VIDEO if long else {"video": video}
    destination.operator(key=KEY, **fields).execute({})
    count = content_requests(sora_emulator) + len(long_server.requests)
    with pytest.raises(AirflowFailException, match="SoraTargetExistsError"):
        destination.operator(key=KEY, if_exists="fail", **fields).execute({})
    assert content_requests(sora_emulator) + len(long_server.requests) == count


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
@pytest.mark.parametrize("long", [False, True])
def test_a_file_that_another_process_writes_meanwhile_is_not_replaced(
    video: dict[str, Any],
    other: str,
    destination: Destination,
    long_server: VideoServer,
    if_exists: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    long: bool,
) -> None:
    fields: dict[str, Any] = LONG_VIDEO if long else {"video": video}
    operator = destination.operator(key=KEY, if_exists=if_exists, **fields)
    write_first(monkeypatch, operator, destination.operator(key=KEY, video=other))
    with pytest.raises(AirflowFailException, match="SoraTargetExistsError"):
        operator.execute({})
    [(_, content)] = destination.files().items()
    assert content == b"".join(SoraHook().download_content(other))


def write_first(monkeypatch: pytest.MonkeyPatch, operator: SoraTransferOperator, twin: SoraTransferOperator) -> None:
    """Let another operator write its file immediately before this one does."""
    store = operator.open_store()

    def write(name: str) -> Any:
        original = getattr(store, name)

        def write_after_the_twin(*arguments: Any) -> Any:
            twin.execute({})
            return original(*arguments)

        return write_after_the_twin

    for name in ("begin", "put"):
        monkeypatch.setattr(store, name, write(name))
    monkeypatch.setattr(operator, "open_store", lambda: store)


@pytest.mark.parametrize("long", [False, True])
def test_the_same_video_written_meanwhile_by_a_twin_is_accepted(
    video: dict[str, Any],
    s3: Any,
    gcs: GCSServer,
    long_server: VideoServer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    long: bool,
) -> None:
    fields: dict[str, Any] = LONG_VIDEO if long else {"video": video}
    for destination in (s3_destination(s3), gcs_destination(gcs)):
        operator = destination.operator(key=KEY, if_exists="skip", **fields)
        write_first(monkeypatch, operator, destination.operator(key=KEY, **fields))
        operator.execute({})
        assert len(destination.files()) == 1


def write_objects(s3: Any, metadata: dict[str, str]) -> None:
    """Write an object with this metadata to S3 and to Google, without this package."""
    s3.put_object(Bucket="bucket", Key="a/file.mp4", Body=b"old", Metadata=metadata)
    blob = gcs_client().bucket("bucket").blob("a/file.mp4")
    blob.metadata = metadata
    blob.upload_from_string(b"old")


@pytest.mark.parametrize("name", READABLE)
def test_skip_recognizes_an_object_of_each_known_version(
    s3: Any, gcs: GCSServer, long_server: VideoServer, name: str
) -> None:
    write_objects(s3, golden(name))
    for destination in (s3_destination(s3), gcs_destination(gcs)):
        [file] = destination.operator(key=KEY, if_exists="skip", **LONG_VIDEO).execute({})
        assert (file["sha256"], file["verified"]) == (golden(name)["sha256"], True)
        assert destination.files() == {"a/file.mp4": b"old"}
    assert long_server.requests == []


@pytest.mark.parametrize("name", UNREADABLE)
def test_skip_leaves_an_object_of_a_newer_version_or_with_damaged_metadata_and_fails(
    s3: Any, gcs: GCSServer, long_server: VideoServer, name: str
) -> None:
    write_objects(s3, golden(name))
    for destination in (s3_destination(s3), gcs_destination(gcs)):
        with pytest.raises(AirflowFailException) as caught:
            destination.operator(key=KEY, if_exists="skip", delete_after_transfer=True, **LONG_VIDEO).execute({})
        assert f"a/file.mp4 exists, but {UNREADABLE[name]}" in str(caught.value)
        assert destination.files() == {"a/file.mp4": b"old"}
    assert long_server.requests == []


def test_an_object_whose_digest_a_killed_try_could_not_write_is_written_again(
    s3: Any, long_server: VideoServer
) -> None:
    destination = s3_destination(s3)
    destination.operator(key=KEY, **LONG_VIDEO).execute({})
    s3.delete_object_tagging(Bucket="bucket", Key="a/file.mp4")
    destination.operator(key=KEY, if_exists="skip", **LONG_VIDEO).execute({})
    assert len(long_server.requests) == 2
    [tag] = s3.get_object_tagging(Bucket="bucket", Key="a/file.mp4")["TagSet"]
    assert tag["Key"] == "sha256"


def test_an_invalid_value_is_an_error_when_the_dag_is_parsed() -> None:
    with pytest.raises(SoraConfigError, match="if_exists is 'overwrite'; it has to be one of skip, replace, fail"):
        SoraToS3Operator(task_id="m", video="v", s3_key="s3://b/k", if_exists="overwrite")


def test_the_video_is_deleted_on_the_server_once_it_is_stored(
    video: dict[str, Any], destination: Destination, sora_emulator: Emulator
) -> None:
    destination.operator(video=video, key=KEY, delete_after_transfer=True).execute({})
    assert len(destination.files()) == 1
    assert not sora_emulator.jobs.all()


def test_a_retry_after_the_video_was_deleted_finds_the_stored_file(long_server: VideoServer, s3: Any) -> None:
    operator = SoraToS3Operator(
        task_id="m",
        s3_bucket="bucket",
        s3_key="x.{extension}",
        delete_after_transfer=True,
        **LONG_VIDEO,
    )
    first = operator.execute({})
    assert long_server.deleted
    assert operator.execute({}) == first
    assert s3.get_object(Bucket="bucket", Key="x.mp4")["Body"].read() == LONG


def test_the_video_is_kept_where_a_variant_was_not_stored(
    video: dict[str, Any], s3: Any, sora_emulator: Emulator
) -> None:
    sora_emulator.faults.add(Fault("content", "wrong_type", skip=1, times=9))
    operator = SoraToS3Operator(
        task_id="m",
        video=video,
        s3_bucket="bucket",
        s3_key="{variant}",
        variants=("video", "thumbnail"),
        delete_after_transfer=True,
    )
    with pytest.raises(
        Exception, match=r"1 of 2 files were not moved: thumbnail of video video_\w+: SoraContentNotReady"
    ):
        operator.execute({})
    assert keys(s3) == ["video"]
    assert len(sora_emulator.jobs.all()) == 1


def test_a_server_that_does_not_delete_videos_is_no_failure(
    video: dict[str, Any], s3: Any, sora_emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    sora_emulator.faults.add(Fault("delete", "status", status=405))
    SoraToS3Operator(task_id="m", video=video, s3_key="s3://bucket/x", delete_after_transfer=True).execute({})
    assert keys(s3) == ["x"]
    assert "was stored, but could not be deleted on the server" in caplog.text
