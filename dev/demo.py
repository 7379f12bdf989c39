"""``make demo``: runs the content calendar on a real Airflow against the emulator, and prints a table of its videos."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av

from airflow_provider_sora.emulator import Emulator
from dev.airflow_home import ROOT, environment, migrate

DAY = "2026-11-22"
OUTPUT = ROOT / ".build" / "demo"


def main() -> int:
    """Run the DAG; returns 0 if every video was stored."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    home = Path(os.environ["AIRFLOW_HOME"])
    with Emulator(speed=2) as emulator:
        env = environment(home, ROOT / "example_dags", AIRFLOW_CONN_SORA_DEFAULT=emulator.connection())
        print(f"Videos API emulator at {emulator.base_url}; Airflow's files are in {home}", flush=True)
        migrate(home, env)
        params = json.dumps({"target": OUTPUT.as_uri(), "day": DAY})
        print(f"airflow dags test content_calendar {DAY}, log in {OUTPUT / 'airflow.log'}", flush=True)
        OUTPUT.mkdir(parents=True)
        with (OUTPUT / "airflow.log").open("w") as log:
            run = subprocess.run(
                ["airflow", "dags", "test", "content_calendar", DAY, "--conf", params],
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        jobs = emulator.creates
    return report(run.returncode, jobs)


def report(code: int, jobs: int) -> int:
    """Print the table; returns 1 if the run has failed or a file is missing."""
    log = (OUTPUT / "airflow.log").read_text()
    index = OUTPUT / DAY / "index.json"
    if code or not index.exists():
        print(log[-4000:], f"\nThe run failed (exit code {code}).", sep="")
        return 1
    videos = json.loads(index.read_text())["videos"]
    table = [("slug", "video id", "bytes", "seconds", "file"), *(row(video) for video in videos)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    print()
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print(f"\n{jobs} paid jobs for {len(videos)} videos; contact sheet: {OUTPUT / DAY / 'index.html'}")
    return 0 if len(videos) >= 3 and jobs == len(videos) else 1


def row(video: dict[str, Any]) -> tuple[str, ...]:
    """One row of the table, with the duration by the file itself."""
    path = OUTPUT / DAY / video["files"]["video"]
    with av.open(str(path)) as container:
        seconds = float((container.duration or 0) / av.time_base)
    return video["slug"], video["video_id"], str(path.stat().st_size), f"{seconds:.1f}", str(path)


if __name__ == "__main__":
    sys.exit(main())
