"""What is known of each wait, and what follows from a status check or from its failure."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_sora.api.decisions import polling
from airflow_provider_sora.api.decisions.intervals import Durations, kind_of
from airflow_provider_sora.api.decisions.polling import AskList, Done, GiveUp, Presence
from airflow_provider_sora.api.http.flows import Jitter
from airflow_provider_sora.api.http.wait_flow import is_worth_logging
from airflow_provider_sora.api.poller.list_strategy import ListStrategy
from airflow_provider_sora.api.poller.observer import Observer, notify
from airflow_provider_sora.api.poller.schedule import Schedule
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.poller.waiters import Waiters
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraError


class Tracker:
    """Applies the decisions (`decisions.polling`) to waiters: schedules their next poll, or ends them.

    :param durations: how long earlier jobs took
    :param clock: a monotonic one, which the times of all waits follow
    """

    def __init__(
        self,
        waiters: Waiters,
        schedule: Schedule,
        strategy: ListStrategy,
        durations: Durations,
        observer: Observer,
        clock: Callable[[], float],
        jitter: Jitter,
    ) -> None:
        self._waiters = waiters
        self._schedule = schedule
        self._strategy = strategy
        self._durations = durations
        self._observer = observer
        self._clock = clock
        self._jitter = jitter

    def begin(self, waiter: Waiter) -> None:
        """Schedule the first poll of a wait."""
        now = self._clock()
        pause = polling.first_poll(waiter.wait, now, history=self._durations.of(None), jitter=self._jitter())
        self._schedule.add(waiter, now + pause)

    def observe(self, waiter: Waiter, video: Video, response: Response, clock_offset_seconds: float) -> None:
        """Use what the server shows of a job.

        :param clock_offset_seconds: how far the server's clock is ahead of ours
        """
        if waiter.ended:
            return
        if video.id != waiter.wait.video_id:
            video = video.model_copy(update={"id": waiter.wait.video_id})
        before = waiter.wait
        verdict = polling.on_status(
            before,
            video,
            self._clock(),
            hint_seconds=response.hint_seconds,
            history=self._durations.of(kind_of(video)),
            least_seconds=self._strategy.least_pause(len(self._waiters), self._clock()),
            jitter=self._jitter(),
            epoch=waiter.epoch,
        )
        if isinstance(verdict, Done):
            self._record_end(video, self._clock() + waiter.epoch + clock_offset_seconds if before.last else None)
        if is_worth_logging(before, video):
            waiter.notify(video)
        self.follow(waiter, verdict)

    def on_error(self, waiter: Waiter, error: SoraError) -> AskList | None:
        """Use a status check that failed; the question to the list, where that has to answer first."""
        verdict = polling.on_error(waiter.wait, error, self._clock(), jitter=self._jitter())
        if not isinstance(verdict, AskList):
            self.follow(waiter, verdict)
            return None
        waiter.wait, waiter.in_flight = verdict.wait, False
        self._schedule.discard(waiter)  # until the list has answered
        return verdict

    def on_list_search(self, waiter: Waiter, asked: AskList, found: Video | Presence) -> None:
        """Use what the list shows of a job that the server itself does not know."""
        verdict = polling.on_list_search(asked, found, self._clock(), jitter=self._jitter(), epoch=waiter.epoch)
        self.follow(waiter, verdict)

    def postpone(self, waiter: Waiter, seconds: float) -> None:
        """Poll later, for a reason that is not the job's; within the wait's deadline."""
        self.follow(waiter, polling.postponed(waiter.wait, seconds, self._clock()))

    def time_out(self, waiter: Waiter) -> None:
        """End a wait: its time is over."""
        self.follow(waiter, polling.timed_out(waiter.wait))

    def follow(self, waiter: Waiter, verdict: polling.Decision) -> None:
        """Do what was decided."""
        waiter.in_flight = False
        if isinstance(verdict, Done | GiveUp):
            self._schedule.discard(waiter)
        if isinstance(verdict, Done):
            waiter.end(verdict.video)
        elif isinstance(verdict, GiveUp):
            waiter.end(error=verdict.error)
        else:
            waiter.wait = verdict.wait
            self._schedule.add(waiter, self._clock() + verdict.seconds)

    def _record_end(self, video: Video, server_now: float | None) -> None:
        """Learn from a completed job.

        :param server_now: by the server's clock; None where the job may have ended long before anybody waited
        """
        if video.completed_at is None:
            return
        if server_now is not None:
            notify(self._observer.detected, max(0.0, server_now - video.completed_at))
        if video.created_at is not None and video.completed_at > video.created_at:
            self._durations.add(video, video.completed_at - video.created_at)
