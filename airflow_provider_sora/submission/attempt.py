"""Which try of a task submits, and what it knows of others."""

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
    """Which try this is, and what it may know of others.

    :param store: None before Airflow 3.3
    :param key: names the job in the store, one for each step of a task
    :param since: unix seconds since when an earlier try without a record can have submitted; None: there was none
    :param was_cleared: without a record: that earlier try may have ended well, and its video is not wanted; a job that
        still runs is
    :param has_retries_left: another try is to come should this one fail
    :param reuse: take what a cleared try left, finished or not
    """

    store: StateStore | None = None
    key: str = "sora_video_0"
    generation: int = 0
    since: float | None = None
    was_cleared: bool = False
    reuse: bool = False
    on_ambiguous: OnAmbiguous = "fail"
    has_retries_left: bool = False
    claims: Claims = field(default_factory=NoClaims)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    log: Callable[..., None] = field(default=lambda *_: None)

    def load(self) -> Record | None:
        """What an earlier try left.

        :raises SoraUndecidedError: it cannot be read
        """
        return None if self.store is None else record.load(self.store, self.key)

    def save(self, state: Record) -> Record:
        """Leave a record for the next try; returns it as it was left."""
        state = state.but(generation=self.generation)
        if self.store is not None:
            record.save(self.store, self.key, state)
        return state

    def video_id(self) -> str | None:
        """The job that was accepted, as far as that is remembered."""
        found = self._load_if_readable()
        return None if found is None else found.video_id

    def _load_if_readable(self) -> Record | None:
        try:
            return self.load()
        except SoraUndecidedError:
            return None  # the next submission says so; what was made is handed on

    def mark(self, stage: Stage) -> None:
        """Remember what a cleared task is to make of the job."""
        found = self._load_if_readable()
        if found is not None and found.stage != stage:
            self.save(found.but(stage=stage))
