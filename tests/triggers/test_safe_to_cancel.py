from __future__ import annotations

import asyncio
import importlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.utils.state import TaskInstanceState

from airflow_provider_sora.compat import AIRFLOW_V_3_0_PLUS
from airflow_provider_sora.triggers.safe_to_cancel import DELETED, is_timed_out, reason_to_keep, task_job, task_state


@pytest.mark.parametrize("state", ["success", "failed", "removed", DELETED])
@pytest.mark.parametrize("keep_on_clear", [True, False])
def test_a_state_that_only_a_user_leads_to_gives_no_reason_to_keep_the_job(state: str, keep_on_clear: bool) -> None:
    assert reason_to_keep(state, keep_on_clear=keep_on_clear) is None


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running"])
def test_a_cleared_task_gives_none_unless_it_reconnects_to_its_job(state: str | None) -> None:
    assert reason_to_keep(state, keep_on_clear=False) is None
    assert reason_to_keep(state, keep_on_clear=True) == "the task was cleared, and will reconnect to it"


@pytest.mark.parametrize("state", ["deferred", "skipped", "up_for_retry", "upstream_failed", "a state of Airflow 4"])
def test_every_other_state_keeps_the_job_and_is_named(state: str) -> None:
    assert reason_to_keep(state, keep_on_clear=False) == f"its task is {state}"


def test_no_state_of_airflow_is_misspelled() -> None:
    known = {state.value for state in TaskInstanceState}
    assert {"success", "failed", "removed", "scheduled", "queued", "running", "deferred", "skipped"} <= known


@pytest.mark.parametrize(("seconds", "timed_out"), [(-1, True), (20, True), (40, False)])
@pytest.mark.parametrize("naive", [True, False])
def test_a_timeout_of_airflow_counts_a_little_early_because_clocks_differ(
    seconds: float, timed_out: bool, naive: bool
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    assert is_timed_out(at.replace(tzinfo=None) if naive else at) is timed_out


def test_no_timeout_is_never_reached() -> None:
    assert not is_timed_out(None)


def ti(map_index: int = -1) -> Any:
    return SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=map_index)


@pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow calls on_kill of triggers from 3.3 on")
@pytest.mark.parametrize(
    ("states", "map_index", "state"),
    [
        ({"r": {"t": "deferred"}}, -1, "deferred"),
        ({"r": {"t": None}}, -1, None),
        ({"r": {"t_3": "failed"}}, 3, "failed"),
        ({}, -1, DELETED),
        ({"r": {}}, -1, DELETED),
    ],
)
def test_the_state_of_one_task_instance_is_requested(
    monkeypatch: pytest.MonkeyPatch, states: dict[str, Any], map_index: int, state: str | None
) -> None:
    asked: list[dict[str, Any]] = []

    def get_task_states(**which: Any) -> dict[str, Any]:
        asked.append(which)
        return states

    runner = importlib.import_module("airflow.sdk.execution_time.task_runner")
    monkeypatch.setattr(runner.RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states))
    assert asyncio.run(task_state(ti(map_index))) == state
    assert asked == [{"dag_id": "d", "task_ids": ["t"], "run_ids": ["r"], "map_index": map_index}]


@pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow calls on_kill of triggers from 3.3 on")
@pytest.mark.parametrize(
    ("jobs", "step", "job"),
    [
        ({"index": -1, "jobs": [{"video_id": "video_1"}, {"video_id": "video_2"}]}, 1, "video_2"),
        ({"index": -1, "jobs": [{"video_id": "video_1"}]}, 1, None),
        ({"index": -1, "jobs": [None]}, 0, None),
        ({"index": -1}, 0, None),
        ("of another package", 0, None),
        (None, 0, None),
    ],
)
def test_the_published_job_of_one_task_instance_is_requested(
    monkeypatch: pytest.MonkeyPatch, jobs: Any, step: int, job: str | None
) -> None:
    asked: list[dict[str, Any]] = []

    def get_one(**which: Any) -> Any:
        asked.append(which)
        return jobs

    xcom = importlib.import_module("airflow.sdk.execution_time.xcom")
    monkeypatch.setattr(xcom.XCom, "get_one", get_one)
    assert asyncio.run(task_job(ti(3), step)) == job
    assert asked == [{"key": "sora_jobs", "dag_id": "d", "task_id": "t", "run_id": "r", "map_index": 3}]
