from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora import compat
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.protocol.requests import RetrieveVideo
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraConfigError, SoraContentError, SoraRateLimitError
from airflow_provider_sora.hooks.sora import SoraHook


def test_the_hook_keeps_to_the_allowed_paths(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"\x00\x00\x00\x20ftypisom")
    monkeypatch.setenv("AIRFLOW__SORA__ALLOWED_PATHS", str(tmp_path / "elsewhere"))
    calls: list[Any] = [
        lambda hook: hook.create_video("a cat", input_reference=str(clip)),
        lambda hook: hook.extend_video(clip, "a cat"),
        lambda hook: hook.edit_video(clip, "a cat"),
        lambda hook: hook.create_character("Tom", clip),
    ]
    for call in calls:
        with SoraHook() as hook, pytest.raises(SoraConfigError, match=r"is not read: .* is not below"):
            call(hook)
    assert sora_emulator.requests == []


def test_the_hook_reaches_every_call(sora_emulator: Emulator) -> None:
    hook = SoraHook()
    video = hook.create_video("a cat", seconds=1, size="64x64", seed=7)
    sora_emulator.clock.advance(60)
    assert hook.get_video(video.id).status.value == "completed"
    assert hook.wait_for_video(Wait(video.id, 9e9, 1), lambda _: None).id == video.id
    assert [found.id for found in hook.list_videos(limit=1, order="asc")] == [video.id]
    assert b"".join(hook.download_content(video.id))[4:8] == b"ftyp"
    assert b"".join(hook.download_content(video.id, "thumbnail"))[:4] == b"RIFF"
    assert hook.delete_video(video.id) is True
    assert list(hook.list_videos()) == []
    job = sora_emulator.requests[0]
    assert job["route"] == "create"


def test_a_value_that_will_not_do_is_named_before_anything_is_sent(sora_emulator: Emulator) -> None:
    with pytest.raises(SoraConfigError, match="prompt is ''; it has to be a non-empty string"):
        SoraHook().create_video("")
    assert sora_emulator.requests == []


def test_a_client_for_the_event_loop(sora_emulator: Emulator) -> None:
    async def use() -> str:
        async with await SoraHook().get_async_conn() as client:
            return (await client.send(RetrieveVideo(video_id=video.id))).id

    video = SoraHook().create_video("a cat")
    assert asyncio.run(use()) == video.id


def test_a_long_wait_that_a_server_asks_for_is_passed_on(sora_emulator: Emulator) -> None:
    sora_emulator.faults.add(Fault("create", "status", status=429, retry_after=3600))
    with pytest.raises(SoraRateLimitError) as caught:
        SoraHook().create_video("a cat")
    assert caught.value.retry_after_seconds == 3600
    assert sora_emulator.creates == 0


def test_the_connection_test_finds_a_working_server(sora_emulator: Emulator) -> None:
    assert SoraHook().test_connection() == (True, f"The server at {sora_emulator.base_url} lists its videos.")


def connection_json(emulator: Emulator, **changes: Any) -> str:
    return json.dumps({**json.loads(emulator.connection()), **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": "http://127.0.0.1:1"}, "Wrong host, or the server is down"),
        ({"password": "wrong key"}, "rejects the key"),
        ({"host": "{base}/elsewhere"}, "no Videos API under this path"),
        ({"host": ""}, "no server is set"),
    ],
    ids=["wrong host", "wrong key", "wrong path", "no host"],
)
def test_the_connection_test_tells_apart_what_is_wrong(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], words: str
) -> None:
    changes = {name: value.format(base=sora_emulator.base_url) for name, value in changes.items()}
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", connection_json(sora_emulator, **changes))
    ok, message = SoraHook().test_connection()
    assert not ok
    assert words in message
    assert "wrong key" not in message


def test_the_connection_test_quotes_any_other_trouble(sora_emulator: Emulator) -> None:
    sora_emulator.faults.add(Fault("list", "status", status=500))
    assert SoraHook().test_connection()[1].startswith("GET /videos answered HTTP 500")


def test_airflow_connections_test_works(sora_emulator: Emulator, airflow_db: Path) -> None:
    command = [str(Path(sys.executable).with_name("airflow")), "connections", "test", "sora_default"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Connection success!" in done.stdout, done.stdout + done.stderr


def test_the_form_of_the_connection_is_known_to_airflow() -> None:
    from airflow.providers_manager import ProvidersManager

    if (
        not compat.AIRFLOW_V_3_2_PLUS
    ):  # the form is made of Flask's widgets, which Airflow 3 has only with the FAB provider
        pytest.importorskip("flask_appbuilder")
    manager = ProvidersManager()
    fields = {name for name in manager.connection_form_widgets if name.startswith("extra__sora__")}
    assert {"extra__sora__auth", "extra__sora__headers", "extra__sora__query", "extra__sora__verify"} <= fields
    assert manager.field_behaviours["sora"]["relabeling"]["host"] == "Base URL"


def test_each_call_can_be_awaited(sora_emulator: Emulator) -> None:
    async def use() -> None:
        async with SoraHook() as hook:
            video = await hook.create_video.aio("a cat", seconds=1, size="64x64")
            sora_emulator.clock.advance(60)
            assert (await hook.get_video.aio(video.id)).status.value == "completed"
            assert [found.id async for found in hook.list_videos.aio(limit=1)] == [video.id]
            chunks = [chunk async for chunk in hook.download_content.aio(video.id, "thumbnail")]
            assert b"".join(chunks)[:4] == b"RIFF"
            extended = await hook.extend_video.aio(video.id, "it rains", seconds=4)
            edited = await hook.edit_video.aio(video.id, "at night")
            remixed = await hook.remix_video.aio(video.id, "a dog")
            assert len({video.id, extended.id, edited.id, remixed.id}) == 4
            character = await hook.create_character.aio("Tom", b"\x00\x00\x00\x20ftypisom")
            assert (await hook.get_character.aio(str(character.id))).name == "Tom"
            assert await hook.delete_video.aio(video.id) is True

    asyncio.run(use())


def test_broken_content_is_an_error_for_the_event_loop_too(sora_emulator: Emulator) -> None:
    async def use() -> None:
        async with SoraHook() as hook:
            with pytest.raises(SoraContentError, match="changed on the server"):
                _ = [chunk async for chunk in hook.download_content.aio(video.id)]

    with SoraHook() as hook:
        video = hook.create_video("a cat", seconds=1, size="64x64")
    sora_emulator.clock.advance(60)
    sora_emulator.faults.add(Fault("content", "truncate"))
    sora_emulator.faults.add(Fault("content", "changed", skip=1))
    asyncio.run(use())
