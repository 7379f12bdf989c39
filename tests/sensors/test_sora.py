from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_sora.api.decisions.polling import PollAgain
from airflow_provider_sora.compat import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraVideoFailedError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.sensors.sora import SoraVideoSensor
from airflow_provider_sora.triggers.sora import SoraVideoTrigger


def made(emulator: Emulator, prompt: str = "a cat", *, done: bool = True) -> dict[str, Any]:
    with SoraHook() as hook:
        video = hook.create_video(prompt, seconds=1, size="64x64")
        if done:
            emulator.clock.advance(60)
        return VideoManifest.of(video, "sora_default").to_json()


def resume(sensor: SoraVideoSensor) -> Any:
    """Where the sensor defers, let the trigger run and hand its event back, as Airflow does."""
    try:
        return sensor.execute({})
    except TaskDeferred as error:
        deferred = error
    trigger = SoraVideoTrigger(**json.loads(json.dumps(deferred.trigger.serialize()[1])))

    async def first_event() -> Any:
        return (await anext(aiter(trigger.run()))).payload

    return sensor.execute_complete({}, json.loads(json.dumps(asyncio.run(first_event()))))


def test_a_poke_says_whether_the_video_is_there(sora_emulator: Emulator) -> None:
    video = made(sora_emulator, done=False)
    sensor = SoraVideoSensor(task_id="wait", video=video["id"], deferrable=False)
    assert not sensor.poke({}).is_done
    sora_emulator.clock.advance(60)
    result = sensor.poke({})
    assert result.is_done
    assert result.xcom_value is not None
    assert result.xcom_value["status"] == "completed"


def test_the_sensor_returns_the_manifest(sora_emulator: Emulator) -> None:
    video = made(sora_emulator)
    assert SoraVideoSensor(task_id="wait", video=video, deferrable=False).execute({})["id"] == video["id"]


def test_the_sensor_can_wait_in_the_triggerer(sora_emulator: Emulator) -> None:
    sora_emulator.jobs.speed = 70
    video = made(sora_emulator, done=False)
    sensor = SoraVideoSensor(task_id="wait", video=video, deferrable=True, poke_interval=0.1)
    assert resume(sensor)["status"] == "completed"


def test_a_finished_video_does_not_go_through_the_triggerer(sora_emulator: Emulator) -> None:
    video = made(sora_emulator)
    before = len(sora_emulator.requests)
    assert SoraVideoSensor(task_id="wait", video=video, deferrable=True).execute({})["status"] == "completed"
    assert [entry["route"] for entry in sora_emulator.requests[before:]] == ["retrieve"]


@pytest.mark.parametrize(
    "fault", [{"effect": "status", "status": 500}, {"effect": "status", "status": 404}, {"effect": "drop"}]
)
def test_a_first_poll_that_fails_is_not_a_video_that_fails(sora_emulator: Emulator, fault: dict[str, Any]) -> None:
    video = made(sora_emulator)
    before = len(sora_emulator.requests)
    sora_emulator.faults.add(Fault("retrieve", times=9, **fault))
    with pytest.raises(TaskDeferred) as deferred:
        SoraVideoSensor(task_id="wait", video=video, deferrable=True).execute({})
    assert deferred.value.trigger.serialize()[1]["submitted_at"] is None
    assert len(sora_emulator.requests) <= before + 1  # and a worker is not held by trying again


def test_a_running_job_is_waited_for_from_its_start(sora_emulator: Emulator) -> None:
    video = made(sora_emulator, done=False)
    with pytest.raises(TaskDeferred) as deferred:
        SoraVideoSensor(task_id="wait", video=video, deferrable=True).execute({})
    assert deferred.value.trigger.serialize()[1]["submitted_at"] == pytest.approx(video["created_at"])


def test_the_deferral_carries_interval_deadline_and_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_sora.sensors.sora.time.time", lambda: 1000.0)
    monkeypatch.setattr(SoraHook, "check_video", lambda _, state, *__: PollAgain(state, 1.0))
    sensor = SoraVideoSensor(
        task_id="wait", video="video_1", sora_conn_id="other", poke_interval=7, timeout=60, deferrable=True
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert deferred.value.trigger.serialize()[1] == {
        "sora_conn_id": "other",
        "video_id": "video_1",
        "deadline": 1060.0,
        "poll_interval": 7.0,
        "submitted_at": None,
        "end_task": False,
        "step": 0,
        "cancel_on_kill": False,
        "keep_on_clear": False,
        "version": 2,
    }


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_failed_video_fails_the_sensor_and_a_refused_one_without_a_retry(
    sora_emulator: Emulator, deferrable: bool
) -> None:
    for prompt, error in (("[emulator:fail]", SoraVideoFailedError), ("[emulator:moderation]", AirflowFailException)):
        sensor = SoraVideoSensor(task_id="wait", video=made(sora_emulator, prompt), deferrable=deferrable)
        with pytest.raises(error):
            resume(sensor) if deferrable else sensor.poke({})


def test_soft_fail_skips_instead(sora_emulator: Emulator) -> None:
    video = made(sora_emulator, "[emulator:fail]")
    with pytest.raises(AirflowSkipException):
        resume(SoraVideoSensor(task_id="wait", video=video, soft_fail=True, deferrable=True))


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("video", ["", "/x.mp4", {"status": "completed"}])
def test_what_is_no_video_is_named(video: Any, deferrable: bool) -> None:
    with pytest.raises(AirflowFailException, match="video is"):
        SoraVideoSensor(task_id="wait", video=video, deferrable=deferrable).execute({})


def test_the_setting_of_airflow_decides_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert SoraVideoSensor(task_id="wait", video="v").deferrable is True
    assert set(SoraVideoSensor.template_fields) == {"video", "sora_conn_id"}
