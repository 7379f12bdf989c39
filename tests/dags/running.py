"""Runs a DAG in this process, with its triggers, on Airflow 2 and 3 alike."""

from __future__ import annotations

import inspect
from datetime import datetime
from typing import Any

import pytest


def run_dag(dag: Any, logical_day: str = "2026-11-22", /, **conf: Any) -> str:
    """Run a DAG for a day, without retries; the state it ends in."""
    if not hasattr(dag, "test"):
        pytest.skip("the DAG of Airflow 3.0.0 has no `test`")
    for task in dag.tasks:
        task.retries = 0
    # The option that names the day is called otherwise in Airflow 2.
    name = next(n for n in inspect.signature(dag.test).parameters if n in ("logical_date", "execution_date"))
    arguments: dict[str, Any] = {name: datetime.fromisoformat(f"{logical_day}T00:00:00+00:00"), "run_conf": conf}
    return str(dag.test(**arguments).state).rpartition(".")[2].lower()
