"""Whether the job of a cancelled wait may be deleted: only where a user has certainly acted.

Airflow calls `on_kill` for each trigger that a triggerer runs and should no longer run. That is the trigger of a task
that a user has cleared or marked, and also one that another triggerer has taken over, and may have ended (the docstring
of `TriggerRunner.cancel_triggers` in Airflow 3.3.2 considers the second impossible). In doubt the job is kept: it is
paid for, and a task may be waiting for it. The checks, in this order, and what each result leads to:

    was this triggerer stalled?         yes: another one may have ended the wait, and a retry reconnects: keep
    may Airflow's timeout have passed?  yes: the job is left for the next try: keep
    what is the state of the task?      success, failed, removed, deleted: a user marked or deleted it: delete
                                        none, scheduled, queued, running: a user cleared it: delete, unless the
                                        task reuses its job on a Clear: keep
                                        deferred, skipped, up_for_retry, anything else: in doubt, so check further
    which job does the task have now?   another one: it was cleared and waits again: delete; this one, or none: keep
    no response, an error, a timeout    keep
    is the job still running?           the server says no, or does not respond: keep (`SoraHook.cancel_video`)

Without a stall no other triggerer can have had the wait, so a state other than deferred comes from a user. Only the
triggerer whose wait was cancelled deletes; a worker deletes only in the last try (`SoraJobOperator.on_kill`).
`tests/triggers/test_cancel_model.py` searches for orders of events in which this deletes a job that is waited for.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow_provider_sora.tasks.xcom_claims import JOBS_KEY, jobs_of

# The scheduler ends a wait that has timed out by its own clock.
_CLOCK_SKEW = timedelta(seconds=30)

DELETED = "deleted"
_MARKED = frozenset({"success", "failed", "removed", DELETED})
_CLEARED = frozenset({None, "scheduled", "queued", "running"})


async def task_state(ti: Any) -> str | None:
    """The current state of a task instance in Airflow; `DELETED` if the instance no longer exists.

    :raises Exception: of any type: Airflow documents none
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    # The call would block the triggerer's event loop.
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
    """The current job of a task instance for a step, as the task published it; None if it has not yet.

    A cleared task may already be waiting again, for another job, before its old trigger is cancelled.

    :raises Exception: of any type: Airflow documents none
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
    """Why the job of a cancelled wait is kept; None if a user's action led to the state of the task.

    The scheduler's own actions lead to other states: ``skipped`` when the run times out, ``up_for_retry`` on an error.

    :param keep_on_clear: a cleared task reconnects to its job
    """
    if state in _MARKED:
        return None
    if state not in _CLEARED:
        return f"its task is {state}"
    return "the task was cleared, and will reconnect to it" if keep_on_clear else None


def is_timed_out(timeout_after: datetime | None) -> bool:
    """Whether Airflow's scheduler may have ended the wait by its own timeout, which leaves the job for the next try."""
    if timeout_after is None:
        return False
    at = timeout_after if timeout_after.tzinfo else timeout_after.replace(tzinfo=UTC)
    return at < datetime.now(UTC) + _CLOCK_SKEW
