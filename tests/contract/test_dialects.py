"""The whole API on every server, by a connection of host and key alone: nothing in a DAG or Extra has to change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.protocol.ids import canonical_id
from airflow_provider_sora.api.protocol.models import VideoStatus, read_status
from airflow_provider_sora.emulator import Clock, Emulator, Fault
from airflow_provider_sora.emulator.dialects import ALL_ROUTES, DIALECTS, OpenAI
from airflow_provider_sora.emulator.jobs import Jobs
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator, SoraDeleteVideoOperator
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator
from tests.pictures import png

MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(100)


@dataclass(frozen=True)
class Server:
    """What a server lacks or words in its own way."""

    has_thumbnails: bool = False
    lists_without_provider: bool = True
    shows_prompts: bool = True
    #: whether a failed job says that the prompt was refused, by a code that is known to mean that
    says_why: bool = True


SERVERS = {
    "openai": Server(has_thumbnails=True),
    "vllm-omni": Server(),
    "sglang": Server(shows_prompts=False, says_why=False),
    "litellm": Server(lists_without_provider=False),
    "aquiles": Server(says_why=False),
    "azure": Server(has_thumbnails=True),
}
PROVIDER = {"query": {"custom_llm_provider": "hosted_vllm"}}


def test_every_dialect_is_tested() -> None:
    assert set(SERVERS) == set(DIALECTS)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "status", [VideoStatus.QUEUED, VideoStatus.IN_PROGRESS, VideoStatus.COMPLETED, VideoStatus.FAILED]
)
def test_the_client_reads_the_words_of_every_dialect_for_a_status(dialect: str, status: VideoStatus) -> None:
    """The client's table is in `api/protocol/models.py`, the emulator's words are `status_words` of the dialects."""
    assert read_status(DIALECTS[dialect].status_words.get(status, status)) is status


def test_a_dialect_shows_its_own_words_for_a_status() -> None:
    class OtherWords(OpenAI):
        status_words: ClassVar = {"completed": "done"}

    jobs = Jobs(lambda: 1000.0)
    job = jobs.create({"prompt": "a cat"})
    assert [OtherWords().video(job, now)["status"] for now in (0.0, job.started_at, job.ended_at)] == [
        "queued",
        "in_progress",
        "done",
    ]


@pytest.fixture(params=SERVERS)
def emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator(dialect=request.param, clock=Clock(running=False)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", server.connection())
        yield server


@pytest.fixture
def hook(emulator: Emulator) -> Iterator[SoraHook]:
    with SoraHook() as hook:
        yield hook


def finished(hook: SoraHook, emulator: Emulator, **fields: Any) -> Any:
    job = hook.create_video(**{"prompt": "a cat", "seconds": 1, "size": "64x64", **fields})
    emulator.clock.advance(60)
    return hook.get_video(job.id)


def test_a_job_is_followed_from_its_start_to_its_end(hook: SoraHook, emulator: Emulator) -> None:
    job = hook.create_video("a cat", seconds=2, size="64x64", seed=7)
    assert job.status.value == "queued"
    emulator.clock.advance(3)
    assert hook.get_video(job.id).status.value == "in_progress"
    emulator.clock.advance(10)
    video = hook.wait_for_video(Wait(job.id, 9e9, 1), lambda _: None)
    assert (video.id, video.status.value, video.progress) == (job.id, "completed", 100)
    assert (video.seconds, video.size) == ("2", "64x64")
    assert video.created_at is not None


def test_every_field_arrives(hook: SoraHook, emulator: Emulator) -> None:
    hook.create_video("a cat", model="wan", seconds=2, size="64x64", seed=7, extra_params={"a": [1]})
    [job] = emulator.jobs.all()
    assert (job.prompt, job.model, job.seconds, job.size) == ("a cat", "wan", "2", "64x64")
    is_form = emulator.dialect.name == "vllm-omni"  # nobody said so: it was learned
    assert job.fields["seed"] == ("7" if is_form else 7)
    assert job.fields["extra_params"] == ('{"a": [1]}' if is_form else {"a": [1]})
    assert job.fields["seconds"] == "2"


def test_a_picture_is_uploaded_with_its_true_type(hook: SoraHook, emulator: Emulator) -> None:
    content = png((64, 64))
    hook.create_video("a cat", size="64x64", input_reference=content)
    assert emulator.jobs.all()[0].fields["input_reference"] == ("image/png", len(content))


@pytest.mark.parametrize(("code", "retryable"), [("moderation_blocked", False), ("server_error", True)])
def test_a_failed_job_is_a_failed_video_and_not_a_failed_poll(
    hook: SoraHook, emulator: Emulator, code: str, retryable: bool
) -> None:
    emulator.faults.add(Fault("create", "fail_job", code=code, message="the server's words"))
    video = finished(hook, emulator)
    assert video.status.value == "failed"
    with pytest.raises(exceptions.SoraVideoFailedError, match="the server's words") as caught:
        hook.wait_for_video(Wait(video.id, 9e9, 1), lambda _: None)
    assert caught.value.retryable is (retryable if SERVERS[emulator.dialect.name].says_why else True)


def test_the_content_is_read(hook: SoraHook, emulator: Emulator) -> None:
    video = finished(hook, emulator)
    assert b"".join(hook.download_content(video.id))[4:8] == b"ftyp"


@pytest.mark.parametrize("variant", ["thumbnail", "spritesheet"])
def test_a_variant_is_what_was_asked_for_or_an_error(hook: SoraHook, emulator: Emulator, variant: Any) -> None:
    video = finished(hook, emulator)
    if SERVERS[emulator.dialect.name].has_thumbnails:
        assert b"".join(hook.download_content(video.id, variant))[:3] in (b"RIF", b"\xff\xd8\xff")
    else:
        with pytest.raises((exceptions.SoraContentError, exceptions.SoraNotFoundError)):
            b"".join(hook.download_content(video.id, variant))


def test_a_variant_that_the_server_lacks_may_be_optional(hook: SoraHook, emulator: Emulator, tmp_path: Path) -> None:
    video = finished(hook, emulator)
    path = f"{tmp_path.as_uri()}/v-{{variant}}.{{extension}}"
    variants: dict[str, Any] = {"variants": ("video", "thumbnail"), "optional_variants": ("thumbnail",)}
    files = SoraToObjectStorageOperator(task_id="m", video=video.id, path=path, **variants).execute({})
    has_thumbnails = SERVERS[emulator.dialect.name].has_thumbnails
    assert [file["variant"] for file in files] == ["video", *["thumbnail"][: int(has_thumbnails)]]
    assert len(list(tmp_path.iterdir())) == len(files)


@pytest.mark.parametrize("optional", [("video",), "spritesheet", ("thumbnail", "nonsense")])
def test_what_may_be_optional_is_checked(optional: Any) -> None:
    with pytest.raises(exceptions.SoraConfigError, match="optional_variants is"):
        SoraToObjectStorageOperator(
            task_id="m", video="v", path="/x/{variant}", variants=("video", "thumbnail"), optional_variants=optional
        )


def test_content_before_the_end_is_not_ready(hook: SoraHook, emulator: Emulator) -> None:
    job = hook.create_video("a cat")
    with pytest.raises(exceptions.SoraContentNotReadyError):
        b"".join(hook.download_content(job.id))


def test_the_list_ends_and_holds_every_video_once(
    hook: SoraHook, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [canonical_id(finished(hook, emulator).id) for _ in range(5)]
    if not SERVERS[emulator.dialect.name].lists_without_provider:
        with pytest.raises(exceptions.SoraStatusError, match="custom_llm_provider is required to list videos"):
            list(hook.list_videos())
        connection = json.loads(emulator.connection()) | {"extra": PROVIDER}
        monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", json.dumps(connection))
    with SoraHook() as fresh:
        videos = list(fresh.list_videos(limit=2))
    assert [canonical_id(video.id) for video in videos] == made[::-1]
    assert all(hook.get_video(video.id).status.value == "completed" for video in videos)
    assert {video.prompt for video in videos} == {"a cat" if SERVERS[emulator.dialect.name].shows_prompts else None}


def test_an_unknown_id_is_an_error_of_its_own(hook: SoraHook, emulator: Emulator) -> None:
    expected = exceptions.SoraServerError if emulator.dialect.name == "litellm" else exceptions.SoraNotFoundError
    with pytest.raises(expected):
        hook.get_video("video_of_nobody")


def test_a_wrong_key_is_refused(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "sora", "host": emulator.base_url, "password": "wrong-key-123"}
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps(connection))
    with SoraHook("wrong") as hook, pytest.raises(exceptions.SoraStatusError) as caught:
        hook.create_video("a cat")
    assert not caught.value.retryable
    assert emulator.creates == 0


def test_a_bad_request_is_an_error_in_the_servers_words(hook: SoraHook, emulator: Emulator) -> None:
    with pytest.raises(exceptions.SoraStatusError) as caught:
        hook.create_video("a cat", size="1x1")
    assert caught.value.detail
    assert emulator.creates == 0


def test_deleting_is_understood(hook: SoraHook, emulator: Emulator) -> None:
    video = finished(hook, emulator)
    task = SoraDeleteVideoOperator(task_id="delete", video=video.id)
    if "delete" not in emulator.dialect.routes:
        with pytest.raises(exceptions.SoraUnsupportedError, match="does not offer this call: leave it to"):
            hook.delete_video(video.id)
    else:
        assert hook.delete_video(video.id) is True
        assert task.execute({}) == [video.id]
        assert emulator.jobs.all() == []


CALLS: dict[str, Callable[[SoraHook, str], Any]] = {
    "extend": lambda hook, video_id: hook.extend_video(video_id, "it rains", seconds=4),
    "edit": lambda hook, video_id: hook.edit_video({"id": video_id, "status": "completed"}, "at night"),
    "remix": lambda hook, video_id: hook.remix_video(video_id, "a dog"),
    "create_character": lambda hook, _: hook.create_character("Tom", MP4),
}


@pytest.mark.parametrize("route", CALLS)
def test_a_call_works_or_says_that_the_server_has_no_such_thing(hook: SoraHook, emulator: Emulator, route: Any) -> None:
    video = finished(hook, emulator)
    if route in emulator.dialect.routes:
        made = CALLS[route](hook, video.id)
        assert made.id
        if route == "create_character":
            assert hook.get_character(made.id).name == "Tom"
        if route == "extend":
            assert made.seconds == "5"
        if route == "remix":
            assert made.remixed_from_video_id
    else:
        with pytest.raises(exceptions.SoraUnsupportedError) as caught:
            CALLS[route](hook, video.id)
        assert emulator.base_url in str(caught.value)
        assert "does not offer this call: " in str(caught.value)


def test_the_operator_works_unchanged(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SoraHook, "wait_for_video", _wait_in_the_emulators_time(emulator))
    task = SoraCreateVideoOperator(
        task_id="create", prompt="a cat", seconds=1, size="64x64", deferrable=False, poll_interval=0.01
    )
    manifest = task.execute({})
    assert (manifest["status"], manifest["seconds"], manifest["size"]) == ("completed", "1", "64x64")
    assert emulator.creates == 1


def _wait_in_the_emulators_time(emulator: Emulator) -> Any:
    original = SoraHook.wait_for_video

    def wait(self: SoraHook, state: Wait, on_change: Any) -> Any:
        emulator.clock.advance(60)
        return original(self, state, on_change)

    return wait


def test_only_the_hosted_copy_had_every_route() -> None:
    assert {name for name, dialect in DIALECTS.items() if dialect.routes == ALL_ROUTES} == {"openai"}


@pytest.mark.parametrize("effect", ["fail_job", "expire", "drop"])
def test_a_request_that_the_server_refuses_by_itself_does_not_use_up_a_fault(effect: Any) -> None:
    with Emulator(dialect="vllm-omni", clock=Clock(running=False)) as emulator:
        emulator.faults.add(Fault("create", effect, accept=True))
        headers = {"Authorization": f"Bearer {emulator.api_key}"}
        refused = httpx.post(f"{emulator.base_url}/videos", json={"prompt": "a"}, headers=headers)
        assert (refused.status_code, emulator.creates) == (400, 0)
        assert "('body', 'prompt')" in refused.json()["error"]["message"]
        assert [fault["times"] for fault in emulator.faults.to_json()] == [1]


def test_a_busy_server_is_asked_again_by_airflow_and_nothing_is_paid() -> None:
    with Emulator(dialect="aquiles", clock=Clock(running=False)) as emulator:
        from airflow_provider_sora.api.client import SoraClient
        from airflow_provider_sora.api.http.config import SoraConfig
        from airflow_provider_sora.api.protocol.requests import CreateVideo

        with SoraClient(SoraConfig(emulator.base_url, emulator.api_key)) as client:
            client.send(CreateVideo(prompt="a"))
            with pytest.raises(exceptions.SoraServerError, match="limit of 1 concurrent tasks") as caught:
                client.send(CreateVideo(prompt="a"))
        assert caught.value.retryable
        assert emulator.creates == 1
