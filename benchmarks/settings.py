"""The environment of the measured processes, without any of the user's own settings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from benchmarks.ways import TOKEN

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".build" / "tmp" / "benchmark"
_KEY = "x" * 8

# PYTHON…: without compiled files every process starts slower. The proxies are not for loopback.
_OMITTED = ("AIRFLOW_", "AWS_", "PYTHON", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy")


def base(work: Path = WORK) -> dict[str, str]:
    """The environment of every process; `work` is its folder for files."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OMITTED)}
    return inherited | {"NO_PROXY": "127.0.0.1", "TMPDIR": str(work)}


def environment(videos: str, store: str) -> dict[str, str]:
    """The environment of a process that moves videos between two servers, given by their URLs."""
    aws = {"endpoint_url": store, "region_name": "us-east-1"}
    host, _, port = videos.removeprefix("http://").partition(":")
    connections: dict[str, Mapping[str, object]] = {
        "SORA": {"conn_type": "sora", "host": f"{videos}/v1", "password": TOKEN},
        "AWS": {"conn_type": "aws", "login": _KEY, "password": _KEY, "extra": aws},
        "HTTP": {"conn_type": "http", "host": host, "port": int(port), "schema": "http"},
    }
    return (
        base()
        | _airflow(WORK)
        | _aws()
        | {f"AIRFLOW_CONN_{name}_DEFAULT": json.dumps(value) for name, value in connections.items()}
        | {
            "BENCHMARK_VIDEOS": videos,
            "BENCHMARK_STORE": store,
        }
    )


def waiting_environment(work: Path, connection: str) -> dict[str, str]:
    """The environment of a process that waits for jobs on the server of a connection."""
    # httpx logs each request, which is not part of waiting.
    quiet = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
    return base(work) | _airflow(work) | quiet | {"AIRFLOW_CONN_SORA_DEFAULT": connection}


def _airflow(work: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(work / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _aws() -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
