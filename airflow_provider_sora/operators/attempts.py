"""Which try of a task this is, and what it may know of others, from Airflow's context."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from airflow_provider_sora.compat import Context
from airflow_provider_sora.submission import Attempt, OnAmbiguous


def attempt_of(
    context: Context,
    step: int,
    *,
    retries: int,
    reuse: bool,
    on_ambiguous: OnAmbiguous,
    say: Callable[..., None],
) -> Attempt:
    """The attempt for a step of the running task.

    Airflow keeps `max_tries` through retries and raises it when a task is cleared: that tells one from the other,
    while Airflow's task state store survives both.
    """
    ti: Any = context.get("ti")
    if ti is None:
        return Attempt(reuse=reuse, on_ambiguous=on_ambiguous, say=say)
    store: Any = context.get("task_state_store")
    generation = int(ti.max_tries or 0)
    try_number = int(ti.try_number or 1)
    is_later, is_retry = try_number > 1, try_number > generation - retries + 1
    return Attempt(
        store=store,
        key=f"sora_video_{step}",
        generation=generation,
        since=_run_start(context) if (store is None and is_retry) or (reuse and is_later) else None,
        reuse=reuse,
        on_ambiguous=on_ambiguous,
        claimed=lambda: _claimed(ti, step),
        has_a_retry=try_number <= generation,
        say=say,
    )


def claim(context: Context, step: int, video_id: str) -> None:
    """Say that a job is this task's, so that mapped siblings with the same prompt do not adopt it."""
    ti: Any = context.get("ti")
    if ti is not None:
        ti.xcom_push(key=_claim_key(step), value=video_id)


def _claim_key(step: int) -> str:
    return f"sora_video_{step}"


def _claimed(ti: Any, last_step: int) -> Collection[str]:
    """Jobs of this step and those before, of this task and its mapped siblings."""
    claimed: set[str] = set()
    for step in range(last_step + 1):
        found = ti.xcom_pull(task_ids=ti.task_id, key=_claim_key(step))
        claimed |= {found} if isinstance(found, str) else {value for value in found or () if isinstance(value, str)}
    return claimed


def _run_start(context: Context) -> float | None:
    run: Any = context.get("dag_run")
    started = getattr(run, "start_date", None)
    return started.timestamp() if started is not None else None
