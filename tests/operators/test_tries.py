"""What an operator knows of earlier tries, and what it does when it is killed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
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
from airflow_provider_sora.tasks.attempts import attempt_of


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_PAUSES", (0.0, 0.0))


class Store(dict[str, Any]):
    """Airflow's task state store, as far as it is used."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


@dataclass
class Ti:
    """A task instance.

    :param xcom: what all of the run have pushed: by task, mapped instance and key
    :param before: what tasks pushed in the run before
    """

    try_number: int = 1
    max_tries: int = 2
    task_id: str = "create"
    xcom: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    map_index: int = -1
    before: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[self.task_id, self.map_index, key] = value

    def xcom_pull(self, task_ids: list[str] | str, key: str, **options: Any) -> Any:
        if isinstance(task_ids, str):
            assert options == {"map_indexes": self.map_index, "include_prior_dates": True}
            return self.before.get(task_ids)
        found = [value for (task_id, _, named), value in self.xcom.items() if (task_id in task_ids) and named == key]
        return found or [None]  # Airflow 3 answers so where there is nothing


@dataclass
class Run:
    """A run of a DAG that began a while ago."""

    logical_date: datetime | None = None
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))


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


def context(ti: Ti, store: Store | None = None) -> Any:
    found: dict[str, Any] = {"ti": ti, "dag_run": Run()}
    return found if store is None else {**found, "task_state_store": store}


def test_a_retry_takes_up_the_job_of_the_try_before(sora_emulator: Emulator) -> None:
    store, ti = Store(), Ti()
    first = create().execute(context(ti, store))
    ti.try_number = 2
    assert create().execute(context(ti, store))["id"] == first["id"]
    assert sora_emulator.creates == 1


def test_a_cleared_task_makes_a_new_video_unless_told_to_reuse(sora_emulator: Emulator) -> None:
    store, ti = Store(), Ti()
    first = create().execute(context(ti, store))
    ti.try_number, ti.max_tries = 2, 3  # what Airflow makes of a Clear after one try
    assert create(reuse_on_clear=True).execute(context(ti, store))["id"] == first["id"]
    ti.try_number, ti.max_tries = 3, 4
    assert create().execute(context(ti, store))["id"] != first["id"]
    assert sora_emulator.creates == 2


def test_below_airflow_3_3_a_retry_finds_its_job_on_the_list(sora_emulator: Emulator) -> None:
    first = create().execute(context(Ti()))
    assert create().execute(context(Ti(try_number=2)))["id"] == first["id"]
    assert sora_emulator.creates == 1


def test_below_airflow_3_3_a_clear_goes_on_with_a_job_that_runs_and_makes_a_new_video_after_it(
    sora_emulator: Emulator,
) -> None:
    first = create().execute(context(Ti()))
    cleared = Ti(try_number=2, max_tries=3)
    assert create().execute(context(cleared))["id"] == first["id"]
    sora_emulator.jobs.all()[0].ended_at = 0.0
    assert create().execute(context(cleared))["id"] != first["id"]


def test_a_first_try_is_no_clear(sora_emulator: Emulator) -> None:
    for ti in (Ti(), Ti(max_tries=0), Ti(try_number=2)):
        attempt = attempt_of(context(ti), 0, retries=ti.max_tries, reuse=False, on_ambiguous="fail", log=print)
        assert not attempt.was_cleared
    assert attempt_of(
        context(Ti(try_number=2, max_tries=3)), 0, retries=2, reuse=False, on_ambiguous="fail", log=print
    ).was_cleared


def test_a_clear_looks_from_when_the_run_was_made_for_although_its_start_is_set_anew() -> None:
    made_for = datetime.now(UTC) - timedelta(hours=3)
    found = context(Ti(try_number=2, max_tries=3))
    found["dag_run"].logical_date = made_for
    cleared = attempt_of(found, 0, retries=2, reuse=False, on_ambiguous="fail", log=print)
    again: Any = {**found, "ti": Ti(try_number=2)}
    retried = attempt_of(again, 0, retries=2, reuse=False, on_ambiguous="fail", log=print)
    assert cleared.since == made_for.timestamp()
    assert retried.since == found["dag_run"].start_date.timestamp()


def test_a_mapped_task_does_not_adopt_its_siblings_job(sora_emulator: Emulator) -> None:
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


def test_an_ambiguous_try_fails_without_a_retry_or_submits_by_choice(sora_emulator: Emulator) -> None:
    create().execute(context(Ti()))
    create().execute(context(Ti()))
    with pytest.raises(AirflowFailException, match=r"SoraUndecidedError: .*2 jobs on the server could be its own"):
        create().execute(context(Ti(try_number=2)))
    create(on_ambiguous="submit").execute(context(Ti(try_number=2)))
    assert sora_emulator.creates == 3


def test_an_unknown_choice_is_named_when_the_dag_is_parsed() -> None:
    with pytest.raises(SoraConfigError, match="on_ambiguous is 'maybe'; it has to be one of fail, submit"):
        create(on_ambiguous="maybe")


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
    monkeypatch.setattr(type(sora_emulator.dialect), "protects_running", False)
    task = create(wait_for_completion=True, cancel_on_kill=cancel)
    killed_while_waiting(task, monkeypatch, KeyboardInterrupt())
    assert len(sora_emulator.jobs.all()) == left


def test_a_video_that_is_finished_when_its_task_is_killed_is_not_lost(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sora_emulator.dialect), "protects_running", False)
    task = create(wait_for_completion=True)

    def wait(*_: Any) -> Any:
        sora_emulator.clock.advance(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(SoraHook, "wait_for_video", wait)
    with pytest.raises(KeyboardInterrupt):
        task.execute({})
    task.on_kill()
    assert len(sora_emulator.jobs.all()) == 1


def test_a_killed_task_with_another_try_to_come_leaves_its_job_for_that(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sora_emulator.dialect), "protects_running", False)
    left = []
    for try_number in (1, 3):
        task, store = create(wait_for_completion=True), Store()
        killed_while_waiting(task, monkeypatch, KeyboardInterrupt(), context(Ti(try_number=try_number), store))
        left.append(len(sora_emulator.jobs.all()))
    assert left == [1, 1]  # the first is left; the second, of the last try, is deleted


def test_a_job_of_the_step_before_is_not_adopted(sora_emulator: Emulator) -> None:
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
    """Run a task whose process dies when the server has accepted the prompt, before the answer is read."""
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
def test_a_clear_after_a_kill_goes_on_and_after_the_end_makes_a_new_video(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    """Even with retries=0: what was paid for, and nobody has had, is not paid for again."""
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
def test_a_clear_while_the_job_is_waited_for_in_the_triggerer_makes_a_new_video(
    sora_emulator: Emulator, ends_in_trigger: bool, is_finished: bool
) -> None:
    """A task that ends in the triggerer has handed on its video there."""
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
    """A database reused the number of a trigger row: the wait that a Clear ended reached the new one."""
    store, ti, options = Store(), Ti(), {"deferrable": True, "wait_for_completion": True}
    with pytest.raises(TaskDeferred):
        create(**options).execute(context(ti, store))
    event = VideoEvent.of(VideoManifest(id="video_of_before", status="completed", conn_id="sora_default"))
    with pytest.raises(SoraWaitError, match="the event is of another job"):
        create(**options).execute_complete(context(ti, store), event.to_json())
    with pytest.raises(TaskDeferred):
        create(**options).execute(context(replace(ti, try_number=2), store))
    assert sora_emulator.creates == 1


def test_a_clear_takes_a_video_that_the_triggerer_left_behind(sora_emulator: Emulator) -> None:
    store, ti, options = Store(), Ti(), {"deferrable": True, "wait_for_completion": True}
    with pytest.raises(TaskDeferred):
        create(**options).execute(context(ti, store))
    sora_emulator.jobs.all()[0].ended_at = 0.0
    assert create(**options).execute(context(cleared(ti), store))["status"] == "completed"
    assert sora_emulator.creates == 1


def test_a_clear_after_the_wait_timed_out_goes_on_with_the_job(sora_emulator: Emulator) -> None:
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


def test_a_clear_in_the_middle_of_a_chain_goes_on_and_after_its_end_begins_anew(
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
    monkeypatch.setattr(type(sora_emulator.dialect), "protects_running", False)
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
def test_what_became_of_a_killed_job_is_said(sora_emulator: Emulator, arrange: dict[str, Any], words: str) -> None:
    with SoraHook() as hook:
        video_id = hook.create_video("a cat").id
        for cancel in (lambda: hook.cancel_video(video_id), lambda: asyncio.run(hook.cancel_video.aio(video_id))):
            if arrange:
                sora_emulator.faults.add(Fault("delete", "status", **arrange))
            assert words in cancel()
