from __future__ import annotations

import asyncio
import json
import logging
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora.compat import AirflowFailException, TaskDeferred
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import (
    SoraConfigError,
    SoraResponseError,
    SoraVideoFailedError,
    SoraWaitTimeoutError,
)
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.triggers.sora import SoraVideoTrigger
from tests.operators.running import Run, run_blocking
from tests.pictures import png

PNG = png((64, 64))


def operator(**fields: Any) -> SoraCreateVideoOperator:
    fields = {"prompt": "a cat", "seconds": 1, "size": "64x64", "poll_interval": 0.02, "deferrable": False, **fields}
    return SoraCreateVideoOperator(task_id="create", **fields)


def test_a_video_is_created_and_its_manifest_returned(fast: Emulator, run: Run) -> None:
    manifest = run(operator(model="wan"))
    assert manifest["status"] == "completed"
    assert manifest["conn_id"] == "sora_default"
    assert (manifest["model"], manifest["seconds"], manifest["size"]) == ("wan", "1", "64x64")
    assert manifest["expires_at"] > manifest["completed_at"] >= manifest["created_at"]
    assert fast.creates == 1
    assert json.loads(json.dumps(manifest)) == manifest


def test_every_field_arrives_at_the_server(fast: Emulator, tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(PNG)
    task = operator(model="wan", input_reference=str(picture), parameters={"seed": 7, "extra_params": {"a": 1}})
    job = fast.jobs.get(run_blocking(task)["id"])
    assert job is not None
    assert (job.prompt, job.model, job.seconds, job.size) == ("a cat", "wan", "1", "64x64")
    assert job.fields["input_reference"] == ("image/png", len(PNG))
    assert (job.fields["seed"], job.fields["extra_params"]) == ("7", '{"a": 1}')


def test_fields_are_templated() -> None:
    assert set(SoraCreateVideoOperator.template_fields) == {
        "sora_conn_id",
        "prompt",
        "model",
        "seconds",
        "size",
        "input_reference",
        "characters",
        "storage_conn_id",
        "parameters",
    }


def test_without_waiting_the_running_job_is_returned(fast: Emulator) -> None:
    manifest = operator(wait_for_completion=False).execute({})
    assert manifest["status"] == "queued"


def test_a_job_that_is_done_at_once_is_not_deferred(sora_emulator: Emulator) -> None:
    sora_emulator.jobs.speed = float("inf")
    assert operator(deferrable=True).execute({})["status"] == "completed"
    assert operator().execute({})["status"] == "completed"
    assert [entry["route"] for entry in sora_emulator.requests] == ["list", "create"] * 2


def test_a_moderated_video_fails_without_a_retry_and_with_the_servers_words(fast: Emulator, run: Run) -> None:
    fast.faults.add(Fault("create", "fail_job", code="moderation_blocked", message="not this"))
    with pytest.raises(
        AirflowFailException, match=r"SoraVideoRejectedError: video .* \[moderation_blocked\]: not this"
    ):
        run(operator())


def test_a_video_that_the_server_could_not_make_fails_with_a_retry(fast: Emulator, run: Run) -> None:
    fast.faults.add(Fault("create", "fail_job", code="server_error", message="out of memory"))
    with pytest.raises(SoraVideoFailedError, match=r"\[server_error\]: out of memory"):
        run(operator())


def test_an_invalid_request_fails_without_a_retry(fast: Emulator) -> None:
    with pytest.raises(AirflowFailException, match=r"HTTP 400 \[invalid_value\].*seconds"):
        operator(seconds=999).execute({})
    assert fast.creates == 0


def test_waiting_ends_after_the_timeout_and_leaves_the_job_running(sora_emulator: Emulator, run: Run) -> None:
    with pytest.raises(SoraWaitTimeoutError, match="left running on the server: the timeout has passed"):
        run(operator(prompt="[emulator:stuck]", timeout=0.1))
    [job] = sora_emulator.jobs.all()
    assert job.status(sora_emulator.clock.now()) in ("queued", "in_progress")


def test_failing_polls_do_not_fail_the_video(fast: Emulator, run: Run) -> None:
    fast.faults.add(Fault("retrieve", "status", status=502, times=2))
    fast.faults.add(Fault("retrieve", "drop"))
    assert run(operator(poll_interval=0.01))["status"] == "completed"


def test_progress_is_logged_as_it_changes(
    sora_emulator: Emulator, run: Run, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sora_emulator.jobs.speed = 6
    with caplog.at_level(logging.INFO):
        run(operator(poll_interval=0.005))
    out = capsys.readouterr().out  # where Airflow 3 shows an operator's own log
    text = out if "in_progress" in out else caplog.text
    shown = re.findall(r"Video video_\w+: ((?:queued|in_progress), \d+ %)", text)
    assert len(shown) > 2
    assert len(set(shown)) == len(shown)


def test_the_deferral_carries_an_absolute_deadline_and_no_secret(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_sora.operators.base.time.time", lambda: 1000.0)
    with pytest.raises(TaskDeferred) as deferred:
        operator(deferrable=True, timeout=timedelta(minutes=2), poll_interval=7).execute({})
    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_provider_sora.triggers.sora.SoraVideoTrigger"
    [job] = sora_emulator.jobs.all()
    assert arguments == {
        "sora_conn_id": "sora_default",
        "video_id": job.id,
        "deadline": 1120.0,
        "poll_interval": 7,
        "version": 2,
        "submitted_at": 1000.0,
        "end_task": False,
        "step": 0,
        "cancel_on_kill": True,
        "keep_on_clear": False,
    }
    assert deferred.value.timeout == timedelta(minutes=7)


@pytest.mark.parametrize(("setting", "deferrable"), [("True", True), ("False", False)])
def test_deferrable_follows_airflows_setting(monkeypatch: pytest.MonkeyPatch, setting: str, deferrable: bool) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", setting)
    assert operator(deferrable=None).deferrable is deferrable


@pytest.mark.parametrize(("field", "value"), [("poll_interval", 0), ("timeout", timedelta(0))])
def test_an_invalid_duration_is_named_when_the_dag_is_parsed(field: str, value: Any) -> None:
    with pytest.raises(SoraConfigError, match=f"{field} is .*; it has to be more than 0 seconds"):
        operator(**{field: value})


def test_a_parameter_that_has_an_argument_of_its_own_is_refused(fast: Emulator) -> None:
    with pytest.raises(AirflowFailException, match="parameters has size: pass it as an argument"):
        operator(parameters={"size": "64x64"}).execute({})


def test_a_missing_event_is_never_success() -> None:
    with pytest.raises(SoraResponseError):
        operator().execute_complete({}, None)


def test_a_trigger_that_fails_unexpectedly_reports_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Any) -> Any:
        raise RuntimeError("no such connection")

    monkeypatch.setattr("airflow_provider_sora.hooks.sora.SoraHook.get_async_conn", broken)
    trigger = SoraVideoTrigger(sora_conn_id="x", video_id="video_1", deadline=1, poll_interval=1)

    async def first_event() -> Any:
        return (await anext(aiter(trigger.run()))).payload

    event = asyncio.run(first_event())
    assert (event["outcome"], event["video_id"]) == ("stopped", "video_1")
    assert "no such connection" in event["message"]


def test_a_cancelled_trigger_ends_at_once_without_an_event(sora_emulator: Emulator) -> None:
    video = SoraCreateVideoOperator(task_id="c", prompt="[emulator:stuck]", wait_for_completion=False).execute({})
    trigger = SoraVideoTrigger(sora_conn_id="sora_default", video_id=video["id"], deadline=9e9, poll_interval=60)

    async def cancelled() -> None:
        waiting = asyncio.ensure_future(anext(aiter(trigger.run())))
        while not any(entry["route"] == "retrieve" for entry in sora_emulator.requests):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(asyncio.wait_for(cancelled(), 20))
