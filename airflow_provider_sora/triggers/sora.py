"""Waiting in the triggerer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_sora.api.decisions import Wait
from airflow_provider_sora.api.models import Video
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraError, SoraWaitError
from airflow_provider_sora.hooks.polling import poller_for
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.manifest import VideoManifest

# Not the triggers' own loggers: each would take a KiB for as long as it waits.
log = logging.getLogger(__name__)


class SoraVideoTrigger(BaseTrigger):
    """Waits for one video job and yields one `VideoEvent`. It only reads, so two copies of it do no harm.

    :param sora_conn_id: the connection of the server that runs the job
    :param video_id: the job
    :param deadline: unix seconds after which waiting stops; absolute, so that it survives a triggerer's restart
    :param poll_interval: the longest pause between two looks, in seconds
    :param since: unix seconds when the job was submitted, which tells how soon a look is worth it
    :param cancel_on_kill: delete the job when a user clears or marks the waiting task (Airflow 3.3 and later)
    :param step: handed on with the event, for operators with several jobs
    :param end_task: end the task right here when the video is there; every other outcome goes back to a worker
    """

    def __init__(
        self,
        *,
        sora_conn_id: str,
        video_id: str,
        deadline: float,
        poll_interval: float,
        since: float | None = None,
        step: int = 0,
        cancel_on_kill: bool = False,
        end_task: bool = False,
    ) -> None:
        super().__init__()
        self.sora_conn_id = sora_conn_id
        self.video_id = video_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.since = since
        self.step = step
        self.cancel_on_kill = cancel_on_kill
        self.end_task = end_task

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments: ids and numbers, no secret and no prompt."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "sora_conn_id": self.sora_conn_id,
                "video_id": self.video_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "since": self.since,
                "step": self.step,
                "cancel_on_kill": self.cancel_on_kill,
                "end_task": self.end_task,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield how it ended."""
        wait = Wait(self.video_id, self.deadline, self.poll_interval, self.since)
        try:
            video = await poller_for(self.sora_conn_id).wait(wait, self._log_progress)
            event = VideoEvent.of(VideoManifest.of(video, self.sora_conn_id), self.step)
        except SoraError as error:
            event = VideoEvent.of_error(self.video_id, error, self.step)
        except Exception as error:  # the id must reach the task, whatever broke here
            log.exception("Waiting for video %s broke", self.video_id)
            cause = f"{type(error).__name__}: {error}"
            event = VideoEvent.of_error(
                self.video_id, SoraWaitError(self.video_id, cause, last_status="unknown"), self.step
            )
        yield self._event(event)

    async def on_kill(self) -> None:
        """Delete the job: best effort, and in bounded time. Called when a user acts, not when a triggerer ends."""
        if self.cancel_on_kill:
            log.info("Killed: %s", await SoraHook(self.sora_conn_id).cancel_video_aio(self.video_id))

    def _event(self, event: VideoEvent) -> TriggerEvent:
        if not self.end_task or event.video is None:
            return TriggerEvent(event.to_json())
        ending = TaskSuccessEvent(xcoms={"return_value": event.video.to_json()})
        ending.payload = event.to_json()  # `dags test` knows no task that ends in its trigger: it resumes with this
        return ending

    def _log_progress(self, video: Video) -> None:
        log.info(*progress_line(video))


def progress_line(video: Video) -> tuple[str, ...]:
    """What to log of a job that has moved: a format and its arguments."""
    progress = "" if video.progress is None else f", {video.progress:g} %"
    return ("Video %s: %s%s", video.id, video.server_status or video.status.value, progress)
