"""The trigger that waits for a video job."""

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
from airflow_provider_sora.triggers.versions import MISSING, VERSION, current_names, mismatch, step_of

# Airflow gives `on_kill` 30 seconds (`[triggerer] on_kill_timeout`), and after that logs nothing about the job.
KILL_SECONDS = 28.0
ASK_SECONDS = 18.0  # the first request of a triggerer makes it build Airflow's API, which takes seconds

# Not the loggers of the triggers: each takes 1 KiB for as long as its trigger waits.
log = masking.logger(__name__)

_cancelling: set[asyncio.Task[None]] = set()  # an event loop holds only weak references to its tasks


class SoraVideoTrigger(BaseTrigger):
    """Waits for one video job and yields one `VideoEvent`. It only reads, so two copies of it do no harm.

    Only `on_kill` deletes, and only where a user has certainly cleared or marked the task.

    :param sora_conn_id: the connection of the server that runs the job
    :param video_id: the job
    :param deadline: unix seconds after which waiting stops; absolute, so that it outlives a restart of the triggerer
    :param poll_interval: the longest pause between two status checks, in seconds
    :param submitted_at: unix seconds when the job was submitted, where that is known; it sets the pace of the checks
    :param cancel_on_kill: delete the job when a user clears or marks the waiting task (Airflow 3.3 and later)
    :param keep_on_clear: keep the job when the task is cleared, since the task reconnects to it
    :param step: returned in the event, for operators with several jobs
    :param end_task: end the task in the triggerer when the video is completed; every other outcome resumes it in a
        worker
    :param version: of these arguments
    :param further: arguments of another version. With unknown ones, or without those that are needed, the wait ends
        with an event that says so, and the job is left running
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
        version: int = VERSION,
        **further: Any,
    ) -> None:
        super().__init__()
        further = current_names(further)
        self.sora_conn_id = sora_conn_id
        self.video_id = video_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.submitted_at = further.pop("submitted_at", submitted_at)
        self.step = step_of(step)
        self.cancel_on_kill = cancel_on_kill
        self.keep_on_clear = keep_on_clear
        self.end_task = end_task
        self.version = version
        self.unknown = further

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments: ids and numbers, no secret and no prompt."""
        row = {
            "version": self.version,
            "sora_conn_id": self.sora_conn_id,
            "video_id": self.video_id,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
            "submitted_at": self.submitted_at,
            "step": self.step,
            "cancel_on_kill": self.cancel_on_kill,
            "keep_on_clear": self.keep_on_clear,
            "end_task": self.end_task,
            **self.unknown,
        }
        known = {name: value for name, value in row.items() if value is not MISSING}
        return f"{type(self).__module__}.{type(self).__qualname__}", known

    def _mismatch(self) -> str | None:
        needed = ("sora_conn_id", "video_id", "deadline", "poll_interval")
        return mismatch(self.version, self.unknown, [name for name in needed if getattr(self, name) is MISSING])

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield how it ended."""
        wrong = self._mismatch()
        if wrong:
            video_id = UNKNOWN_ID if self.video_id is MISSING else self.video_id
            event = VideoEvent.of_error(video_id, SoraWaitError(video_id, wrong, last_status="unknown"), self.step)
            yield TriggerEvent(event.to_json())
            return
        self._stalls = stall_detector()
        with self._stalls.watching():
            event = await self._wait()
        yield self._trigger_event(event)

    async def _wait(self) -> VideoEvent:
        wait = Wait(self.video_id, self.deadline, self.poll_interval, self.submitted_at)
        try:
            video = await poller_for(self.sora_conn_id).wait(wait, self._log_progress)
            return VideoEvent.of(VideoManifest.of(video, self.sora_conn_id), self.step)
        except SoraError as error:
            return VideoEvent.of_error(self.video_id, error, self.step)
        except Exception as error:  # whatever went wrong here, the id has to reach the task
            log.exception("Waiting for video %s failed unexpectedly", self.video_id)
            broken = SoraWaitError(self.video_id, f"{type(error).__name__}: {error}", last_status="unknown")
            return VideoEvent.of_error(self.video_id, broken, self.step)

    async def on_kill(self) -> None:
        """Delete the job where a user has certainly cleared or marked the task: best effort, in bounded time.

        Airflow also calls this if another triggerer has taken over the wait; see `safe_to_cancel`. It cancels this call
        when it next updates its triggers, a second later: the shield lets the deletion finish.
        """
        if self.cancel_on_kill and not self._mismatch():
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
            return "the triggerer was stalled, and another one may have taken over the wait"
        if is_timed_out(getattr(self, "timeout_after", None)):
            return "Airflow's own timeout may have ended the wait"
        with stalls.watching():
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    reason = await self._reason_of_task()
            except Exception as error:  # noqa: BLE001 - any error leaves the state of the task unknown
                return f"the state of its task could not be read from Airflow ({type(error).__name__}: {error})"
            return "the triggerer was stalled while it asked Airflow" if stalls.has_stalled() else reason

    async def _reason_of_task(self) -> str | None:
        reason = reason_to_keep(await task_state(self.task_instance), keep_on_clear=self.keep_on_clear)
        if reason is None:
            return None
        job = await task_job(self.task_instance, self.step)
        return None if job is not None and canonical_id(job) != canonical_id(self.video_id) else reason

    def _trigger_event(self, event: VideoEvent) -> TriggerEvent:
        if not self.end_task or event.video is None:
            return TriggerEvent(event.to_json())
        ending = TaskSuccessEvent(xcoms={"return_value": event.video.to_json()})
        ending.payload = event.to_json()  # `dags test` ends no tasks in a trigger: it resumes them with the payload
        return ending

    def _log_progress(self, video: Video) -> None:
        log.info(*progress_line(video))
