"""A DAG that starts from videos which no task has made."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_sora.emulator import Emulator
from dev.deployment import Deployment, until

pytestmark = pytest.mark.system


def lists(emulator: Emulator) -> int:
    return sum(entry["route"] == "list" for entry in emulator.requests)


def test_a_video_made_elsewhere_starts_a_run(airflow: Deployment, running_emulator: Emulator) -> None:
    until(lambda: airflow.is_known("on_video"), "the DAG is known")
    before = lists(running_emulator)
    until(lambda: lists(running_emulator) > before + 1, "the watcher reads the list")
    runs = airflow.runs("on_video").count("success")  # for the videos of other tests
    body = {"prompt": "made by hand", "seconds": "1", "size": "64x64"}
    headers = {"Authorization": f"Bearer {running_emulator.api_key}"}
    httpx.post(f"{running_emulator.base_url}/videos", json=body, headers=headers).raise_for_status()
    until(lambda: airflow.runs("on_video").count("success") > runs, "a run that the video has started")
