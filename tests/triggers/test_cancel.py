"""What becomes of a job whose wait is cancelled."""

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

Question = Callable[[Any], Awaitable[str | None]]


@pytest.fixture(autouse=True)
def deletes_running_jobs(sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(sora_emulator.dialect), "protects_running", False)


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
    """Let a trigger wait, and cancel it as Airflow does."""

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


def answering(monkeypatch: pytest.MonkeyPatch, state: str | None, job: str | None = None) -> list[Any]:
    """Let Airflow answer with a state, and with the job that the task has; what it was asked about."""
    asked: list[Any] = []

    async def task_state(ti: Any) -> str | None:
        asked.append(ti)
        return state

    async def task_job(ti: Any, step: int) -> str | None:
        asked.append((ti, step))
        return job

    monkeypatch.setattr(sora, "task_state", task_state)
    monkeypatch.setattr(sora, "task_job", task_job)
    return asked


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "success", "failed", "removed", DELETED])
def test_a_user_who_acted_has_the_job_deleted(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch, state: str | None
) -> None:
    ti: Any = type("Ti", (), {"task_id": "create"})()
    trigger.task_instance = ti
    asked = answering(monkeypatch, state)
    asyncio.run(cancel(trigger))
    assert asked == [ti]
    assert sora_emulator.jobs.all() == []


@pytest.mark.parametrize("state", ["deferred", "skipped", "up_for_retry", "upstream_failed", "unheard of"])
def test_in_doubt_the_job_lives_and_the_log_names_it(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    state: str,
) -> None:
    answering(monkeypatch, state)
    with caplog.at_level("INFO"):
        asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1
    assert f"video {trigger.video_id} is left running on the server: its task is {state}" in caplog.text


@pytest.mark.parametrize("state", ["deferred", "up_for_retry"])
def test_a_task_that_waits_for_another_job_by_now_was_cleared(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    asked = answering(monkeypatch, state, "video_of_the_next_try")
    asyncio.run(cancel(trigger))
    assert asked == [None, (None, trigger.step)]
    assert sora_emulator.jobs.all() == []


def test_a_task_that_waits_for_the_job_in_another_triggerer_keeps_it(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "deferred", trigger.video_id)
    asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1


def test_the_ids_of_a_gateway_may_name_the_same_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrapped(model: str) -> str:
        text = f"litellm:custom_llm_provider:x;model_id:{model};video_id:video_1"
        return "video_" + base64.b64encode(text.encode()).decode()

    answering(monkeypatch, "deferred", wrapped("a model"))
    trigger = waiting_for(wrapped(""))
    assert asyncio.run(trigger._reason_of_task()) == "its task is deferred"


async def refusing(ti: Any) -> str | None:
    raise RuntimeError("no supervisor")


async def silent(ti: Any) -> str | None:
    await asyncio.Event().wait()
    return "failed"


@pytest.mark.parametrize(("question", "name"), [(refusing, "RuntimeError: no supervisor"), (silent, "TimeoutError")])
def test_a_question_without_an_answer_keeps_the_job(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    question: Question,
    name: str,
) -> None:
    monkeypatch.setattr(sora, "task_state", question)
    monkeypatch.setattr(sora, "ASK_SECONDS", 0.05)
    with caplog.at_level("INFO"):
        asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1
    assert name in caplog.text


def test_a_task_that_takes_its_job_up_again_keeps_it_when_cleared_but_not_when_marked(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "scheduled")
    asyncio.run(cancel(waiting_for(trigger.video_id, keep_on_clear=True)))
    assert len(sora_emulator.jobs.all()) == 1
    answering(monkeypatch, "failed")
    asyncio.run(cancel(waiting_for(trigger.video_id, keep_on_clear=True)))
    assert sora_emulator.jobs.all() == []


def test_nobody_is_asked_where_the_job_is_to_live(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, "failed")
    asyncio.run(cancel(waiting_for(trigger.video_id, cancel_on_kill=False)))
    assert asked == []
    assert len(sora_emulator.jobs.all()) == 1


def test_a_finished_video_is_not_deleted(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answering(monkeypatch, "success")
    with caplog.at_level("INFO"):

        async def use() -> None:
            trigger._stalls = StallDetector(15.0)
            sora_emulator.clock.advance(60)
            await trigger.on_kill()

        asyncio.run(use())
    assert len(sora_emulator.jobs.all()) == 1
    assert f"video {trigger.video_id} is kept on the server: its job has ended (completed)" in caplog.text


def test_a_server_that_does_not_show_the_job_is_not_told_to_delete_it(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answering(monkeypatch, "failed")
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

    answering(monkeypatch, "failed")
    monkeypatch.setattr(SoraHook, "short_lived_async_conn", for_ever)
    monkeypatch.setattr(sora, "KILL_SECONDS", 0.05)
    asyncio.run(cancel(trigger))
    assert f"video {trigger.video_id} may still be running: it was not deleted in time" in caplog.text


def test_a_second_cancellation_does_not_end_what_was_begun(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow 3.3.2 cancels a trigger again each second, its `on_kill` included."""

    async def use() -> None:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def task_state(ti: Any) -> str | None:
            asked.set()
            await answer.wait()
            return "failed"

        monkeypatch.setattr(sora, "task_state", task_state)
        trigger._stalls = StallDetector(15.0)
        killing = asyncio.create_task(trigger.on_kill())
        await asked.wait()
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        answer.set()
        await asyncio.gather(*sora._cancelling)

    asyncio.run(use())
    assert sora_emulator.jobs.all() == []
    assert sora._cancelling == set()


def test_the_limits_are_below_airflows_own() -> None:
    assert sora.ASK_SECONDS < sora.KILL_SECONDS < 30


def test_a_triggerer_that_stood_still_deletes_nothing(
    sora_emulator: Emulator,
    trigger: SoraVideoTrigger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [1000.0]
    answering(monkeypatch, "failed")
    detector = StallDetector(15.0, lambda: (now[0], now[0]))
    monkeypatch.setattr(sora, "stall_detector", lambda: detector)
    with caplog.at_level("INFO"):

        async def use() -> None:
            kill = trigger.on_kill

            async def wake_up_and_kill() -> None:
                now[0] += 60
                await kill()

            monkeypatch.setattr(trigger, "on_kill", wake_up_and_kill)
            await cancel(trigger)

        asyncio.run(use())
    assert len(sora_emulator.jobs.all()) == 1
    assert "stood still" in caplog.text


def test_a_triggerer_that_stood_still_while_it_asked_deletes_nothing(
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
    answering(monkeypatch, "scheduled")
    monkeypatch.setattr(trigger, "timeout_after", datetime.now(UTC) + timedelta(seconds=5), raising=False)
    asyncio.run(cancel(trigger))
    assert len(sora_emulator.jobs.all()) == 1


def test_a_trigger_that_never_ran_knows_nothing_and_deletes_nothing(
    sora_emulator: Emulator, trigger: SoraVideoTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "failed")
    asyncio.run(trigger.on_kill())
    assert len(sora_emulator.jobs.all()) == 1
