"""Rows of triggers that another version has stored."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_sora.compat import TaskDeferred
from airflow_provider_sora.emulator import Emulator
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError, SoraWaitError
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.triggers.completed import SoraVideoCompletedTrigger
from airflow_provider_sora.triggers.sora import SoraVideoTrigger

ROW: dict[str, Any] = {
    "sora_conn_id": "sora_default",
    "video_id": "video_1",
    "deadline": 9e9,
    "poll_interval": 1,
    "cancel_on_kill": True,
}


async def events_of(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"newer": {"a": 1}, "other": 2}, "newer is unknown, other is unknown"),
        ({"deadline": None}, "deadline is missing"),
        ({"sora_conn_id": None, "connection": "c"}, "connection is unknown, sora_conn_id is missing"),
        ({"video_id": None}, "video_id is missing"),
    ],
)
def test_a_wait_that_another_version_has_stored_ends_with_what_to_do(
    sora_emulator: Emulator, changes: dict[str, Any], words: str
) -> None:
    row = {name: value for name, value in {**ROW, **changes}.items() if value is not None}
    trigger = SoraVideoTrigger(**row)
    payloads = asyncio.run(events_of(trigger))
    asyncio.run(trigger.on_kill())
    assert sora_emulator.requests == []  # the job lives
    assert json.loads(json.dumps(payloads)) == payloads
    words = f"left running .*: another version .*: {words}. Install one version"
    with pytest.raises(SoraWaitError, match=words) as caught:
        VideoEvent.parse(payloads[0]).manifest()
    assert caught.value.retryable


def test_its_row_stays_as_it_is() -> None:
    assert SoraVideoTrigger(**ROW, newer=1).serialize()[1].items() >= {**ROW, "newer": 1}.items()
    assert "deadline" not in SoraVideoTrigger(video_id="video_1").serialize()[1]
    assert SoraVideoCompletedTrigger(newer=1).serialize()[1]["newer"] == 1


def test_what_an_operator_defers_with_fits(sora_emulator: Emulator) -> None:
    task = SoraCreateVideoOperator(task_id="t", prompt="a cat", deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({})
    row = deferred.value.trigger.serialize()[1]
    assert SoraVideoTrigger(**row).unknown == {}
    assert SoraVideoTrigger(**row)._misfit() is None


def test_a_watcher_that_another_version_has_stored_says_so(sora_emulator: Emulator) -> None:
    with pytest.raises(SoraConfigError, match="newer is unknown"):
        asyncio.run(events_of(SoraVideoCompletedTrigger(newer=1)))
