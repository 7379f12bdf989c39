"""Which try of a task is submitting, and what it can know of earlier tries and of other tasks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from airflow_provider_sora.exceptions import SoraUndecidedError
from airflow_provider_sora.submission import record
from airflow_provider_sora.submission.claims import Claims, NoClaims
from airflow_provider_sora.submission.record import Record, Stage, StateStore

OnAmbiguous = Literal["fail", "resubmit"]


@dataclass(frozen=True)
class Attempt:
    """The try that submits: its record, its options and its clock.

    :param store: None before Airflow 3.3
    :param key: the record's key in the store, one for each step of a task
    :param generation: rises when the task is cleared, and not when it is retried
    :param may_have_submitted_since: without a record: the unix seconds from which on an earlier try may have submitted;
        None if there was no earlier try
    :param was_cleared: without a record: the earlier try may have succeeded, so only a job that still runs is its job
    :param reuse: after a Clear, keep the job of the earlier try, whether it has finished or not
    :param has_retries_left: if this try fails, Airflow starts another one
    """

    store: StateStore | None = None
    key: str = "sora_video_0"
    generation: int = 0
    may_have_submitted_since: float | None = None
    was_cleared: bool = False
    reuse: bool = False
    on_ambiguous: OnAmbiguous = "fail"
    has_retries_left: bool = False
    claims: Claims = field(default_factory=NoClaims)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    log: Callable[..., None] = field(default=lambda *_: None)

    def load(self) -> Record | None:
        """The record of an earlier try.

        :raises SoraUndecidedError: the record cannot be read
        """
        return None if self.store is None else record.load(self.store, self.key)

    def save(self, state: Record) -> Record:
        """Write a record for the next try; returns it as it was written."""
        state = state.replace(generation=self.generation)
        if self.store is not None:
            record.save(self.store, self.key, state)
        return state

    def video_id(self) -> str | None:
        """The id of the accepted job, if there is a record that can be read."""
        found = self._load_if_readable()
        return None if found is None else found.video_id

    def _load_if_readable(self) -> Record | None:
        try:
            return self.load()
        except SoraUndecidedError:
            return None  # the next submission raises it; an unreadable record must not block a finished video

    def mark(self, stage: Stage) -> None:
        """Write how far the job has come, which decides what a Clear does with it."""
        found = self._load_if_readable()
        if found is not None and found.stage != stage:
            self.save(found.replace(stage=stage))
