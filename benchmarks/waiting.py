"""``make benchmark-waiting``: one process waits for many video jobs, this provider's way and others.

Server and waiting process are on one machine, each way in a process of its own. None of them logs what it does.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.certificate import make_certificate
from benchmarks.scenario import Scenario
from benchmarks.servers import running
from benchmarks.settings import ROOT, base, waiting_environment
from benchmarks.wait_table import Report, wait_table
from benchmarks.wait_ways import WAIT_WAYS, Place, connection

_WORK = ROOT / ".build" / "tmp" / "benchmark-waiting"
_LOG = _WORK / "log.txt"
_REPORT = _WORK / "report.json"
_SIZES = (100, 1000, 5000, 10000)
_GRACE_SECONDS = 300.0  # for a way whose loop is blocked when it is to be stopped
# Above these many jobs a way drowns: its table would hold nothing but the time limit.
_LARGEST = {"httpx": 1000, "openai": 1000, "blocking": 1000}


def main() -> None:
    """Measure and print a table for each number of jobs."""
    given = _arguments()
    shutil.rmtree(_WORK, ignore_errors=True)
    _WORK.mkdir(parents=True)
    trusted, served = make_certificate(_WORK)
    found: dict[str, Mapping[str, Report | str]] = {}
    shortest, longest = given.durations
    for size in given.sizes:
        scenario = Scenario(size, shortest, longest, given.interval, given.latency, given.progress)
        reports = {way: _report(way, scenario, trusted, served, every=given.all) for way in given.ways}
        found[str(scenario)] = reports
        print(wait_table(scenario, reports), "", sep="\n", flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", help=f"numbers of jobs; {' '.join(map(str, _SIZES))}")
    parser.add_argument("--ways", nargs="+", choices=WAIT_WAYS, default=list(WAIT_WAYS))
    parser.add_argument("--all", action="store_true", help="measure every way with any number of jobs")
    parser.add_argument("--durations", type=float, nargs=2, help="of the shortest and the longest job; 30 120")
    parser.add_argument("--interval", type=float, help="seconds between two looks; 10")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds from a request to its answer")
    parser.add_argument("--no-progress", dest="progress", action="store_false", help="the server hides it")
    parser.add_argument("--quick", action="store_true", help="50 jobs of 2 to 6 s: whether all of it works")
    parser.add_argument("--json", type=Path, help="write all that was measured there")
    given = parser.parse_args()
    usual = ([50], [2.0, 6.0], 0.5) if given.quick else (_SIZES, [30.0, 120.0], 10.0)
    for name, value in zip(("sizes", "durations", "interval"), usual, strict=True):
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def _report(way: str, scenario: Scenario, trusted: Path, served: Path, *, every: bool) -> Report | str:
    """What one way has cost, with a server of its own."""
    if not every and scenario.count > _LARGEST.get(way, scenario.count):
        return f"not measured above {_LARGEST[way]} jobs"
    sys.stderr.write(f"{scenario.count} jobs: {way}\n")
    with running(["benchmarks.job_server", scenario.to_json(), str(served)], base(_WORK)) as port:
        place = Place(f"https://127.0.0.1:{port}", str(trusted), scenario.interval)
        worker = [way, str(_REPORT), scenario.to_json(), place.url, place.trusted]
        try:
            _run(["benchmarks.wait_worker", *worker], place, scenario.cap + _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return f"ended after {scenario.cap + _GRACE_SECONDS:.0f} s without a figure"
    report: Report = json.loads(_REPORT.read_text())
    return report


def _run(module: list[str], place: Place, seconds: float) -> None:
    env = waiting_environment(_WORK, connection(place))
    command = [sys.executable, "-m", *module]
    with (
        _LOG.open("a") as log,
        subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=log, stderr=log) as process,
    ):
        try:
            process.wait(seconds)
        finally:
            process.kill()  # nothing, where it has ended
    if process.returncode:
        raise SystemExit(f"{module[1]} failed ({process.returncode}); its output is in {_LOG}")


if __name__ == "__main__":
    main()
