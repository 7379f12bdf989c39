"""One process that moves videos one after the other: ``python -m benchmarks.worker ours report.json video:key …``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.process import cpu_seconds, peak, reset_peak, resident
from benchmarks.ways import WAYS, Move


def main(way: str, report: str, *moves: str) -> None:
    """Move all, then write down what each cost, and how much memory the process had after the first, a tiny one."""
    move = WAYS[way]()
    done = [_measured(move, *moves[0].split(":", 1))]
    idle = resident()
    done += [_measured(move, *item.split(":", 1)) for item in moves[1:]]
    Path(report).write_text(json.dumps({"idle": idle, "moves": done}))


def _measured(move: Move, video: str, key: str) -> dict[str, float]:
    reset_peak()
    cpu, begun = cpu_seconds(), time.perf_counter()
    move(video, key)
    return {"seconds": time.perf_counter() - begun, "cpu": cpu_seconds() - cpu, "peak": peak(), "after": resident()}


if __name__ == "__main__":
    main(*sys.argv[1:])
