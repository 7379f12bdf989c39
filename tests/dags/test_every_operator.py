"""Every operator in a DAG, blocking and deferrable, on a real Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora.emulator import Emulator
from tests.dags import every_operator
from tests.dags.running import run_dag
from tests.transfers.gcs_server import GCSServer
from tests.transfers.servers import gcs_client, keys


@pytest.mark.parametrize(
    "dag", [every_operator.deferrable_dag, every_operator.blocking_dag], ids=["deferrable", "blocking"]
)
def test_every_operator_works_in_a_dag(
    sora_emulator: Emulator, airflow_db: Path, tmp_path: Path, s3: Any, gcs: GCSServer, dag: Any
) -> None:
    sora_emulator.jobs.speed = 30
    assert run_dag(dag, prompt="a cat", folder=str(tmp_path)) == "success"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"clip.mp4", "film-video.mp4", "film-thumbnail.webp", "film-spritesheet.jpg"}
    assert keys(s3) == ["film.mp4"]
    assert [blob.name for blob in gcs_client().list_blobs("bucket")] == ["film.mp4"]
    assert sora_emulator.creates == 6
    assert [job.kind for job in sora_emulator.jobs.all()] == ["create", "extend", "extend", "edit"]
