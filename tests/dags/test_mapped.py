from __future__ import annotations

from pathlib import Path

from airflow_provider_sora.emulator import Emulator, Fault
from tests.dags import mapped
from tests.dags.running import run_dag


def test_mapped_tasks_make_a_video_each_also_from_the_same_prompt(
    sora_emulator: Emulator, airflow_db: Path, tmp_path: Path
) -> None:
    sora_emulator.jobs.speed = 30
    # The second task's answer is lost: what it adopts must not be the first one's job, of the same prompt.
    sora_emulator.faults.add(Fault("create", "drop", accept=True, skip=1))
    assert run_dag(mapped.dag, folder=str(tmp_path)) == "success"
    assert sora_emulator.creates == 3
    assert {path.stem for path in tmp_path.iterdir()} == {job.id for job in sora_emulator.jobs.all()}
