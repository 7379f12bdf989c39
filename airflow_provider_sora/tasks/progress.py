"""The log line of a job that runs."""

from __future__ import annotations

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.masking import masked


def progress_line(video: Video) -> tuple[str, ...]:
    """What to log of a job's status: a format and its arguments."""
    progress = "" if video.progress is None else f", {video.progress:g} %"
    return ("Video %s: %s%s", video.id, masked(video.raw_status or video.status.value), progress)
