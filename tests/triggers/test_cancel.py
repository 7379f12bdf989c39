"""What happens to a job whose wait is cancelled."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.triggers import sora
from airflow_provider_sora.triggers.safe_to_cancel import DELETED
from airflow_provider_sora.triggers.sora import SoraVideoTrigger
from airflow_provider_sora.triggers.stalls import StallDetector

TaskState = Callable[[Any], Awaitable[str | None]]


@pytest.fixture(autouse=True)
def deletes_running_jobs(sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(sora_emulator.dialect), "refuses_to_delete_running", False)


@pytest.fixture
def trigger(sora_emulator: Emulator) -> SoraVideoTrigger:
    with SoraHook() as hook:
        video = hook.create_video("a cat", seconds=1, size="64x64")
    assert sora_emulator.creates == 1
    return waiting_for(video.id)


def waiting_for(video_id: str, **arguments: Any) -> SoraVideoTrigger:
    return SoraVideoTrigger(
        sora_conn_id="sora_default",
        video_id=video_id,
        deadline=9e9,
        poll_interval=60,
        **{"cancel_on_kill": True, **arguments},
    )


async def cancel(trigger: SoraVideoTrigger) -> None:
    """Run a trigger, and cancel it as Airflow does."""

    async def wait() -> None:
        async for _ in trigger.run():
            raise AssertionError("nothing has happened")

    waiting = asyncio.create_task(wait())
    while trigger._stalls is None:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await trigger.on_kill()


def airflow_returns(monkeypatch: pytest.MonkeyPatch, state: str | None, job: str | None = None) -> list[Any]:
    """Let Airflow return this state, and this job of the task; the list of what is requested."""
    requested: list[Any] = []

    async def task_state(ti: Any) -> str | None:
        requested.append(ti)
        return state

    async def task_job(ti: Any, step: int) -> str | None:
        requested.append((ti, step))
        return job

    monkeypatch.setattr(sora, "task_state", task_state)
    monkeypatch.setattr(sora, "task_job", task_job)
    return requested


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "success", "failed", "removed", DELETED])
def test_a_user_who_acted_has_the_job_deleted(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch, state: str | None
) -> None:
    ti: Any = type("Ti", (), {"task_id": "create"})()
    trigger.task_instance = ti
    requested = airflow_returns(monkeypatch, state)
    asyncio.run(cancel(trigger))
    assert requested == [ti]
    assert sora_emulator.jobs.all() == []


@pytest.mark.parametrize("state", ["deferred", "skipped", "up_for_retry", "upstream_failed", "unknown"])
def test_in_doubt_the_job_is_kept_and_the_log_names_it(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    state: str,
) -> None:
    airflow_returns(monkeypatch, state)
    with caplog.at_level("INFO"):
        asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1
    assert f"video {trigger.video_id} is left running on the server: its task is {state}" in caplog.text


@pytest.mark.parametrize("state", ["deferred", "up_for_retry"])
def test_a_task_that_waits_for_another_job_was_cleared(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    requested = airflow_returns(monkeypatch, state, "video_of_the_next_try")
    asyncio.run(cancel(trigger))
    assert requested == [None, (None, trigger.step)]
    assert sora_emulator.jobs.all() == []


def test_a_task_that_waits_for_the_job_in_another_triggerer_keeps_it(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow_returns(monkeypatch, "deferred", trigger.video_id)
    asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1


def test_the_ids_of_a_gateway_may_name_the_same_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrapped(model: str) -> str:
        text = f"litellm:custom_llm_provider:x;model_id:{model};video_id:video_1"
        return "video_" + base64.b64encode(text.encode()).decode()

    airflow_returns(monkeypatch, "deferred", wrapped("a model"))
    trigger = waiting_for(wrapped(""))
    assert asyncio.run(trigger._reason_of_task()) == "its task is deferred"


async def refusing(ti: Any) -> str | None:
    raise RuntimeError("no supervisor")


async def silent(ti: Any) -> str | None:
    await asyncio.Event().wait()
    return "failed"


@pytest.mark.parametrize(("asking", "name"), [(refusing, "RuntimeError: no supervisor"), (silent, "TimeoutError")])
def test_a_request_without_a_response_keeps_the_job(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asking: TaskState,
    name: str,
) -> None:
    monkeypatch.setattr(sora, "task_state", asking)
    monkeypatch.setattr(sora, "ASK_SECONDS", 0.05)
    with caplog.at_level("INFO"):
        asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1
    assert name in caplog.text


def test_a_task_that_reconnects_to_its_job_keeps_it_when_cleared_but_not_when_marked(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow_returns(monkeypatch, "scheduled")
    asyncio.run(cancel(waiting_for(trigger.video_id, keep_on_clear=True)))
    assert len(sora_emulator.jobs.all()) == 1
    airflow_returns(monkeypatch, "failed")
    asyncio.run(cancel(waiting_for(trigger.video_id, keep_on_clear=True)))
    assert sora_emulator.jobs.all() == []


def test_airflow_is_not_asked_without_cancel_on_kill(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = airflow_returns(monkeypatch, "failed")
    asyncio.run(cancel(waiting_for(trigger.video_id, cancel_on_kill=False)))
    assert requested == []
    assert len(sora_emulator.jobs.all()) == 1


def test_a_completed_video_is_not_deleted(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    airflow_returns(monkeypatch, "success")
    with caplog.at_level("INFO"):

        async def use() -> None:
            trigger._stalls = StallDetector(15.0)
            sora_emulator.clock.advance(60)
            await trigger.on_kill()

        asyncio.run(use())
    assert len(sora_emulator.jobs.all()) == 1
    assert f"video {trigger.video_id} is kept on the server: its job has ended (completed)" in caplog.text


def test_a_job_whose_status_check_fails_is_not_deleted(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    airflow_returns(monkeypatch, "failed")
    with caplog.at_level("INFO"):

        async def use() -> None:
            trigger._stalls = StallDetector(15.0)
            sora_emulator.faults.add(Fault("retrieve", "status", status=502))
            await trigger.on_kill()

        asyncio.run(use())
    assert len(sora_emulator.jobs.all()) == 1
    assert f"video {trigger.video_id} may still be running" in caplog.text


def test_deleting_ends_in_bounded_time(
    trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def for_ever(_: SoraHook) -> None:
        await asyncio.Event().wait()

    airflow_returns(monkeypatch, "failed")
    monkeypatch.setattr(SoraHook, "short_lived_async_conn", for_ever)
    monkeypatch.setattr(sora, "KILL_SECONDS", 0.05)
    asyncio.run(cancel(trigger))
    assert f"video {trigger.video_id} may still be running: it was not deleted in time" in caplog.text


def test_a_second_cancellation_does_not_stop_the_deletion(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow 3.3.2 cancels a trigger again each second, its `on_kill` included."""

    async def use() -> None:
        requested, response = asyncio.Event(), asyncio.Event()

        async def task_state(ti: Any) -> str | None:
            requested.set()
            await response.wait()
            return "failed"

        monkeypatch.setattr(sora, "task_state", task_state)
        trigger._stalls = StallDetector(15.0)
        killing = asyncio.create_task(trigger.on_kill())
        await requested.wait()
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        response.set()
        await asyncio.gather(*sora._cancelling)

    asyncio.run(use())
    assert sora_emulator.jobs.all() == []
    assert sora._cancelling == set()


def test_the_limits_are_below_airflows_own() -> None:
    assert sora.ASK_SECONDS < sora.KILL_SECONDS < 30


def test_a_stalled_triggerer_deletes_nothing(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [1000.0]
    airflow_returns(monkeypatch, "failed")
    detector = StallDetector(15.0, lambda: (now[0], now[0]))
    monkeypatch.setattr(sora, "stall_detector", lambda: detector)
    with caplog.at_level("INFO"):

        async def use() -> None:
            kill = trigger.on_kill

            async def resume_and_kill() -> None:
                now[0] += 60
                await kill()

            monkeypatch.setattr(trigger, "on_kill", resume_and_kill)
            await cancel(trigger)

        asyncio.run(use())
    assert len(sora_emulator.jobs.all()) == 1
    assert "was stalled" in caplog.text


def test_a_triggerer_that_stalled_during_the_request_deletes_nothing(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]

    async def task_state(ti: Any) -> str | None:
        now[0] += 60
        return "failed"

    monkeypatch.setattr(sora, "task_state", task_state)
    detector = StallDetector(15.0, lambda: (now[0], now[0]))
    monkeypatch.setattr(sora, "stall_detector", lambda: detector)
    asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1


def test_a_timeout_of_airflow_leaves_the_job_for_the_next_try(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow_returns(monkeypatch, "scheduled")
    monkeypatch.setattr(trigger, "timeout_after", datetime.now(UTC) + timedelta(seconds=5), raising=False)
    asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1


def test_a_trigger_that_never_ran_deletes_nothing(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow_returns(monkeypatch, "failed")
    asyncio.run(trigger.on_kill())
    assert len(sora_emulator.jobs.all()) == 1
