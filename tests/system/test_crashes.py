"""A process is killed at each point of a video's way; what is counted is what would have been paid for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from airflow_provider_sora.emulator import Emulator, Fault
from dev.deployment import Deployment, until
from tests.system.siblings import siblings_to_die

pytestmark = pytest.mark.system

POINTS = [
    "before the POST",
    "after the POST, before the id is stored",
    "after the id is stored, before waiting",
    "between event and completion",
    "its worker, before the POST",
    "during the transfer",
]
MODES = ["deferred", "blocking"]


@dataclass
class Outcome:
    """What came of one run."""

    died: bool
    state: str
    creates: int
    folder: Path


@pytest.fixture(scope="module")
def outcomes(
    airflow: Deployment, running_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Outcome]:
    """All runs, at once, after one that shows that this server shows prompts as they were sent."""
    first = {}
    for mode in MODES:
        folder = tmp_path_factory.mktemp("first")
        (folder / "point").write_text("none")
        first[mode] = airflow.trigger(f"dying_{mode}", folder=str(folder), prompt=f"the first, {mode}")
    until(lambda: all(airflow.run_state(f"dying_{m}", run) == "success" for m, run in first.items()), "they end", 200)
    runs = {}
    for mode in MODES:
        for point in [*POINTS, "submission off"]:
            folder = tmp_path_factory.mktemp("run")
            (folder / "point").write_text(point)
            prompt = f"{point}, {mode}"
            runs[point, mode] = (airflow.trigger(f"dying_{mode}", folder=str(folder), prompt=prompt), prompt, folder)

    def all_ended() -> bool:
        return all(
            airflow.run_state(f"dying_{mode}", run) in ("success", "failed") for (_, mode), (run, _, _) in runs.items()
        )

    until(all_ended, "all runs end", 300)
    made = [job.prompt for job in running_emulator.jobs.all()]
    return {
        (point, mode): Outcome(
            (folder / "died").exists(), airflow.run_state(f"dying_{mode}", run), made.count(prompt), folder
        )
        for (point, mode), (run, prompt, folder) in runs.items()
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", POINTS)
def test_a_sigkill_costs_nothing_and_loses_nothing(
    outcomes: dict[tuple[str, str], Outcome], point: str, mode: str
) -> None:
    outcome = outcomes[point, mode]
    assert outcome.died
    assert (outcome.state, outcome.creates) == ("success", 1)
    with av.open(str(outcome.folder / "video.mp4"), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == 24


@pytest.mark.parametrize("mode", MODES)
def test_with_submission_switched_off_the_same_crash_is_paid_for_twice(
    outcomes: dict[tuple[str, str], Outcome], mode: str
) -> None:
    assert outcomes["submission off", mode].died
    assert outcomes["submission off", mode].creates > 1


def test_the_table_in_the_docs_is_what_was_measured(outcomes: dict[tuple[str, str], Outcome]) -> None:
    document = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    for point in POINTS:
        for mode in MODES:
            outcome = outcomes[point, mode]
            files = len(list(outcome.folder.glob("*.mp4")))
            assert f"| {point} | {mode} | {outcome.creates} | {files} |" in document


def test_five_mapped_tasks_with_one_prompt_that_are_killed_after_the_post_have_a_video_each(
    airflow: Deployment, running_emulator: Emulator, tmp_path: Path
) -> None:
    run = airflow.trigger("dying_siblings", folder=str(siblings_to_die(tmp_path)), prompt="five alike")
    until(lambda: airflow.run_state("dying_siblings", run) in ("success", "failed"), "the run ends", 300)
    made = [job.id for job in running_emulator.jobs.all() if job.prompt == "five alike"]
    assert (airflow.run_state("dying_siblings", run), len(made)) == ("success", 5)
    assert sorted(path.stem for path in tmp_path.glob("*.mp4")) == sorted(made)


def test_an_answer_that_is_lost_after_acceptance_is_found(
    airflow: Deployment, running_emulator: Emulator, tmp_path: Path
) -> None:
    running_emulator.faults.add(Fault("create", "drop", accept=True))
    (tmp_path / "point").write_text("none")
    run = airflow.trigger("dying_deferred", folder=str(tmp_path), prompt="a lost answer")
    until(lambda: airflow.run_state("dying_deferred", run) in ("success", "failed"), "the run ends")
    assert airflow.run_state("dying_deferred", run) == "success"
    assert [job.prompt for job in running_emulator.jobs.all()].count("a lost answer") == 1


def test_repeated_500s_make_one_video(airflow: Deployment, running_emulator: Emulator, tmp_path: Path) -> None:
    running_emulator.faults.add(Fault("create", "status", status=500, accept=True))
    running_emulator.faults.add(Fault("create", "status", status=500, times=2))
    (tmp_path / "point").write_text("none")
    run = airflow.trigger("dying_blocking", folder=str(tmp_path), prompt="repeated 500s")
    until(lambda: airflow.run_state("dying_blocking", run) in ("success", "failed"), "the run ends")
    running_emulator.faults.clear()
    assert airflow.run_state("dying_blocking", run) == "success"
    assert [job.prompt for job in running_emulator.jobs.all()].count("repeated 500s") == 1


def test_no_key_is_written_anywhere(
    airflow: Deployment, outcomes: dict[tuple[str, str], Outcome], running_emulator: Emulator
) -> None:
    """Logs, XCom, trigger rows, rendered fields: all of it is below Airflow's home."""
    assert outcomes
    key = str(running_emulator.api_key).encode()
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(path.name == "airflow.db" for path in files)
    assert any(b"re-attaching" in path.read_bytes() or b"accepted" in path.read_bytes() for path in files)
    assert [str(path) for path in files if key in path.read_bytes()] == []
    assert key.decode() not in str(running_emulator.requests)
