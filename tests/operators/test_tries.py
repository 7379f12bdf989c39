"""What an operator knows about earlier tries, and what it does when it is killed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.compat import AirflowFailException, AirflowTaskTimeout, TaskDeferred
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError, SoraWaitError, SoraWaitTimeoutError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator, SoraExtendVideoOperator
from airflow_provider_sora.submission import search
from airflow_provider_sora.tasks.attempts import Attempts
from tests.tasks.task_context import Store, Ti, context


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_PAUSES", (0.0, 0.0))


def create(**fields: Any) -> SoraCreateVideoOperator:
    options: dict[str, Any] = {
        "prompt": "a cat",
        "seconds": 1,
        "size": "64x64",
        "retries": 2,
        "deferrable": False,
        "wait_for_completion": False,
    }
    return SoraCreateVideoOperator(task_id="create", **{**options, **fields})


def attempts(found: Any, retries: int = 2) -> Attempts:
    return Attempts(found, retries, reuse=False, on_ambiguous="fail", log=print)


def test_a_retry_reconnects_to_the_job_of_the_try_before(sora_emulator: Emulator) -> None:
    store, ti = Store(), Ti()
    first = create().execute(context(ti, store))
    ti.try_number = 2
    assert create().execute(context(ti, store))["id"] == first["id"]
    assert sora_emulator.creates == 1


def test_a_cleared_task_submits_a_new_job_unless_it_reuses_the_old_one(sora_emulator: Emulator) -> None:
    store, ti = Store(), Ti()
    first = create().execute(context(ti, store))
    ti.try_number, ti.max_tries = 2, 3  # what Airflow makes of a Clear after one try
    assert create(reuse_on_clear=True).execute(context(ti, store))["id"] == first["id"]
    ti.try_number, ti.max_tries = 3, 4
    assert create().execute(context(ti, store))["id"] != first["id"]
    assert sora_emulator.creates == 2


def test_before_airflow_3_3_a_retry_finds_its_job_on_the_list(sora_emulator: Emulator) -> None:
    first = create().execute(context(Ti()))
    assert create().execute(context(Ti(try_number=2)))["id"] == first["id"]
    assert sora_emulator.creates == 1


def test_before_airflow_3_3_a_clear_reattaches_to_a_running_job_and_submits_a_new_one_after_its_end(
    sora_emulator: Emulator,
) -> None:
    first = create().execute(context(Ti()))
    cleared = Ti(try_number=2, max_tries=3)
    assert create().execute(context(cleared))["id"] == first["id"]
    sora_emulator.jobs.all()[0].ended_at = 0.0
    assert create().execute(context(cleared))["id"] != first["id"]


def test_a_first_try_is_no_clear(sora_emulator: Emulator) -> None:
    for ti in (Ti(), Ti(max_tries=0), Ti(try_number=2)):
        assert not attempts(context(ti), ti.max_tries).of(0).was_cleared
    assert attempts(context(Ti(try_number=2, max_tries=3))).of(0).was_cleared


def test_after_a_clear_jobs_count_from_the_logical_date_for_airflow_resets_the_start_date() -> None:
    made_for = datetime.now(UTC) - timedelta(hours=3)
    found = context(Ti(try_number=2, max_tries=3))
    found["dag_run"].logical_date = made_for
    cleared = attempts(found).of(0)
    retried = attempts({**found, "ti": Ti(try_number=2)}).of(0)
    assert cleared.may_have_submitted_since == made_for.timestamp()
    assert retried.may_have_submitted_since == found["dag_run"].start_date.timestamp()


def test_a_mapped_task_does_not_take_the_job_of_a_sibling(sora_emulator: Emulator) -> None:
    xcom: dict[Any, Any] = {}
    sibling = create().execute(context(Ti(xcom=xcom, map_index=0)))
    mine = create().execute(context(Ti(xcom=xcom, map_index=1, try_number=2)))
    assert mine["id"] != sibling["id"]
    jobs = {
        index: [job["video_id"] for job in value["jobs"]]
        for (_, index, key), value in xcom.items()
        if key == "sora_jobs"
    }
    assert jobs == {0: [sibling["id"]], 1: [mine["id"]]}


def test_an_ambiguous_try_fails_without_a_retry_or_resubmits_by_choice(sora_emulator: Emulator) -> None:
    create().execute(context(Ti()))
    create().execute(context(Ti()))
    with pytest.raises(AirflowFailException, match=r"SoraUndecidedError: .*2 new jobs on the server have its prompt"):
        create().execute(context(Ti(try_number=2)))
    create(on_ambiguous="resubmit").execute(context(Ti(try_number=2)))
    assert sora_emulator.creates == 3


@pytest.mark.parametrize(
    ("choice", "words"),
    [("maybe", "on_ambiguous is 'maybe'; it has to be one of fail, resubmit"), ("submit", "renamed: use 'resubmit'")],
)
def test_an_invalid_choice_is_named_when_the_dag_is_parsed(choice: str, words: str) -> None:
    with pytest.raises(SoraConfigError, match=words):
        create(on_ambiguous=choice)


def test_a_step_that_was_paid_for_is_not_paid_for_again(sora_emulator: Emulator) -> None:
    sora_emulator.jobs.speed = 1000
    source = create(wait_for_completion=True, poll_interval=0.01).execute({})
    store, ti = Store(), Ti(task_id="extend")
    sora_emulator.faults.add(Fault("extend", "status", status=400, skip=1))
    task = SoraExtendVideoOperator(
        task_id="extend", video=source, prompt=["a", "b"], seconds=4, poll_interval=0.01, deferrable=False, retries=2
    )
    with pytest.raises(AirflowFailException):
        task.execute(context(ti, store))
    ti.try_number = 2
    task.execute(context(ti, store))
    assert [job.prompt for job in sora_emulator.jobs.all() if job.kind == "extend"] == ["a", "b"]


def killed_while_waiting(
    task: SoraCreateVideoOperator, monkeypatch: pytest.MonkeyPatch, error: BaseException, found: Any = None
) -> None:
    def wait(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(SoraHook, "wait_for_video", wait)
    with pytest.raises(type(error)):
        task.execute({} if found is None else found)
    task.on_kill()


@pytest.mark.parametrize(("cancel", "left"), [(True, 0), (False, 1)])
def test_killing_a_waiting_task_deletes_its_job_unless_told_not_to(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, cancel: bool, left: int
) -> None:
    monkeypatch.setattr(type(sora_emulator.dialect), "refuses_to_delete_running", False)
    task = create(wait_for_completion=True, cancel_on_kill=cancel)
    killed_while_waiting(task, monkeypatch, KeyboardInterrupt())
    assert len(sora_emulator.jobs.all()) == left


def test_a_video_that_is_completed_when_its_task_is_killed_is_not_lost(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sora_emulator.dialect), "refuses_to_delete_running", False)
    task = create(wait_for_completion=True)

    def wait(*_: Any) -> Any:
        sora_emulator.clock.advance(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(SoraHook, "wait_for_video", wait)
    with pytest.raises(KeyboardInterrupt):
        task.execute({})
    task.on_kill()
    assert len(sora_emulator.jobs.all()) == 1


def test_a_killed_task_with_retries_left_leaves_its_job_for_the_next_try(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sora_emulator.dialect), "refuses_to_delete_running", False)
    left = []
    for try_number in (1, 3):
        task, store = create(wait_for_completion=True), Store()
        killed_while_waiting(task, monkeypatch, KeyboardInterrupt(), context(Ti(try_number=try_number), store))
        left.append(len(sora_emulator.jobs.all()))
    assert left == [1, 1]  # that of the first try is left; that of the last one is deleted


def test_a_job_of_the_step_before_is_not_taken(sora_emulator: Emulator) -> None:
    sora_emulator.jobs.speed = 1000
    source = create(wait_for_completion=True, poll_interval=0.01).execute({})
    options: dict[str, Any] = {
        "video": source,
        "prompt": ["on", "on"],
        "seconds": 4,
        "poll_interval": 0.01,
        "retries": 2,
    }
    sora_emulator.faults.add(Fault("extend", "status", status=400, skip=1))
    with pytest.raises(AirflowFailException):
        SoraExtendVideoOperator(task_id="extend", deferrable=False, **options).execute(context(Ti(task_id="extend")))
    task = SoraExtendVideoOperator(task_id="extend", deferrable=False, **options)
    assert task.execute(context(Ti(task_id="extend", try_number=2)))["seconds"] == "9"
    assert sum(job.kind == "extend" for job in sora_emulator.jobs.all()) == 2


class KilledError(BaseException):
    """The process is gone."""


def killed_after(monkeypatch: pytest.MonkeyPatch, prompt: str, task: Any, found: Any) -> None:
    """Run a task whose process dies when the server has accepted the prompt, before the response is read."""
    send = SoraClient.send

    def dying(client: SoraClient, request: Any, *fence: Any) -> Any:
        answer = send(client, request, *fence)
        if request.paid and request.prompt == prompt:
            raise KilledError
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(SoraClient, "send", dying)
        with pytest.raises(KilledError):
            task.execute(found)


def cleared(ti: Ti) -> Ti:
    """What Airflow makes of a Clear after one try."""
    return replace(ti, try_number=ti.try_number + 1, max_tries=ti.max_tries + 1)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_clear_after_a_kill_reattaches_and_after_the_end_submits_a_new_job(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    """Even with retries=0: a job that no task has returned yet is not paid for again."""
    sora_emulator.jobs.speed = 1000
    store, ti, options = Store(), Ti(max_tries=0), {"retries": 0, "deferrable": deferrable, "poll_interval": 0.01}
    killed_after(monkeypatch, "a cat", create(**options), context(ti, store))
    ti = cleared(ti)
    first = create(**options).execute(context(ti, store))
    assert sora_emulator.creates == 1
    ti = cleared(ti)
    assert create(**options).execute(context(ti, store))["id"] != first["id"]
    assert sora_emulator.creates == 2


@pytest.mark.parametrize(("ends_in_trigger", "is_finished"), [(False, False), (True, False), (True, True)])
def test_a_clear_while_the_triggerer_waits_submits_a_new_job(
    sora_emulator: Emulator, ends_in_trigger: bool, is_finished: bool
) -> None:
    """A task that ends in the triggerer has returned its video there."""
    store, ti = Store(), Ti()
    options = {"deferrable": True, "wait_for_completion": True, "end_from_trigger": ends_in_trigger}
    for expected in (1, 2):
        with pytest.raises(TaskDeferred):
            create(**options).execute(context(ti, store))
        assert sora_emulator.creates == expected
        if is_finished:
            sora_emulator.jobs.all()[0].ended_at = 0.0
        ti = cleared(ti)


def test_the_event_of_another_job_is_not_this_tasks_video(sora_emulator: Emulator) -> None:
    """A database reused the id of a trigger row: the event of the wait that a Clear ended resumed the new one."""
    store, ti, options = Store(), Ti(), {"deferrable": True, "wait_for_completion": True}
    with pytest.raises(TaskDeferred):
        create(**options).execute(context(ti, store))
    event = VideoEvent.of(VideoManifest(id="video_of_before", status="completed", conn_id="sora_default"))
    with pytest.raises(SoraWaitError, match="the event is about another job"):
        create(**options).execute_complete(context(ti, store), event.to_json())
    with pytest.raises(TaskDeferred):
        create(**options).execute(context(replace(ti, try_number=2), store))
    assert sora_emulator.creates == 1


def test_a_clear_takes_a_video_that_was_completed_while_no_triggerer_ran(sora_emulator: Emulator) -> None:
    store, ti, options = Store(), Ti(), {"deferrable": True, "wait_for_completion": True}
    with pytest.raises(TaskDeferred):
        create(**options).execute(context(ti, store))
    sora_emulator.jobs.all()[0].ended_at = 0.0
    assert create(**options).execute(context(cleared(ti), store))["status"] == "completed"
    assert sora_emulator.creates == 1


def test_a_clear_after_the_wait_timed_out_reconnects_to_the_job(sora_emulator: Emulator) -> None:
    store, ti, options = Store(), Ti(), {"deferrable": True, "wait_for_completion": True}
    with pytest.raises(TaskDeferred) as deferred:
        create(**options).execute(context(ti, store))
    trigger: Any = deferred.value.trigger
    event = VideoEvent.of_error(
        trigger.video_id, SoraWaitTimeoutError(trigger.video_id, "too long", last_status="queued")
    )
    with pytest.raises(SoraWaitTimeoutError):
        create(**options).execute_complete(context(ti, store), event.to_json())
    with pytest.raises(TaskDeferred):
        create(**options).execute(context(cleared(ti), store))
    assert sora_emulator.creates == 1


def test_a_clear_between_two_steps_continues_and_after_the_last_one_starts_over(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sora_emulator.jobs.speed = 1000
    source = create(wait_for_completion=True, poll_interval=0.01).execute({})
    store, ti = Store(), Ti(task_id="extend")

    def task() -> SoraExtendVideoOperator:
        return SoraExtendVideoOperator(
            task_id="extend", video=source, prompt=["a", "b"], seconds=4, poll_interval=0.01, deferrable=False
        )

    def prompts() -> list[str]:
        return [job.prompt for job in sora_emulator.jobs.all() if job.kind == "extend"]

    killed_after(monkeypatch, "b", task(), context(ti, store))
    ti = cleared(ti)
    assert task().execute(context(ti, store))["seconds"] == "9"
    assert prompts() == ["a", "b"]
    ti = cleared(ti)
    task().execute(context(ti, store))
    assert prompts() == ["a", "b", "a", "b"]


def test_an_execution_timeout_leaves_the_job_for_the_retry(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sora_emulator.dialect), "refuses_to_delete_running", False)
    killed_while_waiting(create(wait_for_completion=True), monkeypatch, AirflowTaskTimeout("too long"))
    assert len(sora_emulator.jobs.all()) == 1


def test_a_task_that_does_not_wait_has_nothing_to_delete(sora_emulator: Emulator) -> None:
    task = create(wait_for_completion=True)
    task.on_kill()
    assert sora_emulator.requests == []


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        ({}, "is still running: the server does not stop a running job"),
        ({"status": 405}, "is still running: the server cannot delete"),
        ({"status": 404}, "no longer exists"),
        ({"status": 500}, "may still be running: deleting it failed"),
    ],
)
def test_the_outcome_of_cancelling_is_reported(sora_emulator: Emulator, arrange: dict[str, Any], words: str) -> None:
    with SoraHook() as hook:
        video_id = hook.create_video("a cat").id
        for cancel in (lambda: hook.cancel_video(video_id), lambda: asyncio.run(hook.cancel_video.aio(video_id))):
            if arrange:
                sora_emulator.faults.add(Fault("delete", "status", **arrange))
            assert words in cancel()
