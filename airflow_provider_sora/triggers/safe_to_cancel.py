"""Whether a job may be deleted because its wait was cancelled: only where a user has acted for sure.

Airflow calls `on_kill` for whatever a triggerer runs and is not to run any more. That is a task which a user has
cleared or marked, and also one that another triggerer has taken over, and may have ended since (the docstring of
`TriggerRunner.cancel_triggers` in Airflow 3.3.2 takes the second for impossible). In doubt the job lives: it is paid
for, and somebody may wait for it. What a cancelled wait asks for, in this order, and what each answer leads to:

    has this triggerer stood still?     yes: another one may have ended the wait, and a retry takes the job up: keep
    may Airflow's timeout have passed?  yes: the job is left for the next try: keep
    what is the task's state?           success, failed, removed, deleted: a user marked or deleted it: delete
                                        none, scheduled, queued, running: a user cleared it: delete, unless the
                                        task reuses its job on a Clear: keep
                                        deferred, skipped, up_for_retry, anything else: a doubt, so ask
    which job does the task have now?   another one: it was cleared and waits again: delete; this one, or none: keep
    no answer, an error, a late answer  keep
    does the job still run?             the server says no, or nothing: keep (`SoraHook.cancel_video`)

Without a stall no other triggerer can have had the wait, so a state that is not deferred comes from a user. Only the
triggerer whose wait was cancelled deletes; a worker deletes where no other try is to come (`SoraJobOperator.on_kill`).
`tests/triggers/test_cancel_model.py` searches for orders of events in which this deletes a job that is waited for.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow_provider_sora.tasks.xcom_claims import JOBS_KEY, jobs_of

# The scheduler ends a wait that is too old by its own clock.
_CLOCKS_APART = timedelta(seconds=30)

DELETED = "deleted"
_MARKED = frozenset({"success", "failed", "removed", DELETED})
_CLEARED = frozenset({None, "scheduled", "queued", "running"})


async def task_state(ti: Any) -> str | None:
    """The state of a task instance now, as Airflow has it; `DELETED` where there is no such instance any more.

    :raises Exception: whatever the question breaks on: it may be answered with anything
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    # The call blocks on the triggerer's own event loop.
    ask = partial(
        RuntimeTaskInstance.get_task_states,
        dag_id=ti.dag_id,
        task_ids=[ti.task_id],
        run_ids=[ti.run_id],
        map_index=ti.map_index,
    )
    states: dict[str, dict[str, str | None]] = await asyncio.to_thread(ask)
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
    return states.get(ti.run_id, {}).get(name, DELETED)


async def task_job(ti: Any, step: int) -> str | None:
    """The job that a task instance has for a step now, as it told the others of its DAG; None where it has not yet.

    A cleared task may wait again, and for another job, before its triggerer hears of the Clear.

    :raises Exception: whatever the question breaks on
    """
    from airflow.sdk.execution_time.xcom import XCom

    ask = partial(
        XCom.get_one,
        key=JOBS_KEY,
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=ti.map_index,
    )
    jobs = jobs_of(await asyncio.to_thread(ask))
    return jobs[step].video_id if len(jobs) > step else None


def reason_to_keep(state: str | None, *, keep_on_clear: bool) -> str | None:
    """Why the job of a wait that was cancelled is kept; None where a user's action led to the task's state.

    The scheduler's own actions lead to others: ``skipped`` when the run has timed out, ``up_for_retry`` after an error.

    :param keep_on_clear: a cleared task takes the job up again
    """
    if state in _MARKED:
        return None
    if state not in _CLEARED:
        return f"its task is {state}"
    return "the task was cleared, and takes it up again" if keep_on_clear else None


def is_timed_out(timeout_after: datetime | None) -> bool:
    """Whether Airflow's scheduler may have ended the wait by its own timeout; the job is left for the next try then."""
    if timeout_after is None:
        return False
    at = timeout_after if timeout_after.tzinfo else timeout_after.replace(tzinfo=UTC)
    return at < datetime.now(UTC) + _CLOCKS_APART
