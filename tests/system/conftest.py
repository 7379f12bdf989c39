"""A whole Airflow on loopback, shared by the system tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_provider_sora.emulator import Clock, Emulator
from dev.deployment import Deployment
from dev.deployment_airflow2 import Airflow2Deployment
from tests.contract.test_dialects import PROVIDER, SERVERS

DAGS = Path(__file__).parent / "dags"
DIALECTS = ("vllm-omni", "sglang", "litellm", "aquiles")
IS_AIRFLOW_2 = version("apache-airflow").startswith("2.")


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """A server whose time stands still until a test moves it, so that no job ends before it is to."""
    with Emulator(clock=Clock(running=False)) as server:
        yield server


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    """A server whose time passes as ours does, with short jobs."""
    with Emulator(speed=3) as server:
        yield server


@pytest.fixture(scope="session")
def dialects() -> Iterator[dict[str, Emulator]]:
    """The servers that are in use, each as it is, whose time stands still until a test moves it."""
    with ExitStack() as servers:
        yield {name: servers.enter_context(Emulator(dialect=name, clock=Clock(running=False))) for name in DIALECTS}


def conn_id(dialect: str) -> str:
    """The connection of a server in `dialects`."""
    return f"sora_{dialect.replace('-', '_')}"


def connections_of(dialects: dict[str, Emulator]) -> dict[str, str]:
    """The variables that tell Airflow of them."""
    return {
        f"AIRFLOW_CONN_{conn_id(name).upper()}": json.dumps(
            json.loads(server.connection()) | {"extra": {} if SERVERS[name].lists_without_provider else PROVIDER}
        )
        for name, server in dialects.items()
    }


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory,
    emulator: Emulator,
    running_emulator: Emulator,
    dialects: dict[str, Emulator],
) -> Iterator[Deployment]:
    """API server, scheduler, DAG processor and triggerer."""
    if IS_AIRFLOW_2:
        pytest.skip("Airflow 3 alone")
    home = tmp_path_factory.mktemp("deployment")
    connections = {
        "AIRFLOW_CONN_SORA_DEFAULT": emulator.connection(),
        "AIRFLOW_CONN_SORA_RUNNING": running_emulator.connection(),
        **connections_of(dialects),
    }
    with Deployment(home, DAGS, **connections) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def airflow2(
    tmp_path_factory: pytest.TempPathFactory, running_emulator: Emulator, dialects: dict[str, Emulator]
) -> Iterator[Airflow2Deployment]:
    """Airflow 2's scheduler and triggerer."""
    if not IS_AIRFLOW_2:
        pytest.skip("Airflow 2 alone")
    home = tmp_path_factory.mktemp("deployment")
    connections = {"AIRFLOW_CONN_SORA_RUNNING": running_emulator.connection(), **connections_of(dialects)}
    with Airflow2Deployment(home, DAGS, **connections) as deployment:
        yield deployment
