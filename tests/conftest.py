"""An Airflow home of the run's own, made before anything imports Airflow."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))
DAGS = [
    *(ROOT / "example_dags").glob("*.py"),
    *(ROOT / "tests" / "dags" / name for name in ("every_operator.py", "mapped.py")),
]
(HOME / "dags").mkdir()
for file in DAGS:
    (HOME / "dags" / file.name).symlink_to(file)
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(HOME / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__TEST_CONNECTION="Enabled",
    AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
    GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT="false",  # asks for the kind of each bucket, in a protocol that no emulator has
)


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(HOME, ignore_errors=True)


# The official client has these calls only since the autumn of 2025, so it is not among the lowest versions.
collect_ignore = [] if importlib.util.find_spec("openai") else ["emulator/test_emulator.py", "interop"]

pytest_plugins = ["tests.transfers.servers", "tests.transfers.destinations"]


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """A migrated metadata database: whatever runs a DAG needs one."""
    command = [str(Path(sys.executable).with_name("airflow")), "db", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with contextlib.suppress(ImportError):  # Airflow 2 keeps its users there, and the tables of runs refer to them
        importlib.import_module("airflow.providers.fab.auth_manager.models")
    return HOME
