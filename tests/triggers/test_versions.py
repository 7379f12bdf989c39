"""Deferred tasks, and the rows of their triggers, that another version of this package has stored."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.compat import TaskDeferred
from airflow_provider_sora.emulator import Emulator
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError, SoraWaitError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.triggers.completed import SoraVideoCompletedTrigger
from airflow_provider_sora.triggers.sora import SoraVideoTrigger
from airflow_provider_sora.triggers.versions import VERSION
from tests.golden import golden, versions
from tests.tasks.task_context import Store, Ti, context

ROW: dict[str, Any] = {
    "sora_conn_id": "sora_default",
    "video_id": "video_1",
    "deadline": 9e9,
    "poll_interval": 1,
    "cancel_on_kill": True,
}


async def events_of(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def trigger_of(row: dict[str, Any], **changes: Any) -> Any:
    """A trigger as a triggerer builds it."""
    module, _, name = row["classpath"].rpartition(".")
    return getattr(import_module(module), name)(**{**row["kwargs"], **changes})


def submitted(emulator: Emulator) -> Video:
    with SoraHook() as hook:
        return hook.create_video("a cat", seconds=1, size="64x64")


@pytest.mark.parametrize("version", versions("trigger"))
def test_a_task_that_any_version_has_deferred_ends_with_its_video(sora_emulator: Emulator, version: int) -> None:
    row = golden("trigger", version)
    video = submitted(sora_emulator)
    sora_emulator.clock.advance(60)
    payloads = asyncio.run(events_of(trigger_of(row, video_id=video.id, deadline=9e9)))
    task = SoraCreateVideoOperator(task_id="t", prompt="a cat", deferrable=True)
    resume = getattr(task, row["next_method"])
    assert resume({}, *payloads)["id"] == video.id
    assert sora_emulator.creates == 1


@pytest.mark.parametrize("version", versions("event"))
def test_a_task_is_resumed_with_the_event_of_any_version(sora_emulator: Emulator, version: int) -> None:
    """An old triggerer ends the wait of a task that a new worker deferred, or an event is stored during the upgrade."""
    task = SoraCreateVideoOperator(task_id="create", prompt="a cat", deferrable=True)
    store, ti = Store(), Ti()
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context(ti, store))
    trigger: Any = deferred.value.trigger
    payload = json.loads(json.dumps(golden("event", version)["completed"]).replace("video_1", trigger.video_id))
    manifest = task.execute_complete(context(ti, store), payload | {"step": 0})
    assert (manifest["id"], manifest["status"]) == (trigger.video_id, "completed")
    assert sora_emulator.creates == 1


@pytest.mark.parametrize("version", versions("trigger"))
def test_every_argument_of_each_version_is_used(version: int) -> None:
    trigger = trigger_of(golden("trigger", version))
    assert (trigger.unknown, trigger._mismatch()) == ({}, None)
    assert trigger.submitted_at == 1_764_000_000.0
    assert (trigger.deadline, trigger.poll_interval, trigger.cancel_on_kill) == (1_764_003_600.5, 10.0, True)


def test_rows_are_written_as_the_newest_version() -> None:
    assert versions("trigger")[-1] == versions("watcher")[-1] == VERSION
    for what in ("trigger", "watcher"):
        row = golden(what, VERSION)
        assert trigger_of(row).serialize() == (row["classpath"], row["kwargs"])


@pytest.mark.parametrize("version", versions("watcher"))
def test_a_watcher_of_each_version_is_used(version: int) -> None:
    watcher = trigger_of(golden("watcher", version))
    assert (watcher.unknown, watcher.model, watcher.poll_interval) == ({}, "wan", 30.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"newer": {"a": 1}, "other": 2}, "newer is unknown, other is unknown"),
        (
            {"version": VERSION + 1, "newer": 1},
            f"version is {VERSION + 1} and not {VERSION} or lower, newer is unknown",
        ),
        ({"version": VERSION + 1}, f"version is {VERSION + 1} and not {VERSION} or lower"),
        ({"version": "new"}, f"version is 'new' and not {VERSION} or lower"),
        ({"deadline": None}, "deadline is missing"),
        ({"sora_conn_id": None, "connection": "c"}, "connection is unknown, sora_conn_id is missing"),
        ({"video_id": None}, "video_id is missing"),
    ],
)
def test_a_row_that_cannot_be_used_ends_with_what_to_do_and_the_job_is_left_running(
    sora_emulator: Emulator, changes: dict[str, Any], words: str
) -> None:
    row = {name: value for name, value in {**ROW, **changes}.items() if value is not None}
    trigger = SoraVideoTrigger(**row)
    payloads = asyncio.run(events_of(trigger))
    asyncio.run(trigger.on_kill())
    assert sora_emulator.requests == []
    assert json.loads(json.dumps(payloads)) == payloads
    words = f"left running .*: another version .*: {words}. Install one version"
    with pytest.raises(SoraWaitError, match=words) as caught:
        VideoEvent.parse(payloads[0]).manifest()
    assert caught.value.retryable


def test_a_row_of_another_version_stays_as_it_is() -> None:
    newer = {**ROW, "version": VERSION + 1, "newer": 1}
    assert SoraVideoTrigger(**newer).serialize()[1].items() >= newer.items()
    assert "deadline" not in SoraVideoTrigger(video_id="video_1").serialize()[1]
    assert SoraVideoCompletedTrigger(newer=1).serialize()[1]["newer"] == 1


@pytest.mark.parametrize(("row", "words"), [({"newer": 1}, "newer is unknown"), ({"version": 9}, "version is 9")])
def test_a_watcher_of_a_newer_version_says_so(sora_emulator: Emulator, row: dict[str, Any], words: str) -> None:
    with pytest.raises(SoraConfigError, match=words):
        asyncio.run(events_of(SoraVideoCompletedTrigger(**row)))
