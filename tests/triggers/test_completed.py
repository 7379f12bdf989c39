from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraAuthError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.triggers.completed import SoraVideoCompletedTrigger
from dev.deployment import until


def first_events(trigger: SoraVideoCompletedTrigger, count: int, meanwhile: Any = None) -> list[dict[str, Any]]:
    """The first events of a trigger; `meanwhile` runs in a thread."""

    async def use() -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        work = asyncio.create_task(asyncio.to_thread(meanwhile)) if meanwhile else None
        async for event in trigger.run():
            events.append(event.payload)
            if len(events) == count:
                break
        if work:
            await work
        return events

    return asyncio.run(asyncio.wait_for(use(), 60))


def good_lists(emulator: Emulator) -> int:
    return sum(entry["route"] == "list" and entry["status"] == 200 for entry in emulator.requests)


def make(emulator: Emulator, *prompts: str, **fields: Any) -> list[str]:
    """Create videos once the list has been read."""
    before = good_lists(emulator)
    until(lambda: good_lists(emulator) > before, "the list is read", 30)
    with SoraHook() as hook:
        ids = [hook.create_video(prompt, **{"seconds": 1, "size": "64x64", **fields}).id for prompt in prompts]
    emulator.clock.advance(60)
    return ids


def test_each_completed_video_is_an_event_with_its_manifest(sora_emulator: Emulator) -> None:
    made: list[str] = []
    events = first_events(
        SoraVideoCompletedTrigger(poll_interval=0.05), 2, lambda: made.extend(make(sora_emulator, "a", "b"))
    )
    assert {event["id"] for event in events} == set(made)
    assert {(event["status"], event["conn_id"], event["size"]) for event in events} == {
        ("completed", "sora_default", "64x64")
    }


def test_only_videos_that_match_are_reported(sora_emulator: Emulator) -> None:
    trigger = SoraVideoCompletedTrigger(poll_interval=0.05, size="96x64")

    def work() -> None:
        make(sora_emulator, "a")
        make(sora_emulator, "b", size="96x64")

    [event] = first_events(trigger, 1, work)
    assert event["size"] == "96x64"


def test_a_list_that_fails_temporarily_is_read_again(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("airflow_provider_sora.api.decisions.retry.RequestRetryPolicy.pause", lambda *_: 0.0)
    sora_emulator.faults.add(Fault("list", "status", status=500, times=5))
    assert first_events(SoraVideoCompletedTrigger(poll_interval=0.05), 1, lambda: make(sora_emulator, "a"))
    assert "The list of sora_default could not be read" in caplog.text


def test_a_refused_key_ends_the_trigger(sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", sora_emulator.connection().replace("emulator", "other"))
    with pytest.raises(SoraAuthError):
        first_events(SoraVideoCompletedTrigger(poll_interval=0.05), 1)


def test_watchers_of_one_connection_share_a_reader() -> None:
    one = SoraVideoCompletedTrigger(sora_conn_id="a", model="x")
    assert one.shared_stream_key() == SoraVideoCompletedTrigger(sora_conn_id="a").shared_stream_key()
    assert one.shared_stream_key() != SoraVideoCompletedTrigger(sora_conn_id="b").shared_stream_key()
    assert one.shared_stream_key() != SoraVideoCompletedTrigger(sora_conn_id="a", poll_interval=5).shared_stream_key()


def test_a_shared_reader_gives_each_watcher_the_videos_that_match() -> None:
    async def stream() -> AsyncIterator[dict[str, Any]]:
        for model in ("x", "y", "x"):
            yield {"model": model, "size": None}

    async def use() -> list[Any]:
        trigger = SoraVideoCompletedTrigger(model="x")
        return [event.payload["model"] async for event in trigger.filter_shared_stream(stream())]

    assert asyncio.run(use()) == ["x", "x"]


def test_the_trigger_is_rebuilt_from_its_arguments() -> None:
    path, fields = SoraVideoCompletedTrigger(sora_conn_id="a", poll_interval=5, model="m", size="s").serialize()
    assert path == "airflow_provider_sora.triggers.completed.SoraVideoCompletedTrigger"
    assert SoraVideoCompletedTrigger(**fields).serialize() == (path, fields)
