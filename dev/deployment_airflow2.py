"""Airflow 2 on loopback: a scheduler, which runs one task at a time on SQLite, and a triggerer."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

from dev.airflow_home import environment, migrate
from dev.deployment import SMALL_TRIGGERER_LIMITS, Processes, free_port, until

COMPONENTS = {
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
}


class Airflow2Deployment(Processes):
    """Starts and stops the processes; a context manager. Runs are started and observed without a web server."""

    def __init__(self, home: Path, dags: Path, **settings: str) -> None:
        defaults = {
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        } | SMALL_TRIGGERER_LIMITS
        super().__init__(home, environment(home, dags, **(defaults | settings)), COMPONENTS)

    def __enter__(self) -> Airflow2Deployment:
        migrate(self.home, self.env)
        for name in COMPONENTS:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run of a DAG once it is parsed; returns the id of the run."""
        until(lambda: self.query("SELECT 1 FROM dag WHERE dag_id = ?", dag_id), f"DAG {dag_id} is known")
        run_id = f"test__{uuid.uuid4().hex}"
        command = ["airflow", "dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(conf)]
        subprocess.run(command, env=self.env, check=True, capture_output=True)
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run."""
        self.check()
        found = self.query("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", dag_id, run_id)
        return str(found[0][0])
