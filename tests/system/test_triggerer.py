from __future__ import annotations

from pathlib import Path

import av
import pytest

from airflow_provider_sora.emulator import Emulator
from dev.deployment import Deployment, until

pytestmark = pytest.mark.system


def polls(emulator: Emulator) -> int:
    return sum(1 for entry in emulator.requests if entry["route"] == "retrieve")


def test_a_run_survives_a_restart_of_the_api_server(airflow: Deployment, emulator: Emulator, tmp_path: Path) -> None:
    before, creates = polls(emulator), emulator.creates
    run = airflow.trigger("one_video", target=tmp_path.as_uri())
    until(lambda: polls(emulator) > before + 1, "the triggerer looks at the job")
    airflow.kill("api-server")
    airflow.start("api-server")
    until(airflow.is_healthy, "the API server is back")
    emulator.clock.advance(60)
    until(lambda: airflow.run_state("one_video", run) in ("success", "failed"), "the run ends")
    assert airflow.run_state("one_video", run) == "success"
    assert emulator.creates == creates + 1


def test_a_run_waits_in_the_triggerer_and_survives_its_sigkill(
    airflow: Deployment, emulator: Emulator, tmp_path: Path
) -> None:
    before, creates = polls(emulator), emulator.creates
    run = airflow.trigger("one_video", target=tmp_path.as_uri())
    until(lambda: polls(emulator) > before + 1, "the triggerer looks at the job")
    states = {task["task_id"]: task["state"] for task in airflow.tasks("one_video", run)}
    assert states["create"] == "deferred"

    airflow.kill("triggerer")
    before = polls(emulator)
    airflow.start("triggerer")
    until(lambda: polls(emulator) > before + 1, "the new triggerer looks at the job")

    emulator.clock.advance(60)
    until(lambda: airflow.run_state("one_video", run) in ("success", "failed"), "the run ends")
    assert airflow.run_state("one_video", run) == "success"
    assert emulator.creates == creates + 1
    with av.open(str(tmp_path / "video.mp4"), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == 24
