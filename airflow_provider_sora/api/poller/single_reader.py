"""Polling jobs one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from airflow_provider_sora.api.decisions.poll_failures import is_throttled
from airflow_provider_sora.api.http.flows import Jitter
from airflow_provider_sora.api.poller.gone_check import GoneCheck
from airflow_provider_sora.api.poller.job_queue import JobQueue
from airflow_provider_sora.api.poller.list_strategy import ListStrategy
from airflow_provider_sora.api.poller.schedule import ROUNDING_SECONDS, TOGETHER_SECONDS, Schedule
from airflow_provider_sora.api.poller.throttled_client import ThrottledClient
from airflow_provider_sora.api.poller.tracker import Tracker
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.poller.waiters import Waiters
from airflow_provider_sora.api.protocol.pause_limits import MIN_POLL_SECONDS
from airflow_provider_sora.api.protocol.requests import RetrieveVideo
from airflow_provider_sora.exceptions import SoraError, SoraResponseError

POLL_TIMEOUT_SECONDS = 30.0  # sixteen responses that drip must not stop all others for long


class SingleReader:
    """Polls a job once for all who wait for it, a few jobs at a time.

    :param gone_check: asked where the server does not know a job
    :param clock: a monotonic one
    """

    def __init__(
        self,
        client: ThrottledClient,
        waiters: Waiters,
        schedule: Schedule,
        tracker: Tracker,
        strategy: ListStrategy,
        gone_check: GoneCheck,
        clock: Callable[[], float],
        jitter: Jitter,
    ) -> None:
        self._client = client
        self._waiters = waiters
        self._schedule = schedule
        self._tracker = tracker
        self._strategy = strategy
        self._gone_check = gone_check
        self._clock = clock
        self._jitter = jitter
        self._queue = JobQueue(self._poll)

    def read(self, jobs: Iterable[str]) -> None:
        """Poll these jobs soon."""
        self._queue.add(jobs)

    async def close(self) -> None:
        """Stop what is in flight."""
        await self._queue.close()

    async def _poll(self, job: str) -> None:
        in_flight = self._waiters.in_flight(job)
        if not in_flight or self._postpone_after_a_poll(in_flight):
            return
        if self._client.is_blocked:
            self._postpone(job)
            return
        try:
            request = RetrieveVideo(video_id=in_flight[0].wait.video_id)
            video, response = await self._client.send("retrieve", request, POLL_TIMEOUT_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever breaks here, it is a failed check and not a failed job
            self._record_poll(job)
            self._failed(job, error)
            return
        self._record_poll(job)
        if not video.status.is_running:
            self._strategy.record_ended(job, self._clock())
        for waiter in self._waiters.of(job):
            self._tracker.observe(waiter, video, response, self._client.clock_offset_seconds)

    def _postpone_after_a_poll(self, in_flight: list[Waiter]) -> bool:
        """Whether the job was polled a moment ago, for another wait or to check the list."""
        now = self._clock()
        pause = max(waiter.polled_at for waiter in in_flight) + MIN_POLL_SECONDS - now
        if pause <= ROUNDING_SECONDS or any(waiter.may_be_polled_at_once(now) for waiter in in_flight):
            return False
        for waiter in in_flight:
            self._schedule.add(waiter, now + pause)
        return True

    def _record_poll(self, job: str) -> None:
        for waiter in self._waiters.of(job):
            waiter.polled_at = self._clock()

    def _failed(self, job: str, error: Exception) -> None:
        if is_throttled(error):
            self._postpone(job)
            return
        if not isinstance(error, SoraError):
            error = SoraResponseError(f"reading the response broke: {type(error).__name__}: {error}")
        for waiter in self._waiters.in_flight(job):
            asked = self._tracker.on_error(waiter, error)
            if asked is not None:
                self._gone_check.add(waiter, asked)

    def _postpone(self, job: str) -> None:
        """Wait until the server takes requests again; all polls together, and no failure of this job."""
        pause = self._client.limit.blocked_until - self._clock() + self._jitter() * TOGETHER_SECONDS
        for waiter in self._waiters.in_flight(job):
            self._tracker.postpone(waiter, pause)
