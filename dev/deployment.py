"""A complete Airflow 3 on loopback: API server, scheduler, DAG processor and triggerer, each in a process group."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from dev.airflow_home import environment, migrate

COMPONENTS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
}
#: a second one for high availability; it is not started by default
SECOND_TRIGGERER = {"second-triggerer": ["airflow", "triggerer", "--skip-serve-logs"]}
#: a triggerer without a heartbeat loses its triggers to another one after 5 seconds; by default after 30
SMALL_TRIGGERER_LIMITS = {
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
}
_HEALTH = {"metadatabase", "scheduler", "triggerer", "dag_processor"}


def free_port() -> int:
    """A free port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """Poll until `condition` returns a true value; returns that value.

    :param what: what is waited for, for the error
    :raises TimeoutError: it did not within `seconds`
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.25)
    raise TimeoutError(f"timed out after {seconds:g} s: {what}")


class Processes:
    """Starts and stops Airflow's processes, each in its own process group.

    :param home: AIRFLOW_HOME; holds the database and the logs
    :param env: the environment of all processes
    :param commands: the command of each component, by its name
    """

    def __init__(self, home: Path, env: dict[str, str], commands: dict[str, list[str]]) -> None:
        self.home = home
        self.env = env
        self._commands = commands | SECOND_TRIGGERER
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start one component; its output goes to ``<home>/<name>.out``."""
        with (self.home / f"{name}.out").open("ab") as out:
            self._processes[name] = subprocess.Popen(
                self._commands[name], env=self.env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """SIGKILL a component and all its children."""
        _signal(self._processes[name], signal.SIGKILL)
        self._processes.pop(name).wait()

    def pause(self, name: str) -> None:
        """SIGSTOP a component and all its children, as on a frozen machine."""
        _signal(self._processes[name], signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT a component that was paused, and all its children."""
        _signal(self._processes[name], signal.SIGCONT)

    def triggerers(self) -> list[int]:
        """The ids of all triggerers that have not ended, oldest first, including those that are paused."""
        statement = "SELECT id FROM job WHERE job_type = 'TriggererJob' AND end_date IS NULL ORDER BY id"
        return [found[0] for found in self.query(statement)]

    def heartbeat(self, triggerer: int) -> float:
        """The time of a triggerer's last heartbeat, in unix seconds."""
        [[moment]] = self.query("SELECT latest_heartbeat FROM job WHERE id = ?", str(triggerer))
        return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()

    def triggers(self) -> dict[int, int | None]:
        """Which triggerer each trigger is assigned to."""
        return dict(self.query("SELECT id, triggerer_id FROM trigger"))

    def query(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        """Read the metadata database."""
        with sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=30) as database:
            return database.execute(statement, values).fetchall()

    def stop(self) -> None:
        """Stop all components."""
        for process in self._processes.values():
            _signal(process, signal.SIGCONT)  # a paused process receives SIGTERM only then
            _signal(process, signal.SIGTERM)
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            _signal(process, signal.SIGKILL)  # children that still run
            process.wait()
        self._processes.clear()

    def check(self) -> None:
        """Check that all components are running.

        :raises RuntimeError: one has ended by itself
        """
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        if ended:
            raise RuntimeError(f"{', '.join(ended)} ended by itself: see {self.home}/{ended[0]}.out")


class Deployment(Processes):
    """A complete Airflow 3; a context manager.

    :param home: AIRFLOW_HOME; holds the database and the logs
    :param dags: the DAG folder
    :param settings: further environment variables of all processes
    """

    def __init__(self, home: Path, dags: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._http = httpx.Client(base_url=self.url, timeout=30)
        super().__init__(home, environment(home, dags, **(self._settings() | settings)), COMPONENTS)

    def _settings(self) -> dict[str, str]:
        return {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        } | SMALL_TRIGGERER_LIMITS

    def __enter__(self) -> Deployment:
        migrate(self.home, self.env)
        for name in COMPONENTS:
            self.start(name)
        try:
            until(self.is_healthy, f"all of Airflow healthy; its logs are in {self.home}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run of a DAG once it is parsed; returns the id of the run."""
        until(lambda: self.is_known(dag_id), f"DAG {dag_id} is known")
        body = {"logical_date": None, "conf": conf}
        response = self._http.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body, headers=self._headers())
        return str(response.raise_for_status().json()["dag_run_id"])

    def is_known(self, dag_id: str) -> bool:
        """Whether a DAG is parsed."""
        return self._get(f"/dags/{dag_id}").status_code == 200

    def runs(self, dag_id: str) -> list[str]:
        """The states of a DAG's runs."""
        found = self._get(f"/dags/{dag_id}/dagRuns").raise_for_status().json()
        return [str(run["state"]) for run in found["dag_runs"]]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run."""
        return str(self._get(f"/dags/{dag_id}/dagRuns/{run_id}").raise_for_status().json()["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        found = self._get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances").raise_for_status().json()
        instances: list[dict[str, Any]] = found["task_instances"]
        return instances

    def task_states(self, dag_id: str, run_id: str) -> Counter[str]:
        """The number of task instances of a run in each state."""
        path, counts = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", Counter[str]()
        total = 1
        while counts.total() < total:
            page = self._get(f"{path}?limit=100&offset={counts.total()}").raise_for_status().json()
            counts.update(str(task["state"]) for task in page["task_instances"])
            total = page["total_entries"]
        return counts

    def results(self, dag_id: str, run_id: str, task_id: str, count: int) -> list[Any]:
        """The return values of the mapped instances of a task."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        responses = (self._get(f"{path}?map_index={index}&deserialize=true") for index in range(count))
        return [response.raise_for_status().json()["value"] for response in responses]

    def fail_task(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Mark a task as failed, as a user does in the UI."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self._http.patch(path, json={"new_state": "failed"}, headers=self._headers()).raise_for_status()

    def clear_task(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task and what follows it, as a user does in the UI."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "only_failed": False,
            "include_downstream": True,
            "reset_dag_runs": True,
        }
        self._http.post(
            f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body, headers=self._headers()
        ).raise_for_status()

    def _get(self, path: str) -> httpx.Response:
        return self._http.get(f"/api/v2{path}", headers=self._headers())

    def _headers(self) -> dict[str, str]:
        if "Authorization" not in self._http.headers:
            token = self._http.get("/auth/token").raise_for_status().json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
        return {}

    def is_healthy(self) -> bool:
        """Whether every component reports that it is healthy.

        :raises RuntimeError: one has ended by itself
        """
        self.check()
        try:
            health = self._http.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        return all((health.get(part) or {}).get("status") == "healthy" for part in _HEALTH)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
