"""One wait among the many of a poller."""

from __future__ import annotations

import asyncio
import math

from airflow_provider_sora.api.decisions.intervals import Kind
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.flows import OnChange
from airflow_provider_sora.api.protocol.ids import canonical_id
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.pause_limits import MIN_POLL_SECONDS


class Waiter:
    """One wait: how far it has come, when to look next, and how it hears of it."""

    __slots__ = (
        "abandoned",
        "change",
        "checked_at",
        "depth",
        "due",
        "epoch",
        "error",
        "in_flight",
        "job",
        "kind",
        "unlisted_until",
        "video",
        "wait",
        "wakeup",
    )

    def __init__(self, wait: Wait, epoch: float = 0.0) -> None:
        self.wait = wait
        self.epoch = epoch  # unix seconds when the clock was at 0 that the wait follows
        self.job = canonical_id(wait.video_id)  # what the list may show by another id
        self.checked_at = -math.inf  # when the job itself was last asked for
        self.wakeup: asyncio.Future[None] = (
            asyncio.get_running_loop().create_future()
        )  # done: there is something to hear
        self.change: Video | None = None
        self.video: Video | None = None
        self.error: Exception | None = None
        self.due = 0.0
        self.in_flight = False  # taken to be looked at
        self.abandoned = False  # nobody waits any more
        self.depth: int | None = None  # its place on the list
        self.unlisted_until = 0.0  # not looked for on the list before
        self.kind: Kind | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to find out."""
        return self.video is not None or self.error is not None

    def is_scheduled(self, at: float) -> bool:
        """Whether the look that was planned for then is still to be made."""
        return self.due == at and not (self.in_flight or self.abandoned or self.ended)

    def may_be_polled_at_once(self, now: float) -> bool:
        """Whether a poll need not be a second after the one before: the last one, or where the user wants it so."""
        return min(self.wait.deadline - now, self.wait.poll_interval_seconds) < MIN_POLL_SECONDS

    def notify(self, video: Video) -> None:
        """Hand on a change."""
        self.change = video
        self._wake()

    def end(self, video: Video | None = None, *, error: Exception | None = None) -> None:
        """Hand on how it ended."""
        if not self.ended:
            self.video, self.error = video, error
            self._wake()

    def take_change(self, on_change: OnChange) -> bool:
        """Hand on what was told; whether it has ended. (No coroutine of its own: there are thousands of these.)"""
        if self.change is not None:
            on_change(self.change)
            self.change = None  # a Video takes more memory than the rest of a wait
        if not self.ended:
            self.wakeup = asyncio.get_running_loop().create_future()
        return self.ended

    def result(self) -> Video:
        """The video.

        :raises Exception: what the wait ended with instead
        """
        if self.video is None:
            # Many may raise the same one, each with its own traceback.
            raise (self.error or asyncio.InvalidStateError()).with_traceback(None)
        return self.video

    def _wake(self) -> None:
        if not self.wakeup.done():
            self.wakeup.set_result(None)
