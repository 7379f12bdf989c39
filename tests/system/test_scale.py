"""Many deferred tasks in one triggerer, which is killed. How many: SORA_SCALE, by default 100."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator

import pytest

from airflow_provider_sora.emulator import Clock, Emulator
from dev.deployment import Deployment, until
from tests.system.conftest import DAGS, IS_AIRFLOW_2

pytestmark = [pytest.mark.system, pytest.mark.skipif(IS_AIRFLOW_2, reason="Airflow 3 alone")]

COUNT = int(os.environ.get("SORA_SCALE", "100"))
WITHIN = 120 + 1.5 * COUNT  # seconds; Airflow itself starts about three tasks a second on two cores


@pytest.fixture
def many() -> Iterator[Emulator]:
    """A server of its own, whose time stands still."""
    with Emulator(clock=Clock(running=False)) as server:
        yield server


@pytest.fixture
def deployment(many: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    home = tmp_path_factory.mktemp("scale")
    settings = {
        "AIRFLOW_CONN_SORA_MANY": many.connection(),
        "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "64",
        "AIRFLOW__CORE__PARALLELISM": "8",
    }
    with Deployment(home, DAGS, **settings) as deployment:
        yield deployment


def requests(emulator: Emulator, route: str) -> int:
    return sum(1 for entry in emulator.requests if entry["route"] == route)


def test_every_deferred_task_survives_the_triggerers_sigkill_and_pays_once(
    deployment: Deployment, many: Emulator
) -> None:
    run = deployment.trigger("many_videos", count=COUNT)

    def states() -> Counter[str]:
        return deployment.task_states("many_videos", run)

    until(lambda: states()["deferred"] == COUNT, f"{COUNT} tasks are deferred", WITHIN)
    deployment.kill("triggerer")
    looked = requests(many, "list")
    deployment.start("triggerer")
    until(lambda: requests(many, "list") > looked, "the new triggerer looks at the list")

    many.clock.advance(60)
    until(lambda: deployment.run_state("many_videos", run) in ("success", "failed"), "the run ends", WITHIN)
    assert deployment.run_state("many_videos", run) == "success"
    assert states()["success"] == COUNT + 1
    assert many.creates == COUNT
    made = {job.id for job in many.jobs.all()}
    manifests = deployment.results("many_videos", run, "create", COUNT)
    assert {manifest["id"] for manifest in manifests} == made
    assert requests(many, "retrieve") < COUNT, json.dumps(Counter(entry["route"] for entry in many.requests))
