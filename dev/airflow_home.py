"""A separate Airflow home below .build/: its settings, and a metadata database that is created once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def environment(home: Path, dags: Path, **settings: str) -> dict[str, str]:
    """The environment of Airflow commands, without any setting of the user's own Airflow."""
    defaults = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return inherited | defaults | settings


def migrate(home: Path, env: dict[str, str]) -> None:
    """Create a metadata database, if `home` has none."""
    if (home / "airflow.db").exists():
        return
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["airflow", "db", "migrate"], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(home)
        raise SystemExit(f"airflow db migrate failed:\n{done.stdout}\n{done.stderr}")
