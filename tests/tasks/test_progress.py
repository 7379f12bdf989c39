from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.tasks.progress import progress_line


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"status": "in_progress", "progress": 25}, "Video video_1: in_progress, 25 %"),
        ({"status": "queued"}, "Video video_1: queued"),
        ({"status": "warming_up"}, "Video video_1: warming_up"),
    ],
)
def test_the_line_has_the_status_in_the_words_of_the_server_and_the_progress(fields: dict[str, Any], line: str) -> None:
    message, *arguments = progress_line(Video.model_validate({"id": "video_1", **fields}))
    assert message % tuple(arguments) == line
