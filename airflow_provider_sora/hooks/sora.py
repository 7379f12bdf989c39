"""The hook: one method for each call of the Videos API."""

from __future__ import annotations

import random
from typing import Any, Literal

from airflow_provider_sora.api.decisions.polling import Decision, Wait
from airflow_provider_sora.api.http import wait_flow
from airflow_provider_sora.api.http.flows import OnChange
from airflow_provider_sora.api.http.steps import Flow
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import (
    DeleteVideo,
    DownloadContent,
    GetCharacter,
    ListVideos,
    RetrieveVideo,
    Variant,
)
from airflow_provider_sora.compat import AIRFLOW_V_3_2_PLUS
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_sora.hooks import cancellation
from airflow_provider_sora.hooks.base import DEFAULT_CONN_ID
from airflow_provider_sora.hooks.creation import SoraCreationHook
from airflow_provider_sora.hooks.dual_call import (
    lists_videos,
    runs_flow,
    runs_short_flow,
    sends_request,
    streams_content,
)

__all__ = ["DEFAULT_CONN_ID", "SoraHook"]


class SoraHook(SoraCreationHook):
    """The Videos API behind an Airflow connection of type ``sora``.

    Each method blocks; its `aio` is for an event loop: ``await hook.get_video.aio("video_1")``, ``async for video in
    hook.list_videos.aio()``. A method's `build` returns the request without sending it.

    :param sora_conn_id: the connection
    """

    @sends_request
    def get_character(self, character_id: str) -> GetCharacter:
        """A character as the server has it now.

        :param character_id: its id
        """
        return GetCharacter(character_id=character_id)

    @sends_request
    def get_video(self, video_id: str) -> RetrieveVideo:
        """A job as the server has it now.

        :param video_id: its id
        """
        return RetrieveVideo(video_id=video_id)

    @sends_request
    def delete_video(self, video_id: str) -> DeleteVideo:
        """Delete a video; returns whether the server confirms that it is deleted.

        :param video_id: its id
        """
        return DeleteVideo(video_id=video_id)

    @lists_videos
    def list_videos(
        self, limit: int | None = None, order: Literal["asc", "desc"] | None = None, after: str | None = None
    ) -> ListVideos:
        """The server's videos, over all pages; always ends.

        :param limit: how many videos the server is asked for at a time, 100 at most
        :param order: by time of creation: ``asc`` or ``desc``; default: the server's
        :param after: start behind the video of this id
        """
        return ListVideos(limit=limit, order=order, after=after)

    @streams_content
    def download_content(self, video_id: str, variant: Variant = "video") -> DownloadContent:
        """The bytes of a video as they come; the iteration ends normally only if they are complete and checked.

        The blocking form is a generator whose return value describes what was read.

        :param video_id: its id
        :param variant: ``video``, ``thumbnail`` or ``spritesheet``
        """
        return DownloadContent(video_id=video_id, variant=variant)

    @runs_flow
    def wait_for_video(self, wait: Wait, on_change: OnChange) -> Flow[Video]:
        """Poll a job until its video is completed. The blocking form holds a worker: a task should defer instead.

        :param wait: the job, the deadline and the interval
        :param on_change: called with the job when its status, or the quarter of its progress, has changed
        :raises SoraVideoFailedError: the job ended without a video
        :raises SoraWaitError: waiting ended first
        """
        return wait_flow.wait(wait, on_change, random.random)

    @runs_flow
    def check_video(self, wait: Wait, on_change: OnChange, limit_seconds: float) -> Flow[Decision]:
        """Poll a job once and decide whether to poll again; a status check that fails is logged.

        :param wait: the wait so far, with its failures
        :param on_change: called with the job when its status, or the quarter of its progress, has changed
        :param limit_seconds: how long each request may take altogether
        :raises SoraConfigError: the connection cannot be used
        """

        def log_failure(error: SoraError) -> None:
            self.log.warning("Video %s: the status check failed: %s", wait.video_id, error)

        return wait_flow.check(wait, on_change, log_failure, limit_seconds, random.random)

    @runs_short_flow
    def cancel_video(self, video_id: str) -> Flow[str]:
        """Delete a running job that no task waits for any more; returns a message with the outcome, also of a failure.

        Each request is sent once and takes a few seconds at most. A completed video is kept: it is paid for.

        :param video_id: its id
        """
        return cancellation.cancel(video_id)

    # Airflow 3.2 reads the form from the provider's metadata; before, it asks the hook, and not the hook's parents.
    if not AIRFLOW_V_3_2_PLUS:

        @classmethod
        def get_connection_form_widgets(cls) -> dict[str, Any]:
            """The form's own fields, for Airflow before 3.2."""
            from wtforms import StringField

            return {
                name: StringField(field["label"], description=field["description"])
                for name, field in CONN_FIELDS.items()
            }

        @classmethod
        def get_ui_field_behaviour(cls) -> dict[str, Any]:
            """How the form shows Airflow's fields, for Airflow before 3.2."""
            return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}
