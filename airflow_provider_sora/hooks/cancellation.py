"""Deleting a job that nobody waits for any more: in a hurry, and with words for whatever the server answers."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.exceptions import (
    SoraConflictError,
    SoraError,
    SoraNotFoundError,
    SoraUnsupportedError,
)

_KILL_SECONDS = 5.0


def with_short_timeouts(config: SoraConfig, seconds: float = _KILL_SECONDS) -> SoraConfig:
    """The same server with short time limits; by default those of a task that is killed and has not long to live."""
    return replace(
        config,
        timeout_seconds=min(config.timeout_seconds, seconds),
        connect_timeout_seconds=min(config.connect_timeout_seconds, seconds),
        total_timeout_seconds=min(config.total_timeout_seconds, seconds),
    )


def cancelled(video_id: str, deleted: bool) -> str:
    """What became of a job that the server was told to delete."""
    return f"video {video_id} {'was deleted' if deleted else 'is to be deleted'} on the server"


def reason_to_stay(video: Video) -> str | None:
    """Why a job is not deleted that the server shows so: a finished video is not to be lost."""
    if video.status.is_running:
        return None
    return f"video {video.id} stays on the server: its job has ended ({video.raw_status or video.status.value})"


def not_cancelled(video_id: str, error: SoraError) -> str:
    if isinstance(error, SoraNotFoundError):
        return f"video {video_id} was already gone from the server"
    if isinstance(error, SoraUnsupportedError):
        return f"video {video_id} goes on: the server cannot delete ({error})"
    if isinstance(error, SoraConflictError):
        return f"video {video_id} goes on: the server does not stop a running job ({error})"
    return f"video {video_id} may go on: deleting it failed ({error})"
