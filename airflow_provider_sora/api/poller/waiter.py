"""One wait among the many of a poller."""

from __future__ import annotations

import asyncio
import math

from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.flows import OnChange
from airflow_provider_sora.api.protocol.ids import canonical_id
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.pause_limits import MIN_POLL_SECONDS


class Waiter:
    """One wait: how far it has come, and how the task that waits hears of it."""

    __slots__ = (
        "change",
        "depth",
        "epoch",
        "error",
        "in_flight",
        "job",
        "polled_at",
        "unlisted_until",
        "video",
        "wait",
        "wakeup",
    )

    def __init__(self, wait: Wait, epoch: float = 0.0) -> None:
        self.wait = wait
        self.epoch = epoch  # unix seconds when the clock that the wait follows was at 0
        self.job = canonical_id(wait.video_id)  # the list may show it by another id
        self.polled_at = -math.inf  # when the job itself was last asked for
        self.wakeup = self._new_wakeup()
        self.change: Video | None = None
        self.video: Video | None = None
        self.error: Exception | None = None
        self.in_flight = False  # its poll is due or sent
        self.depth: int | None = None  # its place on the list
        self.unlisted_until = 0.0  # until then the list is not read for it

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to find out."""
        return self.video is not None or self.error is not None

    def may_be_polled_at_once(self, now: float) -> bool:
        """Whether a poll need not be a second after the one before: the last one, or where the user wants it so."""
        return min(self.wait.deadline - now, self.wait.poll_interval_seconds) < MIN_POLL_SECONDS

    def notify(self, video: Video) -> None:
        """Wake the task that waits, with a change."""
        self.change = video
        self._wake()

    def end(self, video: Video | None = None, *, error: Exception | None = None) -> None:
        """Wake the task that waits, with the end of its wait; only the first end counts."""
        if not self.ended:
            self.video, self.error = video, error
            self._wake()

    def take_change(self, on_change: OnChange) -> bool:
        """Hand a change to `on_change`; whether the wait has ended.

        The task that waits calls this each time it was woken. It is no coroutine: there are thousands of these.
        """
        if self.change is not None:
            on_change(self.change)
            self.change = None  # a Video takes more memory than the rest of a wait
        if not self.ended:
            self.wakeup = self._new_wakeup()
        return self.ended

    def result(self) -> Video:
        """The video.

        :raises Exception: what the wait ended with instead
        """
        if self.video is None:
            # Many may raise the same one, each with its own traceback.
            raise (self.error or asyncio.InvalidStateError()).with_traceback(None)
        return self.video

    @staticmethod
    def _new_wakeup() -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    def _wake(self) -> None:
        if not self.wakeup.done():
            self.wakeup.set_result(None)
