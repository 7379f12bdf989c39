"""Operators that start from a video, create a character, or delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora.compat import AirflowFailException, BaseOperator
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraConfigError, SoraServerError, SoraVideoFailedError
from airflow_provider_sora.operators.sora import (
    SoraCreateCharacterOperator,
    SoraCreateVideoOperator,
    SoraDeleteVideoOperator,
    SoraEditVideoOperator,
    SoraExtendVideoOperator,
    SoraRemixVideoOperator,
)
from airflow_provider_sora.transfers.sora_to_local import SoraDownloadVideoOperator
from tests.operators.running import Run

MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(100)
QUICK: dict[str, Any] = {"task_id": "task", "poll_interval": 0.02, "timeout": 30}


@pytest.fixture
def source(fast: Emulator) -> dict[str, Any]:
    """The manifest of a completed video."""
    task = SoraCreateVideoOperator(prompt="a cat", model="wan", seconds=1, size="64x64", deferrable=False, **QUICK)
    return task.execute({})


def test_an_extension_is_longer_than_its_source(fast: Emulator, run: Run, source: dict[str, Any]) -> None:
    manifest = run(SoraExtendVideoOperator(video=source, prompt="it rains", seconds=4, parameters={"seed": 7}, **QUICK))
    job = fast.jobs.get(manifest["id"])
    assert job is not None
    assert (job.kind, job.prompt, manifest["seconds"], job.fields["seed"]) == ("extend", "it rains", "5", 7)
    assert job.fields["video"] == {"id": source["id"]}


def test_a_list_of_prompts_grows_one_clip_step_by_step(fast: Emulator, run: Run, source: dict[str, Any]) -> None:
    prompts = ["it rains", "it snows", "the sun comes out"]
    manifest = run(SoraExtendVideoOperator(video=source["id"], prompt=prompts, seconds=4, **QUICK))
    made = [job for job in fast.jobs.all() if job.kind == "extend"]
    assert [job.prompt for job in made] == prompts
    assert [job.fields["video"]["id"] for job in made] == [source["id"], made[0].id, made[1].id]
    assert (manifest["id"], manifest["seconds"]) == (made[2].id, "13")


def test_a_step_that_fails_ends_the_task(fast: Emulator, run: Run, source: dict[str, Any]) -> None:
    fast.faults.add(Fault("extend", "fail_job", skip=1, code="server_error"))
    with pytest.raises(SoraVideoFailedError):
        run(SoraExtendVideoOperator(video=source, prompt=["a", "b", "c"], seconds=4, **QUICK))
    assert sum(job.kind == "extend" for job in fast.jobs.all()) == 2


def test_without_waiting_only_the_last_step_is_left_running(fast: Emulator, source: dict[str, Any]) -> None:
    task = SoraExtendVideoOperator(
        video=source, prompt=["a", "b"], seconds=4, wait_for_completion=False, deferrable=False, **QUICK
    )
    assert task.execute({})["status"] == "queued"
    assert [job.prompt for job in fast.jobs.all() if job.kind == "extend"] == ["a", "b"]


def test_an_edit_may_start_from_a_file(fast: Emulator, run: Run, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(MP4)
    manifest = run(SoraEditVideoOperator(video=str(clip), prompt="at night", **QUICK))
    job = fast.jobs.get(manifest["id"])
    assert job is not None
    assert (job.kind, job.prompt, job.fields["video"]) == ("edit", "at night", ("video/mp4", len(MP4)))


def test_a_remix_names_its_source(fast: Emulator, run: Run, source: dict[str, Any]) -> None:
    manifest = run(SoraRemixVideoOperator(video=source, prompt="a dog", **QUICK))
    assert manifest["remixed_from_video_id"] == source["id"]


def test_a_remix_of_a_file_is_refused(fast: Emulator) -> None:
    with pytest.raises(AirflowFailException, match=r"video is '/x\.mp4'; a remix starts from an id or a manifest"):
        SoraRemixVideoOperator(video="/x.mp4", prompt="a dog", deferrable=False, **QUICK).execute({})


def test_a_character_is_created_and_used(fast: Emulator, run: Run) -> None:
    character = SoraCreateCharacterOperator(task_id="c", name="Tom", video=MP4).execute({})
    assert character["name"] == "Tom"
    manifest = run(
        SoraCreateVideoOperator(prompt="Tom sleeps", size="64x64", characters=[character, "char_2"], **QUICK)
    )
    job = fast.jobs.get(manifest["id"])
    assert job is not None
    assert job.fields["characters"] == [{"id": character["id"]}, {"id": "char_2"}]


@pytest.mark.parametrize("characters", ["char_1", {"id": "char_1", "name": "Tom"}])
def test_one_character_needs_no_list(fast: Emulator, characters: Any) -> None:
    task = SoraCreateVideoOperator(prompt="Tom", size="64x64", characters=characters, deferrable=False, **QUICK)
    job = fast.jobs.get(task.execute({})["id"])
    assert job is not None
    assert job.fields["characters"] == [{"id": "char_1"}]


@pytest.mark.parametrize("name", ["fit", "storage_conn_id"])
def test_a_parameter_that_is_an_argument_is_refused(fast: Emulator, name: str) -> None:
    with pytest.raises(AirflowFailException, match=f"parameters has {name}: pass it as an argument"):
        SoraCreateVideoOperator(prompt="a", parameters={name: "x"}, deferrable=False, **QUICK).execute({})


def test_a_character_cannot_be_created_from_an_id(fast: Emulator) -> None:
    with pytest.raises(AirflowFailException, match="made from a file, not from a video's id"):
        SoraCreateCharacterOperator(task_id="c", name="Tom", video="video_1").execute({})


@pytest.mark.parametrize("characters", [[None], [{"name": "Tom"}], [""]])
def test_a_character_without_an_id_is_named(fast: Emulator, characters: list[Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"characters has .*; each has to be an id"):
        SoraCreateVideoOperator(prompt="a", characters=characters, deferrable=False, **QUICK).execute({})


def test_several_videos_are_deleted_and_a_missing_one_is_no_error(fast: Emulator, source: dict[str, Any]) -> None:
    task = SoraDeleteVideoOperator(task_id="d", video=[source, "video_of_nobody"])
    assert task.execute({}) == [source["id"], "video_of_nobody"]
    assert fast.jobs.all() == []


def test_a_missing_video_is_an_error_without_ignore_missing(fast: Emulator) -> None:
    with pytest.raises(AirflowFailException, match="SoraNotFoundError"):
        SoraDeleteVideoOperator(task_id="d", video="video_of_nobody", ignore_missing=False).execute({})


def test_one_video_that_cannot_be_deleted_does_not_stop_the_others(fast: Emulator, source: dict[str, Any]) -> None:
    fast.faults.add(Fault("delete", "status", status=500, times=5))
    with pytest.raises(SoraServerError):
        SoraDeleteVideoOperator(task_id="d", video=["video_1", source]).execute({})
    assert fast.jobs.all() == []


@pytest.mark.parametrize("video", ["", "/x.mp4", None])
def test_a_value_that_is_no_video_cannot_be_deleted(video: Any) -> None:
    with pytest.raises(AirflowFailException, match="video is"):
        SoraDeleteVideoOperator(task_id="d", video=video).execute({})


def test_a_video_is_downloaded_to_a_path(fast: Emulator, source: dict[str, Any], tmp_path: Path) -> None:
    path = f"{tmp_path}/a/{{id}}-{{variant}}.{{extension}}"
    [video, sheet] = SoraDownloadVideoOperator(
        task_id="d", video=source, path=path, variants=("video", "spritesheet")
    ).execute({})
    assert Path(video["uri"]).read_bytes()[4:8] == b"ftyp"
    assert sheet["uri"] == f"{tmp_path}/a/{source['id']}-spritesheet.jpg"


def test_a_relative_path_is_refused(source: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"path is 'file:///x\.mp4'; it has to be absolute"):
        SoraDownloadVideoOperator(task_id="d", video=source, path="file:///x.mp4").execute({})
    with pytest.raises(SoraConfigError, match=r"path is 'x\.mp4'; it has to be absolute"):
        SoraDownloadVideoOperator(task_id="d", video=source, path="x.mp4")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: SoraCreateVideoOperator(prompt="", **QUICK), "prompt is ''"),
        (lambda: SoraCreateVideoOperator(prompt="a", model="sora-2", seconds=5, **QUICK), "sora-2 has 4, 8, 12"),
        (lambda: SoraCreateVideoOperator(prompt="a", model="sora-2", size="1x1", **QUICK), "size is '1x1'"),
        (lambda: SoraExtendVideoOperator(video="v", prompt=[], **QUICK), "prompt is empty"),
        (lambda: SoraExtendVideoOperator(video="v", prompt=["a", ""], **QUICK), "prompt is ''"),
        (lambda: SoraExtendVideoOperator(video="v", prompt="a", seconds="x", **QUICK), "seconds is 'x'"),
        (lambda: SoraEditVideoOperator(video="v", prompt=" ", **QUICK), "prompt is ' '"),
        (lambda: SoraRemixVideoOperator(video="v", prompt="", **QUICK), "prompt is ''"),
        (lambda: SoraCreateCharacterOperator(task_id="c", name="x" * 81, video=MP4), "1 to 80 characters"),
    ],
)
def test_an_invalid_constant_is_named_when_the_dag_is_parsed(build: Any, words: str) -> None:
    with pytest.raises(SoraConfigError) as caught:
        build()
    assert words in str(caught.value)


def test_a_templated_value_is_checked_when_it_is_rendered_and_before_anything_is_paid(fast: Emulator) -> None:
    task = SoraCreateVideoOperator(prompt="{{ x }}", seconds="{{ y }}", model="sora-2", deferrable=False, **QUICK)
    task.prompt, task.seconds = "a", "5"
    with pytest.raises(AirflowFailException, match="seconds is '5'; sora-2 has 4, 8, 12"):
        task.execute({})
    assert fast.creates == 0


def test_the_limits_of_the_model_hold_for_several_extensions(fast: Emulator, source: dict[str, Any]) -> None:
    task = SoraExtendVideoOperator(
        video={**source, "model": "sora-2"}, prompt=["a"] * 7, seconds=4, deferrable=False, **QUICK
    )
    with pytest.raises(AirflowFailException, match="prompt has 7 extensions; sora-2 takes 6"):
        task.execute({})


OPERATORS: dict[type[BaseOperator], set[str]] = {
    SoraExtendVideoOperator: {"video", "prompt", "seconds", "storage_conn_id", "sora_conn_id", "parameters"},
    SoraEditVideoOperator: {"video", "prompt", "storage_conn_id", "sora_conn_id", "parameters"},
    SoraRemixVideoOperator: {"video", "prompt", "sora_conn_id", "parameters"},
    SoraCreateCharacterOperator: {"name", "video", "storage_conn_id", "sora_conn_id", "parameters"},
    SoraDeleteVideoOperator: {"video", "sora_conn_id"},
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_fields_are_templated(operator: type[BaseOperator]) -> None:
    assert set(operator.template_fields) == OPERATORS[operator]
