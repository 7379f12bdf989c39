"""Runs processes and measures what they cost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from benchmarks.settings import ROOT, WORK
from benchmarks.video_server import size_of
from benchmarks.ways import BUCKET, TOKEN

_LOG = WORK / "log.txt"
_REPORT = WORK / "report.json"
GIB = 1 << 30


@dataclass(frozen=True)
class Cost:
    """The cost of moving `size` bytes.

    :param peak: bytes of memory in addition to those before the move
    """

    size: int
    seconds: float
    cpu: float
    peak: float = 0

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.size / self.seconds

    @property
    def cpu_per_gib(self) -> float:
        """Seconds of CPU time per GiB."""
        return self.cpu * GIB / self.size


def reader(env: Mapping[str, str], video: str) -> Cost:
    """``curl`` to the null device: an upper bound for reading."""
    begun = time.perf_counter()
    usage = _ended(_begin([*_curl(env, video), "-o", os.devnull], env))
    return Cost(_size(video), time.perf_counter() - begun, _cpu(usage))


def pipeline(env: Mapping[str, str], aws: str, video: str, key: str) -> Cost:
    """``curl | aws s3 cp -``; the memory is that of aws, that of curl is small."""
    target = ["-", f"s3://{BUCKET}/{key}", "--endpoint-url", env["BENCHMARK_STORE"], "--only-show-errors"]
    expected = ["--expected-size", str(_size(video))] if _size(video) >= GIB else []
    begun = time.perf_counter()
    source = _begin(_curl(env, video), env, stdout=subprocess.PIPE)
    sink = _begin([aws, "s3", "cp", *target, *expected], env, stdin=source.stdout)
    if source.stdout is not None:
        source.stdout.close()  # the other process has it now
    usages = [_ended(source), _ended(sink)]
    return Cost(_size(video), time.perf_counter() - begun, sum(map(_cpu, usages)), usages[1].ru_maxrss * 1024)


def idle_memory(env: Mapping[str, str], aws: str) -> int:
    """The memory of ``aws`` once it is imported."""
    return int(_ended(_begin([aws, "--version"], env)).ru_maxrss) * 1024


def worker(env: Mapping[str, str], way: str, moves: Sequence[tuple[str, str]]) -> tuple[Cost, list[Cost]]:
    """The cost of a process that moves videos to keys, and that of each move."""
    items = [f"{video}:{key}" for video, key in moves]
    begun = time.perf_counter()
    usage = _ended(_begin([sys.executable, "-m", "benchmarks.worker", way, str(_REPORT), *items], env))
    seconds = time.perf_counter() - begun
    report: dict[str, Any] = json.loads(_REPORT.read_text())
    costs = [
        Cost(_size(video), done["seconds"], done["cpu"], done["peak"] - report["idle"])
        for (video, _), done in zip(moves, report["moves"], strict=True)
    ]
    return Cost(sum(cost.size for cost in costs), seconds, _cpu(usage)), costs


def _curl(env: Mapping[str, str], video: str) -> list[str]:
    url = f"{env['BENCHMARK_VIDEOS']}/v1/videos/{video}/content"
    return ["curl", "-sS", "--fail", "-H", f"Authorization: Bearer {TOKEN}", url]


def _begin(
    command: Sequence[str], env: Mapping[str, str], stdin: IO[bytes] | int | None = None, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    with _LOG.open("a") as log:
        return subprocess.Popen(
            command,
            env=env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=log if stdout is None else stdout,
            stderr=log,
        )


def _ended(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{process.args!r} failed ({process.returncode}); its output is in {_LOG}")
    return usage


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _size(video: str) -> int:
    return size_of(video) or 0
