"""What holds for every target: whole or not at all, checked, streamed."""

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
from tests.transfers.targets import TargetStore, file_target, s3_target
from tests.transfers.video_server import VideoServer


def test_the_whole_content_arrives_with_size_type_and_digest(video: dict[str, Any], target: TargetStore) -> None:
    stored = target.operator(video=video, variants=("thumbnail", "video")).execute({})
    expected = b"".join(SoraHook().download_content(video["id"]))
    files = target.files()
    assert set(files) == {f"a/{video['id']}-video.mp4", f"a/{video['id']}-thumbnail.webp"}
    assert files[f"a/{video['id']}-video.mp4"] == expected
    first = stored[0]
    assert (first["video_id"], first["variant"], first["content_type"]) == (video["id"], "video", "video/mp4")
    assert (first["size_bytes"], first["sha256"]) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert first["uri"].endswith(f"/a/{video['id']}-video.mp4")
    assert json.loads(json.dumps(stored)) == stored


def test_the_file_can_be_played_at_the_asked_size_and_length(video: dict[str, Any], tmp_path: Path) -> None:
    [stored] = file_target(tmp_path).operator(video=video).execute({})
    with av.open(stored["uri"].removeprefix("file://")) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 64, 64)
        assert len(frames) / float(stream.average_rate or 1) == 1.0


def test_a_list_of_ids_and_manifests_is_moved(
    video: dict[str, Any], target: TargetStore, sora_emulator: Emulator
) -> None:
    other = SoraHook().create_video("a dog", seconds=1, size="64x64")
    sora_emulator.clock.advance(60)
    stored = target.operator(video=[video, other.id]).execute({})
    assert [entry["video_id"] for entry in stored] == [video["id"], other.id]


def test_moving_again_replaces(video: dict[str, Any], target: TargetStore) -> None:
    assert target.operator(video=video).execute({}) == target.operator(video=video).execute({})


def test_the_manifest_leads_to_its_server_unless_told_otherwise(
    video: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sora_emulator: Emulator
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", sora_emulator.connection())
    monkeypatch.delenv("AIRFLOW_CONN_SORA_DEFAULT")
    target = file_target(tmp_path)
    assert target.operator(video={**video, "conn_id": "other"}).execute({})
    assert target.operator(video=video, sora_conn_id="other").execute({})
    assert target.operator(video=video["id"], sora_conn_id="other").execute({})


def test_a_video_that_is_gone_after_its_time_is_called_expired(
    video: dict[str, Any], tmp_path: Path, sora_emulator: Emulator
) -> None:
    SoraHook().delete_video(video["id"])
    with pytest.raises(AirflowFailException, match="SoraNotFoundError"):
        file_target(tmp_path).operator(video=video).execute({})
    sora_emulator.clock.advance(7200)
    with pytest.raises(AirflowFailException, match=r"SoraContentExpiredError: .*its manifest says it was kept until"):
        file_target(tmp_path).operator(video=video).execute({})


def test_content_that_the_server_has_let_go_fails_without_a_retry(
    video: dict[str, Any], target: TargetStore, sora_emulator: Emulator
) -> None:
    sora_emulator.clock.advance(7200)
    with pytest.raises(AirflowFailException, match="SoraContentExpiredError"):
        target.operator(video=video["id"]).execute({})
    assert target.files() == {}


@pytest.mark.parametrize("value", [None, "", "{'id': 'video_1'}", [None], 7])
def test_what_is_no_video_is_refused_with_the_way_out(tmp_path: Path, value: Any) -> None:
    with pytest.raises(AirflowFailException, match="it has to be an id, a manifest, or a list of them"):
        file_target(tmp_path).operator(video=value).execute({})


@pytest.mark.parametrize("value", [(), ("film",), "film"])
def test_an_unknown_variant_is_named_when_the_dag_is_parsed(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SoraConfigError, match="one or more of video, thumbnail, spritesheet"):
        file_target(tmp_path).operator(video="v", variants=value)


def test_a_key_that_will_not_do_is_named_when_the_dag_is_parsed(target: TargetStore) -> None:
    with pytest.raises(SoraConfigError, match=r"has \{name\}"):
        target.operator(key="{name}", video="v")


def finished(emulator: Emulator, *prompts: str) -> list[str]:
    """The ids of finished videos."""
    ids = [SoraHook().create_video(prompt, seconds=1, size="64x64").id for prompt in prompts]
    emulator.clock.advance(60)
    return ids


def test_one_video_that_fails_does_not_lose_the_others(
    target: TargetStore, sora_emulator: Emulator, video: dict[str, Any]
) -> None:
    good = finished(sora_emulator, "a", "b")
    with pytest.raises(AirflowFailException) as caught:
        target.operator(video=[good[0], "video_nowhere", video, "video_neither", good[1]]).execute({})
    words = str(caught.value)
    assert "2 of 5 files were not moved: video of video video_nowhere: SoraNotFoundError:" in words
    assert "video of video video_neither: SoraNotFoundError:" in words
    assert set(target.files()) == {f"a/{name}-video.mp4" for name in (*good, video["id"])}


def test_one_error_that_may_pass_leaves_the_task_its_retries(
    target: TargetStore, sora_emulator: Emulator, video: dict[str, Any]
) -> None:
    sora_emulator.faults.add(Fault("content", "wrong_type", times=1))
    with pytest.raises(SoraTransferError, match=r"2 of 2 files were not moved") as caught:
        target.operator(video=[video, "video_nowhere"], video_concurrency=1).execute({})
    assert caught.value.retryable
    assert caught.value.moved == 0


def test_slugs_name_the_files(target: TargetStore, sora_emulator: Emulator) -> None:
    ids = finished(sora_emulator, "a", "b")
    target.operator(video=ids, slug=["A cat", "A dog!"], key="{slug}.{extension}").execute({})
    assert set(target.files()) == {"a-cat.mp4", "a-dog.mp4"}


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        (["a"], "one for each of 2 videos"),
        (["a", 5], "one for each of 2 videos"),
        ("a", "give a list with one for each"),
        (["A", "a!"], "a would stand for two videos"),
    ],
)
def test_slugs_that_will_not_do_are_named(tmp_path: Path, slug: Any, words: str) -> None:
    with pytest.raises(AirflowFailException, match=words):
        file_target(tmp_path).operator(video=["v", "w"], slug=slug, key="{slug}").execute({})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("part_size_bytes", 1, "multiple of 262144, at least 5242880"),
        ("part_size_bytes", 5 * 2**20 + 1, "multiple of 262144"),
        ("part_size_bytes", "8", "multiple of 262144"),
        ("part_concurrency", 0, "a whole number from 1 up"),
        ("video_concurrency", True, "a whole number from 1 up"),
    ],
)
def test_a_number_that_will_not_do_is_named_when_the_dag_is_parsed(
    tmp_path: Path, name: str, value: Any, words: str
) -> None:
    with pytest.raises(SoraConfigError, match=words):
        file_target(tmp_path).operator(video="v", **{name: value})


def test_the_numbers_arrive_where_they_matter(s3: Any, long_server: VideoServer) -> None:
    operator = s3_target(s3, "S3").operator(
        key="x", video="video_1", sora_conn_id="sora_long", part_size_bytes=6 * 2**20, part_concurrency=3
    )
    assert operator.open_store().workers == 3
    operator.execute({})
    assert s3.head_object(Bucket="bucket", Key="x", PartNumber=1)["ContentLength"] == 6 * 2**20


def test_an_unknown_scheme_is_named_with_the_way_out() -> None:
    operator = SoraToObjectStorageOperator(task_id="m", video="v", path="nowhere://bucket/x")
    with pytest.raises(AirflowFailException, match=r"path is 'nowhere://bucket/x': .*install the provider"):
        operator.execute({})


@pytest.mark.parametrize("path", ["s3://bucket", "gs:///x", "s3://aws_default@/x"])
def test_a_path_without_bucket_or_key_is_named(path: str) -> None:
    operator = SoraToObjectStorageOperator(task_id="m", video="v", path=path)
    with pytest.raises(AirflowFailException, match="it has to have a bucket and a key"):
        operator.execute({})


def test_a_cloud_whose_library_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(SoraConfigError, match=r"install airflow-provider-sora\[amazon\]"), require_extra("amazon"):
        raise ImportError("No module named 'boto3'")


def test_an_operator_can_be_copied_as_airflow_does() -> None:
    operator = SoraToObjectStorageOperator(task_id="m", video="v", path="file:///x")
    assert copy.deepcopy(operator).path == "file:///x"
