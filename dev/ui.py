"""``make ui``: serves Airflow's UI on loopback with the examples and the emulator, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from airflow_provider_sora.emulator import Emulator
from dev.airflow_home import ROOT
from dev.deployment import Deployment


def main() -> None:
    """Serve until interrupted."""
    output = ROOT / ".build" / "ui-output"
    home = Path(f"{os.environ['AIRFLOW_HOME']}-ui")
    with Emulator() as emulator:
        settings = {
            "AIRFLOW_CONN_SORA_DEFAULT": emulator.connection(),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        }
        print(f"Starting Airflow; its files are in {home}", flush=True)
        with Deployment(home, ROOT / "example_dags", **settings) as airflow:
            print(f"Airflow's UI:  {airflow.url}  (no password: every user is an admin)")
            print(f"Videos API:    {emulator.base_url}  (API key {emulator.api_key})")
            print(f"Trigger content_calendar with target = {output.as_uri()}; Ctrl-C ends everything.", flush=True)
            ended = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: ended.set())
            ended.wait()


if __name__ == "__main__":
    main()
