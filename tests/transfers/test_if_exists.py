"""What lies at a file's key already, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from tests.transfers.gcs_server import GCSServer
from tests.transfers.stores import LONG, keys
from tests.transfers.targets import TargetStore, gcs_target, s3_target
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


def test_skip_makes_a_second_run_a_no_op(video: dict[str, Any], target: TargetStore, sora_emulator: Emulator) -> None:
    first = target.operator(video=video, key=KEY, if_exists="skip").execute({})
    before = target.files()
    asked = content_requests(sora_emulator)
    assert target.operator(video=video, key=KEY, if_exists="skip").execute({}) == first
    assert target.files() == before
    assert content_requests(sora_emulator) == asked + (not target.keeps_metadata)


def test_skip_knows_a_long_video_too(target: TargetStore, long_server: VideoServer) -> None:
    first = target.operator(key=KEY, if_exists="skip", **LONG_VIDEO).execute({})
    assert target.operator(key=KEY, if_exists="skip", **LONG_VIDEO).execute({}) == first
    assert len(long_server.requests) == (1 if target.keeps_metadata else 2)


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
def test_another_video_at_the_key_is_never_replaced_and_never_taken_for_this_one(
    video: dict[str, Any], other: str, target: TargetStore, if_exists: Any
) -> None:
    target.operator(video=other, key=KEY).execute({})
    before = target.files()
    with pytest.raises(AirflowFailException, match=r"SoraTargetExistsError: .*/file.mp4 exists"):
        target.operator(video=video, key=KEY, if_exists=if_exists).execute({})
    assert target.files() == before


def test_replace_replaces(video: dict[str, Any], other: str, target: TargetStore) -> None:
    target.operator(video=other, key=KEY).execute({})
    before = target.files()
    target.operator(video=video, key=KEY, if_exists="replace").execute({})
    assert set(target.files()) == set(before)
    assert target.files() != before


@pytest.mark.parametrize("long", [False, True])
def test_fail_is_decided_before_anything_is_read(
    video: dict[str, Any], target: TargetStore, sora_emulator: Emulator, long_server: VideoServer, *, long: bool
) -> None:
    fields: dict[str, Any] = LONG_VIDEO if long else {"video": video}
    target.operator(key=KEY, **fields).execute({})
    asked = content_requests(sora_emulator) + len(long_server.requests)
    with pytest.raises(AirflowFailException, match="SoraTargetExistsError"):
        target.operator(key=KEY, if_exists="fail", **fields).execute({})
    assert content_requests(sora_emulator) + len(long_server.requests) == asked


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
@pytest.mark.parametrize("long", [False, True])
def test_what_somebody_else_writes_meanwhile_is_not_replaced(
    video: dict[str, Any],
    other: str,
    target: TargetStore,
    long_server: VideoServer,
    if_exists: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    long: bool,
) -> None:
    fields: dict[str, Any] = LONG_VIDEO if long else {"video": video}
    operator = target.operator(key=KEY, if_exists=if_exists, **fields)
    store = operator.open_store()
    name = "begin" if long else "put"
    monkeypatch.setattr(store, name, after(partial(write_twin, target, {"video": other}), getattr(store, name)))
    monkeypatch.setattr(operator, "open_store", lambda: store)
    with pytest.raises(AirflowFailException, match="SoraTargetExistsError"):
        operator.execute({})
    [(_, content)] = target.files().items()
    assert content == b"".join(SoraHook().download_content(other))


def write_twin(target: TargetStore, fields: dict[str, Any]) -> None:
    target.operator(key=KEY, **fields).execute({})


def after(first: Callable[[], None], call: Callable[..., Any]) -> Callable[..., Any]:
    """A call that something else comes before."""

    def both(*arguments: Any) -> Any:
        first()
        return call(*arguments)

    return both


@pytest.mark.parametrize("long", [False, True])
def test_the_same_video_written_meanwhile_by_a_twin_is_fine(
    video: dict[str, Any],
    s3: Any,
    gcs: GCSServer,
    long_server: VideoServer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    long: bool,
) -> None:
    fields: dict[str, Any] = LONG_VIDEO if long else {"video": video}
    for target in (s3_target(s3, "S3"), gcs_target(gcs, "GCS")):
        operator = target.operator(key=KEY, if_exists="skip", **fields)
        store = operator.open_store()
        name = "begin" if long else "put"

        monkeypatch.setattr(store, name, after(partial(write_twin, target, fields), getattr(store, name)))
        monkeypatch.setattr(operator, "open_store", partial(lambda store: store, store))
        operator.execute({})
        assert len(target.files()) == 1


def test_an_object_whose_digest_a_killed_try_could_not_write_is_written_again(
    s3: Any, long_server: VideoServer
) -> None:
    target = s3_target(s3, "S3")
    target.operator(key=KEY, **LONG_VIDEO).execute({})
    s3.delete_object_tagging(Bucket="bucket", Key="a/file.mp4")
    target.operator(key=KEY, if_exists="skip", **LONG_VIDEO).execute({})
    assert len(long_server.requests) == 2
    [tag] = s3.get_object_tagging(Bucket="bucket", Key="a/file.mp4")["TagSet"]
    assert tag["Key"] == "sha256"


def test_an_unknown_word_is_named_when_the_dag_is_parsed() -> None:
    with pytest.raises(SoraConfigError, match="if_exists is 'overwrite'; it has to be one of skip, replace, fail"):
        SoraToS3Operator(task_id="m", video="v", s3_key="s3://b/k", if_exists="overwrite")


def test_deleting_afterwards_lets_go_of_the_video_on_the_server_once_it_is_stored(
    video: dict[str, Any], target: TargetStore, sora_emulator: Emulator
) -> None:
    target.operator(video=video, key=KEY, delete_after_transfer=True).execute({})
    assert len(target.files()) == 1
    assert not sora_emulator.jobs.all()


def test_a_retry_after_the_video_was_deleted_finds_it_in_the_store(long_server: VideoServer, s3: Any) -> None:
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


def test_nothing_is_deleted_where_a_variant_was_not_stored(
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


def test_a_server_that_does_not_delete_is_no_failure(
    video: dict[str, Any], s3: Any, sora_emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    sora_emulator.faults.add(Fault("delete", "status", status=405))
    SoraToS3Operator(task_id="m", video=video, s3_key="s3://bucket/x", delete_after_transfer=True).execute({})
    assert keys(s3) == ["x"]
    assert "is stored, but stays on the server" in caplog.text
