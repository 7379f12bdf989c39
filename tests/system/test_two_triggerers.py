"""High availability: a triggerer that stands still loses its triggers to another one, and wakes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from airflow_provider_sora.emulator import Emulator
from dev.deployment import Deployment, until
from dev.deployment_airflow2 import Airflow2Deployment
from tests.system.conftest import DIALECTS, IS_AIRFLOW_2, conn_id

pytestmark = pytest.mark.system

PROMPT = "a stalled wait"


def asked(server: Emulator, route: str) -> int:
    return sum(1 for entry in server.requests if entry["route"] == route)


def server_was_polled(server: Emulator, ids: list[str]) -> bool:
    return bool(ids) and any(str(entry["path"]).endswith(f"/{ids[0]}") for entry in server.requests)


@pytest.mark.skipif(IS_AIRFLOW_2, reason="Airflow 2 does not tell a trigger that a user has acted")
@pytest.mark.parametrize("action", ["mark failed", "clear"])
def test_a_users_action_still_deletes_the_job(airflow: Deployment, dialects: dict[str, Emulator], action: str) -> None:
    """Before any triggerer stalled: for a minute after that, one deletes nothing."""
    server = dialects["vllm-omni"]

    def running() -> list[str]:
        return [job.id for job in server.jobs.all() if job.prompt == action]

    run = airflow.trigger("waiting", conn_id=conn_id("vllm-omni"), prompt=action)
    until(lambda: server_was_polled(server, running()), "a triggerer waits")
    [first] = running()
    if action == "clear":
        airflow.clear_task("waiting", run, "create")
    else:
        airflow.fail_task("waiting", run, "create")
    until(lambda: first not in running(), "the triggerer deletes the job", 60)
    if action == "clear":
        until(running, "the next try makes a new video")
        server.clock.advance(60)
        until(lambda: airflow.run_state("waiting", run) == "success", "the run ends")
    else:
        assert airflow.run_state("waiting", run) == "failed"


@pytest.fixture(scope="module")
def two_triggerers(request: pytest.FixtureRequest) -> Iterator[Deployment | Airflow2Deployment]:
    """An Airflow of the tested version, whose second triggerer is started by `outcomes`."""
    deployment = request.getfixturevalue("airflow2" if IS_AIRFLOW_2 else "airflow")
    yield deployment
    deployment.kill("second-triggerer")
    deployment.kill("triggerer")
    deployment.start("triggerer")  # one that never stalled


@dataclass
class Outcome:
    """What came of one run."""

    state: str
    jobs: int
    creates: int
    deletes: int


@pytest.fixture(scope="module")
def outcomes(two_triggerers: Deployment | Airflow2Deployment, dialects: dict[str, Emulator]) -> dict[str, Outcome]:
    """A run on each server, whose triggerer stands still until another one has its trigger, and wakes."""
    airflow = two_triggerers
    creates = {name: server.creates for name, server in dialects.items()}
    deletes = {name: asked(server, "delete") for name, server in dialects.items()}
    waiting = {name: asked(server, "retrieve") for name, server in dialects.items()}
    runs = {name: airflow.trigger("waiting", conn_id=conn_id(name), prompt=PROMPT) for name in dialects}
    until(
        lambda: all(asked(dialects[name], "retrieve") > waiting[name] + 1 for name in runs),
        "the triggerer waits for all",
    )
    known = airflow.triggerers()  # those that other tests have killed included: they have not ended
    first = known[-1]
    waits = set(airflow.triggers())
    airflow.start("second-triggerer")
    until(lambda: len(airflow.triggerers()) > len(known), "the second triggerer is there")
    second = airflow.triggerers()[-1]

    airflow.pause("triggerer")
    until(lambda: {airflow.triggers()[wait] for wait in waits} == {second}, "the second triggerer has all triggers")
    before = {name: asked(server, "retrieve") for name, server in dialects.items()}
    until(
        lambda: all(asked(dialects[name], "retrieve") > before[name] + 1 for name in before), "this one waits for all"
    )
    airflow.resume("triggerer")
    woken = time.time()
    until(lambda: has_cancelled(airflow, first, len(runs), woken), "the first triggerer has cancelled its triggers")

    for server in dialects.values():
        server.clock.advance(60)
    ended = ("success", "failed")
    until(lambda: all(airflow.run_state("waiting", run) in ended for run in runs.values()), "all runs end")
    return {
        name: Outcome(
            airflow.run_state("waiting", runs[name]),
            jobs=sum(job.prompt == PROMPT for job in server.jobs.all()),
            creates=server.creates - creates[name],
            deletes=asked(server, "delete") - deletes[name],
        )
        for name, server in dialects.items()
    }


def has_cancelled(airflow: Deployment | Airflow2Deployment, triggerer: int, count: int, woken: float) -> bool:
    """Whether a triggerer has let go of as many triggers; Airflow 2 does not say so, and does it in its next rounds."""
    if IS_AIRFLOW_2:
        return airflow.heartbeat(triggerer) > woken + 5
    logs = [path.read_text() for path in airflow.home.rglob(f"*.trigger.{triggerer}.log")]
    return sum("trigger completed" in text for text in logs) >= count


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_triggerer_that_wakes_leaves_the_job_to_the_one_that_took_over(
    outcomes: dict[str, Outcome], dialect: str
) -> None:
    assert outcomes[dialect] == Outcome("success", jobs=1, creates=1, deletes=0)
