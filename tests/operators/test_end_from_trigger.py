"""Tasks that end in the triggerer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_sora.compat import Asset, TaskDeferred
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator, SoraExtendVideoOperator


def event_of(operator: Any, emulator: Emulator) -> TriggerEvent:
    """What the trigger of a deferred task yields, once its job has ended."""
    with pytest.raises(TaskDeferred) as caught:
        operator.execute({})
    emulator.clock.advance(60)

    async def first() -> TriggerEvent:
        return await anext(aiter(caught.value.trigger.run()))

    return asyncio.run(asyncio.wait_for(first(), 30))


def create(**fields: Any) -> SoraCreateVideoOperator:
    values = {"task_id": "t", "prompt": "a", "seconds": 1, "size": "64x64", "deferrable": True, "poll_interval": 0.1}
    return SoraCreateVideoOperator(**{**values, "end_from_trigger": True, **fields})


def test_the_task_ends_with_the_manifest_as_its_result(sora_emulator: Emulator) -> None:
    operator = create()
    event = event_of(operator, sora_emulator)
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms is not None
    assert event.xcoms["return_value"] == operator.execute_complete({}, event.payload)  # as `dags test` resumes it
    assert event.xcoms["return_value"]["status"] == "completed"


def test_a_failed_job_goes_back_to_a_worker_for_its_retry(sora_emulator: Emulator) -> None:
    sora_emulator.faults.add(Fault("create", "fail_job"))
    event = event_of(create(), sora_emulator)
    assert not isinstance(event, TaskSuccessEvent)
    assert event.payload["outcome"] == "failed"


def test_it_is_off_by_default(sora_emulator: Emulator) -> None:
    assert not isinstance(event_of(create(end_from_trigger=False), sora_emulator), TaskSuccessEvent)


def test_a_step_that_another_follows_goes_back_to_a_worker(sora_emulator: Emulator) -> None:
    source = event_of(create(), sora_emulator)
    operator = SoraExtendVideoOperator(
        task_id="e",
        video=source.payload["video"],
        prompt=["a", "b"],
        seconds=4,
        deferrable=True,
        poll_interval=0.1,
        end_from_trigger=True,
    )
    assert not isinstance(event_of(operator, sora_emulator), TaskSuccessEvent)


def test_outlets_are_refused_when_the_dag_is_parsed_for_airflow_would_ignore_them() -> None:
    with pytest.raises(SoraConfigError, match="end_from_trigger is set, and the task has outlets"):
        create(outlets=[Asset("s3://bucket/x")])
