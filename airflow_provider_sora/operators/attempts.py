"""Which try of a task this is, from Airflow's context."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from airflow_provider_sora.compat import Context
from airflow_provider_sora.operators.xcom_claims import XComClaims
from airflow_provider_sora.submission import Attempt, OnAmbiguous


def attempt_of(
    context: Context,
    step: int,
    *,
    retries: int,
    reuse: bool,
    on_ambiguous: OnAmbiguous,
    log: Callable[..., None],
) -> Attempt:
    """The attempt for a step of the running task.

    Airflow keeps `max_tries` through retries and raises it when a task is cleared: that tells one from the other,
    while Airflow's task state store survives both.
    """
    ti: Any = context.get("ti")
    if ti is None:
        return Attempt(reuse=reuse, on_ambiguous=on_ambiguous, log=log)
    store: Any = context.get("task_state_store")
    generation = int(ti.max_tries or 0)
    try_number = int(ti.try_number or 1)
    is_later, is_retry = try_number > 1, try_number > generation - retries + 1
    return Attempt(
        store=store,
        key=f"sora_video_{step}",
        generation=generation,
        may_have_submitted_since=_run_start(context, was_cleared=not is_retry) if is_later and store is None else None,
        was_cleared=is_later and store is None and not is_retry and not reuse,
        reuse=reuse,
        on_ambiguous=on_ambiguous,
        has_retries_left=try_number <= generation,
        claims=XComClaims(context, step),
        log=log,
    )


def _run_start(context: Context, *, was_cleared: bool) -> float | None:
    """When the run began. A Clear of a run that had ended sets its start anew; what it was made for stays."""
    run: Any = context.get("dag_run")
    names = ("start_date", "run_after", "data_interval_end", "logical_date") if was_cleared else ("start_date",)
    known = [moment for name in names if isinstance(moment := getattr(run, name, None), datetime)]
    return min(moment.timestamp() for moment in known) if known else None
