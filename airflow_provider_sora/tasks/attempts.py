"""The attempts of a running task, from Airflow's context: one for each step, for each step submits a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_sora.compat import Context
from airflow_provider_sora.events import UNKNOWN_ID, VideoEvent
from airflow_provider_sora.exceptions import SoraWaitError
from airflow_provider_sora.submission import Attempt, OnAmbiguous
from airflow_provider_sora.submission.record import Stage, id_digest
from airflow_provider_sora.tasks.xcom_claims import XComClaims


@dataclass(frozen=True)
class Attempts:
    """What the task did before, and what it may do now.

    :param retries: the task's own argument, which tells a retry from a Clear
    :param reuse: see `Attempt`
    """

    context: Context
    retries: int
    reuse: bool
    on_ambiguous: OnAmbiguous
    log: Callable[..., None]

    def of(self, step: int) -> Attempt:
        """The attempt of a step.

        Airflow keeps `max_tries` over retries and raises it when a task is cleared, which tells the two apart. Its task
        state store outlives both.
        """
        ti: Any = self.context.get("ti")
        if ti is None:
            return Attempt(reuse=self.reuse, on_ambiguous=self.on_ambiguous, log=self.log)
        store: Any = self.context.get("task_state_store")
        generation = int(ti.max_tries or 0)
        try_number = int(ti.try_number or 1)
        is_later, is_retry = try_number > 1, try_number > generation - self.retries + 1
        run_start = _run_start(self.context, was_cleared=not is_retry)
        return Attempt(
            store=store,
            key=f"sora_video_{step}",
            generation=generation,
            may_have_submitted_since=run_start if is_later and store is None else None,
            was_cleared=is_later and store is None and not is_retry and not self.reuse,
            reuse=self.reuse,
            on_ambiguous=self.on_ambiguous,
            has_retries_left=try_number <= generation,
            claims=XComClaims(self.context, step),
            log=self.log,
        )

    def mark(self, step: int, stage: Stage) -> None:
        """Record, for this step and those before it, what a Clear does with their jobs.

        The first step decides if the task is killed in between: it is opened first, and closed last.
        """
        steps = range(step + 1)
        for each in steps if stage == "open" else reversed(steps):
            self.of(each).mark(stage)

    def check_event(self, event: VideoEvent) -> None:
        """Check that an event is about the job of this task.

        A database that reuses the ids of deleted trigger rows can deliver the event of a wait that a Clear has ended.

        :raises SoraWaitError: it is about another job
        """
        own = self.of(event.step).video_id()
        is_known = event.video_id != UNKNOWN_ID and own is not None
        if is_known and id_digest(str(own)) != id_digest(event.video_id):
            cause = f"the task waits for {own}, and the event is about another job"
            raise SoraWaitError(event.video_id, cause, last_status=event.status or "unknown")


def _run_start(context: Context, *, was_cleared: bool) -> float | None:
    """When the DAG run began. A Clear of a run that had ended resets its start date, but none of its other dates."""
    run: Any = context.get("dag_run")
    names = ("start_date", "run_after", "data_interval_end", "logical_date") if was_cleared else ("start_date",)
    known = [moment for name in names if isinstance(moment := getattr(run, name, None), datetime)]
    return min(moment.timestamp() for moment in known) if known else None
