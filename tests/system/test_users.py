"""What a user does to a task, on a real Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_sora.emulator import Emulator
from dev.deployment import Deployment, until

pytestmark = pytest.mark.system


def made(emulator: Emulator, prompt: str) -> list[str]:
    return [job.id for job in emulator.jobs.all() if job.prompt == prompt]


def test_a_cleared_task_makes_a_new_video(airflow: Deployment, running_emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "point").write_text("none")
    run = airflow.trigger("dying_deferred", folder=str(tmp_path), prompt="to be cleared")
    until(lambda: airflow.run_state("dying_deferred", run) == "success", "the run ends")
    assert len(made(running_emulator, "to be cleared")) == 1
    airflow.clear_task("dying_deferred", run, "create")
    until(lambda: len(made(running_emulator, "to be cleared")) == 2, "a new video is made")
    until(lambda: airflow.run_state("dying_deferred", run) == "success", "the run ends again")
    assert len(made(running_emulator, "to be cleared")) == 2


def test_a_deferred_task_that_is_marked_failed_has_its_job_deleted(
    airflow: Deployment, emulator: Emulator, tmp_path: Path
) -> None:
    def asked(route: str) -> int:
        return sum(1 for entry in emulator.requests if entry["route"] == route)

    looks, deletes = asked("retrieve"), asked("delete")
    run = airflow.trigger("one_video", target=tmp_path.as_uri())
    until(lambda: asked("retrieve") > looks + 1, "the triggerer looks at the job")
    airflow.fail_task("one_video", run, "create")
    until(lambda: asked("delete") > deletes, "the triggerer deletes the job")
    assert airflow.run_state("one_video", run) != "success"
