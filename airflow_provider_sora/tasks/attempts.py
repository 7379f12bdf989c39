"""Which try of a task this is, from Airflow's context."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from airflow_provider_sora.compat import Context
from airflow_provider_sora.events import UNKNOWN_ID, VideoEvent
from airflow_provider_sora.exceptions import SoraWaitError
from airflow_provider_sora.submission import Attempt, OnAmbiguous
from airflow_provider_sora.submission.record import Stage, id_digest
from airflow_provider_sora.tasks.xcom_claims import XComClaims


class Attempts:
    """The attempts of a running task, one for each of its jobs that build on each other.

    :param retries: of the task
    :param reuse: see `Attempt`, as `on_ambiguous` and `log`
    """

    def __init__(
        self, context: Context, *, retries: int, reuse: bool, on_ambiguous: OnAmbiguous, log: Callable[..., None]
    ) -> None:
        self._context = context
        self._retries = retries
        self._reuse = reuse
        self._on_ambiguous = on_ambiguous
        self._log = log

    def of(self, step: int) -> Attempt:
        """The attempt for a job, from 0."""
        return attempt_of(
            self._context,
            step,
            retries=self._retries,
            reuse=self._reuse,
            on_ambiguous=self._on_ambiguous,
            log=self._log,
        )

    def mark(self, step: int, stage: Stage) -> None:
        """Remember, for this job and those before, what a Clear is to make of them.

        The first job is the one that counts if this is cut off: it is opened first, and closed last.
        """
        steps = range(step + 1)
        for each in steps if stage == "open" else reversed(steps):
            self.of(each).mark(stage)

    def check_event(self, ended: VideoEvent) -> None:
        """A database that reuses the numbers of trigger rows can bring the event of a wait that a Clear has ended.

        :raises SoraWaitError: the event is of another job than this task's
        """
        own = self.of(ended.step).video_id()
        names_job = ended.video_id != UNKNOWN_ID and own is not None
        if names_job and id_digest(str(own)) != id_digest(ended.video_id):
            raise SoraWaitError(
                ended.video_id, f"the task waits for {own}, and the event is of another job", last_status=ended.status
            )


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

    Airflow keeps `max_tries` through retries and raises it when a task is cleared: that distinguishes the two,
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
        since=_run_start(context, was_cleared=not is_retry) if is_later and store is None else None,
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
