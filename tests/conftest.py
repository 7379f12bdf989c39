"""An Airflow home of the run's own, made before anything imports Airflow."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import importlib.util
import os
import shutil
import sqlite3
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
def airflow_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated metadata database: whatever runs a DAG needs one. The first worker makes it, others copy it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    migrated = folder / "airflow.db"
    with (folder / "airflow.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if migrated.exists():
            _copy_database(migrated, HOME / "airflow.db")
        else:
            _migrate()
            _copy_database(HOME / "airflow.db", migrated)
    with contextlib.suppress(ImportError):  # Airflow 2 keeps its users there, and the tables of runs refer to them
        importlib.import_module("airflow.providers.fab.auth_manager.models")
    return HOME


def _migrate() -> None:
    command = [str(Path(sys.executable).with_name("airflow")), "db", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _copy_database(source: Path, target: Path) -> None:
    """SQLite's own copy, because this process may have the target open."""
    with contextlib.closing(sqlite3.connect(source)) as read, contextlib.closing(sqlite3.connect(target)) as written:
        read.backup(written)
