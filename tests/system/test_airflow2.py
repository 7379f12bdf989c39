"""Below Airflow 3.3 nothing is remembered: a retry finds its job on the server's list."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from airflow_provider_sora.emulator import Emulator
from dev.deployment import until
from dev.deployment_airflow2 import Airflow2Deployment
from tests.system.siblings import siblings_to_die

pytestmark = pytest.mark.system

CASES = [
    ("before the POST", "deferred"),
    ("after the POST, before the id is stored", "deferred"),
    ("after the POST, before the id is stored", "blocking"),
    ("between event and completion", "deferred"),
    ("during the transfer", "blocking"),
]


@pytest.fixture(scope="module")
def folders(
    airflow2: Airflow2Deployment, running_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    """A folder for each case, once all runs have ended."""
    runs, folders = [], {}
    first = []
    for mode in ("deferred", "blocking"):  # shows that this server shows prompts as they were sent
        folder = tmp_path_factory.mktemp("first")
        (folder / "point").write_text("none")
        run_id = airflow2.trigger(f"dying_{mode}", folder=str(folder), prompt=f"the first, {mode}")
        first.append((f"dying_{mode}", run_id))
    until(lambda: all(airflow2.run_state(*run) == "success" for run in first), "the first runs end", 200)
    for point, mode in CASES:
        folder = tmp_path_factory.mktemp("run")
        (folder / "point").write_text(point)
        runs.append((f"dying_{mode}", airflow2.trigger(f"dying_{mode}", folder=str(folder), prompt=f"{point}, {mode}")))
        folders[point, mode] = folder
    until(lambda: all(airflow2.run_state(*run) in ("success", "failed") for run in runs), "all runs end", 400)
    assert [airflow2.run_state(*run) for run in runs] == ["success"] * len(runs)
    return folders


def test_five_mapped_tasks_with_one_prompt_that_are_killed_after_the_post_have_a_video_each(
    airflow2: Airflow2Deployment, running_emulator: Emulator, tmp_path: Path
) -> None:
    run = airflow2.trigger("dying_siblings", folder=str(siblings_to_die(tmp_path)), prompt="five alike")
    until(lambda: airflow2.run_state("dying_siblings", run) in ("success", "failed"), "the run ends", 400)
    made = [job.id for job in running_emulator.jobs.all() if job.prompt == "five alike"]
    assert (airflow2.run_state("dying_siblings", run), len(made)) == ("success", 5)
    assert sorted(path.stem for path in tmp_path.glob("*.mp4")) == sorted(made)


@pytest.mark.parametrize(("point", "mode"), CASES)
def test_a_sigkill_costs_nothing_and_loses_nothing(
    folders: dict[tuple[str, str], Path], running_emulator: Emulator, point: str, mode: str
) -> None:
    assert (folders[point, mode] / "died").exists()
    assert [job.prompt for job in running_emulator.jobs.all()].count(f"{point}, {mode}") == 1
    with av.open(str(folders[point, mode] / "video.mp4"), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == 24
