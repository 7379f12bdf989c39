"""The log line of a job that is waited for."""

from __future__ import annotations

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.masking import masked


def progress_line(video: Video) -> tuple[str, ...]:
    """A job's status and progress, as a logging format and its arguments."""
    progress = "" if video.progress is None else f", {video.progress:g} %"
    return ("Video %s: %s%s", video.id, masked(video.raw_status or video.status.value), progress)
