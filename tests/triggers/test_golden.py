"""What an earlier version has stored is still understood: a deferred task survives an upgrade of the package."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora.emulator import Emulator
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraResponseError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.triggers.sora import SoraVideoTrigger
from airflow_provider_sora.triggers.versions import ROW_VERSION

GOLDEN = Path(__file__).parent.parent / "golden"
ROWS = sorted(GOLDEN.glob("trigger_row_v*.json"))
EVENTS = sorted(GOLDEN.glob("event_v*.json"))


def test_each_version_has_a_file() -> None:
    assert [path.name for path in ROWS] == [f"trigger_row_v{number + 1}.json" for number in range(ROW_VERSION)]
    assert [path.name for path in EVENTS] == ["event_v0.json", "event_v1.json"]


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_the_row_of_each_version_is_read(path: Path) -> None:
    trigger = SoraVideoTrigger(**json.loads(path.read_text()))
    newest = json.loads(ROWS[-1].read_text())
    assert trigger.serialize()[1] == newest


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_task_that_an_earlier_version_deferred_gets_its_video_and_pays_nothing(
    sora_emulator: Emulator, path: Path
) -> None:
    with SoraHook() as hook:
        video = hook.create_video("a cat", seconds=1, size="64x64")
    sora_emulator.clock.advance(60)
    trigger = SoraVideoTrigger(**{**json.loads(path.read_text()), "video_id": video.id})

    async def first_event() -> Any:
        return (await anext(aiter(trigger.run()))).payload

    event = json.loads(json.dumps(asyncio.run(first_event())))
    manifest = SoraCreateVideoOperator(task_id="t", prompt="a cat", deferrable=True).execute_complete({}, event)
    assert (manifest["id"], manifest["status"]) == (video.id, "completed")
    assert sora_emulator.creates == 1


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_the_event_of_each_version_is_read(path: Path) -> None:
    event = VideoEvent.parse(json.loads(path.read_text()))
    assert event.manifest().id == "video_1"
    assert event.to_json() == json.loads(EVENTS[-1].read_text())


def test_an_event_of_a_newer_version_names_both_and_the_way_out() -> None:
    payload = {**json.loads(EVENTS[-1].read_text()), "version": 2, "news": True}
    with pytest.raises(SoraResponseError, match=r"version '?2'?, and this worker reads version 1: install one version"):
        VideoEvent.parse(payload)


@pytest.mark.parametrize("version", [ROW_VERSION + 1, "2", None])
def test_a_row_of_a_newer_version_ends_its_wait_and_keeps_the_job(sora_emulator: Emulator, version: Any) -> None:
    trigger = SoraVideoTrigger(**{**json.loads(ROWS[-1].read_text()), "version": version})

    async def first_event() -> Any:
        payload = (await anext(aiter(trigger.run()))).payload
        await trigger.on_kill()
        return payload

    event = VideoEvent.parse(asyncio.run(first_event()))
    assert event.leaves_running
    assert f"its version is {version!r}, and {ROW_VERSION} is known" in event.message
    assert sora_emulator.requests == []
