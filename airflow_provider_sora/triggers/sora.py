"""Waiting in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_sora import masking
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.protocol.ids import canonical_id
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.events import UNKNOWN_ID, VideoEvent
from airflow_provider_sora.exceptions import SoraError, SoraWaitError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.tasks.progress import progress_line
from airflow_provider_sora.triggers.safe_to_cancel import is_timed_out, reason_to_keep, task_job, task_state
from airflow_provider_sora.triggers.shared_pollers import poller_for
from airflow_provider_sora.triggers.stalls import StallDetector, stall_detector
from airflow_provider_sora.triggers.versions import MISSING, ROW_VERSION, misfit, step_of

# Airflow gives `on_kill` 30 seconds (`[triggerer] on_kill_timeout`), and then says nothing of the job.
KILL_SECONDS = 28.0
ASK_SECONDS = 18.0  # the first question of all makes the triggerer build its API, which takes seconds

# Not the triggers' own loggers: each would take a KiB for as long as it waits.
log = masking.logger(__name__)

_cancelling: set[asyncio.Task[None]] = set()  # an event loop alone does not keep its tasks


class SoraVideoTrigger(BaseTrigger):
    """Waits for one video job and yields one `VideoEvent`. It only reads, so two copies of it do no harm.

    Only `on_kill` deletes, and only where a user has cleared or marked the task.

    :param sora_conn_id: the connection of the server that runs the job
    :param video_id: the job
    :param deadline: unix seconds after which waiting stops; absolute, so that it survives a triggerer's restart
    :param poll_interval: the longest pause between two polls, in seconds
    :param submitted_at: unix seconds when the job was submitted, which tells how soon a poll is worth it
    :param cancel_on_kill: delete the job when a user clears or marks the waiting task (Airflow 3.3 and later)
    :param keep_on_clear: not when it is cleared: the task reconnects to the job
    :param step: handed on with the event, for operators with several jobs
    :param end_task: end the task right here when the video is there; every other outcome goes back to a worker
    :param version: of the arguments, as a row of the database keeps them
    :param unknown: what another version has stored; with it, or without what is needed, the wait ends with an error
        that says so, and the job lives: an exception here would leave the task without one
    """

    _stalls: StallDetector | None = None

    def __init__(
        self,
        *,
        sora_conn_id: str = MISSING,
        video_id: str = MISSING,
        deadline: float = MISSING,
        poll_interval: float = MISSING,
        submitted_at: float | None = None,
        step: int = 0,
        cancel_on_kill: bool = False,
        keep_on_clear: bool = False,
        end_task: bool = False,
        version: Any = ROW_VERSION,
        **unknown: Any,
    ) -> None:
        super().__init__()
        submitted_at = unknown.pop("since", submitted_at)  # as rows of version 1 have it
        self.unknown = unknown
        self.version = version
        self.sora_conn_id = sora_conn_id
        self.video_id = video_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.submitted_at = submitted_at
        self.step = step_of(step)
        self.cancel_on_kill = cancel_on_kill
        self.keep_on_clear = keep_on_clear
        self.end_task = end_task

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments: ids and numbers, no secret and no prompt."""
        row = {
            "sora_conn_id": self.sora_conn_id,
            "video_id": self.video_id,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
            "submitted_at": self.submitted_at,
            "step": self.step,
            "cancel_on_kill": self.cancel_on_kill,
            "keep_on_clear": self.keep_on_clear,
            "end_task": self.end_task,
            "version": self.version,
            **self.unknown,
        }
        known = {name: value for name, value in row.items() if value is not MISSING}
        return f"{type(self).__module__}.{type(self).__qualname__}", known

    def _misfit(self) -> str | None:
        needed = ("sora_conn_id", "video_id", "deadline", "poll_interval")
        return misfit(self.version, self.unknown, [name for name in needed if getattr(self, name) is MISSING])

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield how it ended."""
        wrong = self._misfit()
        if wrong:
            video_id = UNKNOWN_ID if self.video_id is MISSING else self.video_id
            event = VideoEvent.of_error(video_id, SoraWaitError(video_id, wrong, last_status="unknown"), self.step)
            yield TriggerEvent(event.to_json())
            return
        self._stalls = stall_detector()
        with self._stalls.watching():
            event = await self._wait()
        yield self._event(event)

    async def _wait(self) -> VideoEvent:
        wait = Wait(self.video_id, self.deadline, self.poll_interval, self.submitted_at)
        try:
            video = await poller_for(self.sora_conn_id).wait(wait, self._log_progress)
            return VideoEvent.of(VideoManifest.of(video, self.sora_conn_id), self.step)
        except SoraError as error:
            return VideoEvent.of_error(self.video_id, error, self.step)
        except Exception as error:  # the id must reach the task, whatever broke here
            log.exception("Waiting for video %s broke", self.video_id)
            broken = SoraWaitError(self.video_id, f"{type(error).__name__}: {error}", last_status="unknown")
            return VideoEvent.of_error(self.video_id, broken, self.step)

    async def on_kill(self) -> None:
        """Delete the job where a user has acted for sure: best effort, and in bounded time.

        Airflow calls this also where another triggerer has taken the wait over; see `safe_to_cancel`. It also cancels
        this call when it looks for its triggers the next time, which is a second later: what was begun goes on.
        """
        if self.cancel_on_kill and not self._misfit():
            cancelling = asyncio.create_task(self._cancel_in_time())
            _cancelling.add(cancelling)
            cancelling.add_done_callback(_cancelling.discard)
            await asyncio.shield(cancelling)

    async def _cancel_in_time(self) -> None:
        try:
            async with asyncio.timeout(KILL_SECONDS):
                log.info("Cancelled: %s", await self._cancel())
        except TimeoutError:
            log.warning("Cancelled: video %s may still be running: it was not deleted in time", self.video_id)

    async def _cancel(self) -> str:
        reason = await self._reason_to_keep()
        if reason is not None:
            return f"video {self.video_id} is left running on the server: {reason}"
        return await SoraHook(self.sora_conn_id).cancel_video.aio(self.video_id)

    async def _reason_to_keep(self) -> str | None:
        stalls = self._stalls
        if stalls is None or stalls.has_stalled():
            return "the triggerer stood still, and another one may have taken the wait over"
        if is_timed_out(getattr(self, "timeout_after", None)):
            return "Airflow's own timeout may have ended the wait"
        with stalls.watching():
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    reason = await self._reason_of_task()
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known
                return f"Airflow does not say what its task does ({type(error).__name__}: {error})"
            return "the triggerer stood still while it asked Airflow" if stalls.has_stalled() else reason

    async def _reason_of_task(self) -> str | None:
        reason = reason_to_keep(await task_state(self.task_instance), keep_on_clear=self.keep_on_clear)
        if reason is None:
            return None
        job = await task_job(self.task_instance, self.step)
        return None if job is not None and canonical_id(job) != canonical_id(self.video_id) else reason

    def _event(self, event: VideoEvent) -> TriggerEvent:
        if not self.end_task or event.video is None:
            return TriggerEvent(event.to_json())
        ending = TaskSuccessEvent(xcoms={"return_value": event.video.to_json()})
        ending.payload = event.to_json()  # `dags test` knows no task that ends in its trigger: it resumes with this
        return ending

    def _log_progress(self, video: Video) -> None:
        log.info(*progress_line(video))
