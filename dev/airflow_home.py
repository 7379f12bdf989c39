"""An Airflow of our own below .build/, set up once and copied from then on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from airflow_provider_sora.emulator import Emulator

ROOT = Path(__file__).resolve().parent.parent


def environment(home: Path, emulator: Emulator) -> dict[str, str]:
    """The environment of Airflow commands: our examples, our emulator, nothing of the user's."""
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_SORA_DEFAULT": emulator.connection(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return {**inherited, **settings}


def prepare(home: Path, env: dict[str, str]) -> None:
    """A migrated metadata database in `home`, if there is none."""
    if (home / "airflow.db").exists():
        return
    home.mkdir(parents=True, exist_ok=True)
    migrated = subprocess.run(["airflow", "db", "migrate"], env=env, capture_output=True, text=True, check=False)
    if migrated.returncode:
        shutil.rmtree(home)
        raise SystemExit(f"airflow db migrate failed:\n{migrated.stdout}\n{migrated.stderr}")
