"""What is the same for every destination: results, arguments, and several videos at once."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import av
import pytest

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraConfigError, SoraTransferError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator
from airflow_provider_sora.transfers.store import require_extra
from tests.transfers.destinations import Destination, file_destination, s3_destination
from tests.transfers.video_server import VideoServer


def test_the_content_is_stored_with_size_type_and_digest(video: dict[str, Any], destination: Destination) -> None:
    stored = destination.operator(video=video, variants=("thumbnail", "video")).execute({})
    expected = b"".join(SoraHook().download_content(video["id"]))
    files = destination.files()
    assert set(files) == {f"a/{video['id']}-video.mp4", f"a/{video['id']}-thumbnail.webp"}
    assert files[f"a/{video['id']}-video.mp4"] == expected
    first = stored[0]
    assert (first["video_id"], first["variant"], first["content_type"]) == (video["id"], "video", "video/mp4")
    assert (first["size_bytes"], first["sha256"]) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert first["uri"].endswith(f"/a/{video['id']}-video.mp4")
    assert json.loads(json.dumps(stored)) == stored


def test_the_file_is_playable_and_has_the_requested_size_and_length(video: dict[str, Any], tmp_path: Path) -> None:
    [stored] = file_destination(tmp_path).operator(video=video).execute({})
    with av.open(stored["uri"].removeprefix("file://")) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 64, 64)
        assert len(frames) / float(stream.average_rate or 1) == 1.0


def test_a_list_of_ids_and_manifests_is_accepted(
    video: dict[str, Any], destination: Destination, sora_emulator: Emulator
) -> None:
    other = SoraHook().create_video("a dog", seconds=1, size="64x64")
    sora_emulator.clock.advance(60)
    stored = destination.operator(video=[video, other.id]).execute({})
    assert [entry["video_id"] for entry in stored] == [video["id"], other.id]


def test_moving_a_video_again_replaces_the_file(video: dict[str, Any], destination: Destination) -> None:
    assert destination.operator(video=video).execute({}) == destination.operator(video=video).execute({})


def test_the_connection_is_that_of_the_manifest_unless_another_is_given(
    video: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sora_emulator: Emulator
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", sora_emulator.connection())
    monkeypatch.delenv("AIRFLOW_CONN_SORA_DEFAULT")
    destination = file_destination(tmp_path)
    assert destination.operator(video={**video, "conn_id": "other"}).execute({})
    assert destination.operator(video=video, sora_conn_id="other").execute({})
    assert destination.operator(video=video["id"], sora_conn_id="other").execute({})


def test_a_video_that_no_longer_exists_after_its_expiry_is_an_expiry_error(
    video: dict[str, Any], tmp_path: Path, sora_emulator: Emulator
) -> None:
    SoraHook().delete_video(video["id"])
    with pytest.raises(AirflowFailException, match="SoraNotFoundError"):
        file_destination(tmp_path).operator(video=video).execute({})
    sora_emulator.clock.advance(7200)
    with pytest.raises(AirflowFailException, match=r"SoraContentExpiredError: .*by its manifest the video expired at"):
        file_destination(tmp_path).operator(video=video).execute({})


def test_expired_content_fails_without_a_retry(
    video: dict[str, Any], destination: Destination, sora_emulator: Emulator
) -> None:
    sora_emulator.clock.advance(7200)
    with pytest.raises(AirflowFailException, match="SoraContentExpiredError"):
        destination.operator(video=video["id"]).execute({})
    assert destination.files() == {}


@pytest.mark.parametrize("value", [None, "", "{'id': 'video_1'}", [None], 7])
def test_a_value_that_is_not_a_video_is_an_error_with_the_way_out(tmp_path: Path, value: Any) -> None:
    with pytest.raises(AirflowFailException, match="it has to be an id, a manifest, or a list of them"):
        file_destination(tmp_path).operator(video=value).execute({})


@pytest.mark.parametrize("value", [(), ("film",), "film"])
def test_an_unknown_variant_is_an_error_when_the_dag_is_parsed(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SoraConfigError, match="one or more of video, thumbnail, spritesheet"):
        file_destination(tmp_path).operator(video="v", variants=value)


def test_an_invalid_key_is_an_error_when_the_dag_is_parsed(destination: Destination) -> None:
    with pytest.raises(SoraConfigError, match=r"has \{name\}"):
        destination.operator(key="{name}", video="v")


def finished(emulator: Emulator, *prompts: str) -> list[str]:
    """The ids of finished videos."""
    ids = [SoraHook().create_video(prompt, seconds=1, size="64x64").id for prompt in prompts]
    emulator.clock.advance(60)
    return ids


def test_the_other_videos_are_moved_where_some_fail(
    destination: Destination, sora_emulator: Emulator, video: dict[str, Any]
) -> None:
    good = finished(sora_emulator, "a", "b")
    with pytest.raises(AirflowFailException) as caught:
        destination.operator(video=[good[0], "video_nowhere", video, "video_neither", good[1]]).execute({})
    message = str(caught.value)
    assert "2 of 5 files were not moved: video of video video_nowhere: SoraNotFoundError:" in message
    assert "video of video video_neither: SoraNotFoundError:" in message
    assert set(destination.files()) == {f"a/{name}-video.mp4" for name in (*good, video["id"])}


def test_one_transient_error_leaves_the_task_its_retries(
    destination: Destination, sora_emulator: Emulator, video: dict[str, Any]
) -> None:
    sora_emulator.faults.add(Fault("content", "wrong_type", times=1))
    with pytest.raises(SoraTransferError, match=r"2 of 2 files were not moved") as caught:
        destination.operator(video=[video, "video_nowhere"], video_concurrency=1).execute({})
    assert caught.value.retryable
    assert caught.value.moved == 0


def test_slugs_are_part_of_the_file_names(destination: Destination, sora_emulator: Emulator) -> None:
    ids = finished(sora_emulator, "a", "b")
    destination.operator(video=ids, slug=["A cat", "A dog!"], key="{slug}.{extension}").execute({})
    assert set(destination.files()) == {"a-cat.mp4", "a-dog.mp4"}


@pytest.mark.parametrize(
    ("slug", "message"),
    [
        (["a"], "one for each of 2 videos"),
        (["a", 5], "one for each of 2 videos"),
        ("a", "give a list with one for each"),
        (["A", "a!"], "two videos would have the slug a"),
    ],
)
def test_invalid_slugs_are_errors(tmp_path: Path, slug: Any, message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        file_destination(tmp_path).operator(video=["v", "w"], slug=slug, key="{slug}").execute({})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("part_size_bytes", 1, "multiple of 262144, at least 5242880"),
        ("part_size_bytes", 5 * 2**20 + 1, "multiple of 262144"),
        ("part_size_bytes", "8", "multiple of 262144"),
        ("part_concurrency", 0, "an integer of at least 1"),
        ("video_concurrency", True, "an integer of at least 1"),
    ],
)
def test_an_invalid_number_is_an_error_when_the_dag_is_parsed(
    tmp_path: Path, name: str, value: Any, message: str
) -> None:
    with pytest.raises(SoraConfigError, match=message):
        file_destination(tmp_path).operator(video="v", **{name: value})


def test_part_size_and_concurrency_reach_the_store(s3: Any, long_server: VideoServer) -> None:
    operator = s3_destination(s3).operator(
        key="x", video="video_1", sora_conn_id="sora_long", part_size_bytes=6 * 2**20, part_concurrency=3
    )
    assert operator.open_store().workers == 3
    operator.execute({})
    assert s3.head_object(Bucket="bucket", Key="x", PartNumber=1)["ContentLength"] == 6 * 2**20


def test_an_unknown_scheme_is_an_error_with_the_way_out() -> None:
    operator = SoraToObjectStorageOperator(task_id="m", video="v", path="nowhere://bucket/x")
    with pytest.raises(AirflowFailException, match=r"path is 'nowhere://bucket/x': .*install the provider"):
        operator.execute({})


@pytest.mark.parametrize("path", ["s3://bucket", "gs:///x", "s3://aws_default@/x"])
def test_a_path_without_bucket_or_key_is_an_error(path: str) -> None:
    operator = SoraToObjectStorageOperator(task_id="m", video="v", path=path)
    with pytest.raises(AirflowFailException, match="it has to have a bucket and a key"):
        operator.execute({})


def test_a_missing_library_is_an_error_that_names_the_extra() -> None:
    with pytest.raises(SoraConfigError, match=r"install airflow-provider-sora\[amazon\]"), require_extra("amazon"):
        raise ImportError("No module named 'boto3'")


def test_an_operator_can_be_copied_as_airflow_does() -> None:
    operator = SoraToObjectStorageOperator(task_id="m", video="v", path="file:///x")
    assert copy.deepcopy(operator).path == "file:///x"
