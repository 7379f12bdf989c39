"""Through the LiteLLM proxy, in front of the emulator."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.emulator import Clock, Emulator
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from dev.deployment import free_port, until

KEY = "sk-proxy-1234"
MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(64)
SMALL: dict[str, Any] = {"model": "wan", "seconds": 1, "size": "64x64"}


@pytest.fixture(scope="module")
def server() -> Iterator[Emulator]:
    """The server behind the proxy."""
    with Emulator(clock=Clock(running=False)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def proxy(server: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The proxy's base URL."""
    program = os.environ.get("SORA_LITELLM")
    assert program, "SORA_LITELLM is not set: call `make interop`"
    folder = tmp_path_factory.mktemp("litellm")
    model = {"model": "hosted_vllm/wan", "api_base": server.base_url, "api_key": server.api_key}
    config = folder / "config.yaml"
    config.write_text(json.dumps({"model_list": [{"model_name": "wan", "litellm_params": model}]}))
    settings = {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "HOSTED_VLLM_API_BASE": server.base_url,
        "HOSTED_VLLM_API_KEY": str(server.api_key),
    }
    port = free_port()
    command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        until(lambda: _answers(process, f"http://127.0.0.1:{port}/health/liveliness", folder), "the proxy answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(process: subprocess.Popen[bytes], url: str, folder: Path) -> bool:
    assert process.poll() is None, (folder / "litellm.log").read_text()[-2000:]
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def hook(proxy: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoraHook]:
    extra = {"query": {"custom_llm_provider": "hosted_vllm"}}
    connection = {"conn_type": "sora", "host": proxy, "password": KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", json.dumps(connection))
    with SoraHook() as hook:
        yield hook


def finished(hook: SoraHook, server: Emulator, prompt: str = "a cat") -> Any:
    job = hook.create_video(prompt, **SMALL)
    server.clock.advance(60)
    return hook.get_video(job.id)


def test_a_video_is_made_waited_for_and_read(hook: SoraHook, server: Emulator) -> None:
    job = hook.create_video("a cat", **SMALL)
    assert job.status.is_running
    server.clock.advance(60)
    video = hook.wait_for_video(Wait(job.id, 9e12, 1), lambda _: None)
    assert (video.id, video.status.value, video.seconds, video.size) == (job.id, "completed", "1", "64x64")
    assert b"".join(hook.download_content(video.id))[4:8] == b"ftyp"


def test_the_operator_works(hook: SoraHook, server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", server.clock.advance)
    original = SoraHook.wait_for_video

    def wait(self: SoraHook, state: Wait, on_change: Any) -> Any:
        server.clock.advance(60)
        return original(self, state, on_change)

    monkeypatch.setattr(SoraHook, "wait_for_video", wait)
    manifest = SoraCreateVideoOperator(task_id="c", prompt="a cat", deferrable=False, **SMALL).execute({})
    assert manifest["status"] == "completed"


def test_the_list_ends(hook: SoraHook, server: Emulator) -> None:
    video = finished(hook, server)
    videos = list(hook.list_videos())
    assert len({found.id for found in videos}) == len(videos)
    assert video.created_at in {found.created_at for found in videos}


def test_remix_edit_and_extension_start_from_a_video(hook: SoraHook, server: Emulator) -> None:
    video = finished(hook, server)
    assert hook.remix_video(video.id, "a dog").remixed_from_video_id
    assert hook.edit_video(video.id, "at night").status.is_running
    assert hook.extend_video(video.id, "it rains", seconds=4).seconds == "5"


def test_a_character_is_made_where_the_connection_names_the_provider(hook: SoraHook) -> None:
    character = hook.create_character("Tom", MP4)
    assert character.name == "Tom"


@pytest.mark.parametrize(("word", "retryable"), [("moderation", False), ("fail", True)])
def test_a_failed_job_is_a_failed_video(hook: SoraHook, server: Emulator, word: str, retryable: bool) -> None:
    video = finished(hook, server, f"a cat [emulator:{word}]")
    with pytest.raises(exceptions.SoraVideoFailedError) as caught:
        hook.wait_for_video(Wait(video.id, 9e12, 1), lambda _: None)
    assert caught.value.retryable is retryable


def test_a_wrong_key_is_refused(proxy: str, monkeypatch: pytest.MonkeyPatch, server: Emulator) -> None:
    before = server.creates
    connection = {"conn_type": "sora", "host": proxy, "password": "wrong-key-1234"}
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps(connection))
    with SoraHook("wrong") as hook, pytest.raises(exceptions.SoraAuthError, match="No connected db"):
        hook.create_video("a cat", **SMALL)
    assert server.creates == before


def test_delete_is_not_offered(hook: SoraHook, server: Emulator) -> None:
    video = finished(hook, server)
    with pytest.raises(exceptions.SoraUnsupportedError, match="does not offer this call"):
        hook.delete_video(video.id)
