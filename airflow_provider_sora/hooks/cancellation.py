"""Deleting a running job that no task waits for any more, with a message for each outcome."""

from __future__ import annotations

from airflow_provider_sora.api.http import flows
from airflow_provider_sora.api.http.steps import Flow
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import DeleteVideo, RetrieveVideo
from airflow_provider_sora.exceptions import SoraConflictError, SoraError, SoraNotFoundError, SoraUnsupportedError


def cancel(video_id: str) -> Flow[str]:
    """Delete a job unless it has ended; a completed video is paid for and must not be lost."""
    try:
        video, _ = yield from flows.exchange(RetrieveVideo(video_id=video_id))
        reason = reason_to_keep(video)
        if reason is not None:
            return f"video {video_id} is kept on the server: {reason}"
        deleted, _ = yield from flows.exchange(DeleteVideo(video_id=video_id))
    except SoraError as error:
        return _failure(video_id, error)
    return f"video {video_id} {'was deleted' if deleted else 'will be deleted'} on the server"


def reason_to_keep(video: Video) -> str | None:
    """Why a job must not be deleted; None while it runs."""
    return None if video.status.is_running else f"its job has ended ({video.raw_status or video.status.value})"


def _failure(video_id: str, error: SoraError) -> str:
    if isinstance(error, SoraNotFoundError):
        return f"video {video_id} no longer exists on the server"
    if isinstance(error, SoraUnsupportedError):
        return f"video {video_id} is still running: the server cannot delete ({error})"
    if isinstance(error, SoraConflictError):
        return f"video {video_id} is still running: the server does not stop a running job ({error})"
    return f"video {video_id} may still be running: deleting it failed ({error})"
