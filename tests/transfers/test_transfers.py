"""What holds for every target: whole or not at all, checked, streamed."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sora.api.content import Content
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError, SoraContentError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from airflow_provider_sora.transfers.stream import ContentStream
from tests.transfers.stores import keys, uploads


class Target:
    """A store behind one operator: how to write to it, what is visible in it."""

    def __init__(self, kind: str, s3: Any, folder: Path) -> None:
        self.kind, self.s3, self.folder = kind, s3, folder

    def operator(self, key: str = "a/{id}-{variant}.{extension}", **fields: Any) -> SoraTransferOperator:
        if self.kind == "S3Hook":
            return SoraToS3Operator(task_id="move", s3_bucket="bucket", s3_key=key, **fields)
        root = self.folder.as_uri() if self.kind == "file" else "s3://aws_default@bucket"
        return SoraToObjectStorageOperator(task_id="move", path=f"{root}/{key}", **fields)

    def files(self) -> dict[str, bytes]:
        """Everything that anybody can see, and every upload that was left open."""
        if self.kind == "file":
            return {
                str(path.relative_to(self.folder)): path.read_bytes()
                for path in self.folder.rglob("*")
                if path.is_file()
            }
        left = {f"open upload {key}": b"" for key in uploads(self.s3)}
        return left | {key: self.s3.get_object(Bucket="bucket", Key=key)["Body"].read() for key in keys(self.s3)}


@pytest.fixture(params=["file", "s3fs", "S3Hook"])
def target(request: pytest.FixtureRequest, s3: Any, tmp_path: Path) -> Target:
    return Target(request.param, s3, tmp_path)


def test_the_whole_content_arrives_with_size_type_and_digest(video: dict[str, Any], target: Target) -> None:
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


@pytest.mark.parametrize("effect", ["truncate", "wrong_type", "drop"])
def test_content_that_is_not_whole_leaves_nothing_behind(
    video: dict[str, Any], target: Target, sora_emulator: Emulator, effect: Any
) -> None:
    sora_emulator.faults.add(Fault("content", effect, times=5))
    with pytest.raises((SoraContentError, SoraConnectionError)):
        target.operator(video=video).execute({})
    assert target.files() == {}


def broken_after(size: int) -> Iterator[bytes]:
    yield b"\x00\x00\x00\x20ftypisom"
    for _ in range(size // 2**20):
        yield bytes(2**20)
    raise SoraContentError("broke off")


def test_a_long_video_that_breaks_off_leaves_nothing_behind(
    video: dict[str, Any], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_sora.api.client.SoraClient.read_content", lambda *_: broken_after(40 * 2**20))
    with pytest.raises(SoraContentError):
        target.operator(video=video).execute({})
    assert target.files() == {}


def long_video(size: int) -> Generator[bytes, None, Content]:
    yield b"\x00\x00\x00\x20ftypisom"
    for _ in range(size // 2**16):
        yield bytes(2**16)
    return Content("video_1", "video", size, "video/mp4", "0" * 64)


def test_a_long_video_is_never_in_memory_as_a_whole(
    video: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target("file", None, tmp_path)  # moto would keep the object in this process's memory
    monkeypatch.setattr("airflow_provider_sora.api.client.SoraClient.read_content", lambda *_: long_video(64 * 2**20))
    tracemalloc.start()
    target.operator(video=video).execute({})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_the_file_can_be_played_at_the_asked_size_and_length(video: dict[str, Any], tmp_path: Path) -> None:
    [stored] = Target("file", None, tmp_path).operator(video=video).execute({})
    with av.open(stored["uri"].removeprefix("file://")) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 64, 64)
        assert len(frames) / float(stream.average_rate or 1) == 1.0


def test_a_list_of_ids_and_manifests_is_moved(video: dict[str, Any], target: Target, sora_emulator: Emulator) -> None:
    other = SoraHook().create_video("a dog", seconds=1, size="64x64")
    sora_emulator.clock.advance(60)
    stored = target.operator(video=[video, other.id]).execute({})
    assert [entry["video_id"] for entry in stored] == [video["id"], other.id]


def test_moving_again_replaces(video: dict[str, Any], target: Target) -> None:
    assert target.operator(video=video).execute({}) == target.operator(video=video).execute({})


def test_the_manifest_leads_to_its_server_unless_told_otherwise(
    video: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sora_emulator: Emulator
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", sora_emulator.connection())
    monkeypatch.delenv("AIRFLOW_CONN_SORA_DEFAULT")
    target = Target("file", None, tmp_path)
    assert target.operator(video={**video, "conn_id": "other"}).execute({})
    assert target.operator(video=video, sora_conn_id="other").execute({})
    assert target.operator(video=video["id"], sora_conn_id="other").execute({})


def test_an_expired_video_fails_at_once_and_without_a_retry(
    video: dict[str, Any], target: Target, sora_emulator: Emulator
) -> None:
    before = len(sora_emulator.requests)
    with pytest.raises(AirflowFailException, match=r"SoraContentExpiredError: the content of video .* expired at 1000"):
        target.operator(video={**video, "expires_at": 1000}).execute({})
    assert len(sora_emulator.requests) == before


def test_content_that_the_server_has_let_go_fails_without_a_retry(
    video: dict[str, Any], target: Target, sora_emulator: Emulator
) -> None:
    sora_emulator.clock.advance(7200)
    with pytest.raises(AirflowFailException, match="SoraContentExpiredError"):
        target.operator(video=video["id"]).execute({})
    assert target.files() == {}


@pytest.mark.parametrize("value", [None, "", "{'id': 'video_1'}", [None], 7])
def test_what_is_no_video_is_refused_with_the_way_out(tmp_path: Path, value: Any) -> None:
    with pytest.raises(AirflowFailException, match="it has to be an id, a manifest, or a list of them"):
        Target("file", None, tmp_path).operator(video=value).execute({})


@pytest.mark.parametrize("value", [(), ("film",), "film"])
def test_an_unknown_variant_is_named_when_the_dag_is_parsed(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SoraConfigError, match="one or more of video, thumbnail, spritesheet"):
        Target("file", None, tmp_path).operator(video="v", variants=value)


def test_a_key_that_will_not_do_is_named_when_the_dag_is_parsed(target: Target) -> None:
    with pytest.raises(SoraConfigError, match=r"has \{slug\}"):
        target.operator(key="{slug}", video="v")


def test_the_stream_reads_exactly_what_it_is_asked_for() -> None:
    stream = ContentStream(long_video(3 * 2**16))
    assert stream.readable()
    assert stream.content_type == "video/mp4"
    assert [len(stream.read(100_000)) for _ in range(3)] == [100_000, 96_620, 0]
    assert stream.content.video_id == "video_1"


def test_a_stream_that_was_not_read_to_its_end_has_no_content() -> None:
    stream = ContentStream(long_video(2**16))
    with pytest.raises(SoraContentError, match="not read to its end"):
        _ = stream.content
    assert len(stream.read()) == 2**16 + 12
    stream.close()
