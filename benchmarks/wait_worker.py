"""One process that waits for all jobs: ``python -m benchmarks.wait_worker ours report.json SCENARIO URL ca.pem``."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import sys
import time
from array import array
from collections.abc import AsyncIterator, MutableSequence
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.loopback_server import end_with_parent
from benchmarks.process import cpu_seconds, peak, reset_peak, resident
from benchmarks.scenario import WARM_UP, WARM_UP_AGE, Scenario
from benchmarks.wait_ways import WAIT_WAYS, Build, Place, Wait

_TICK = 0.01
_CALIBRATION_SECONDS = 1.0


class Lag:
    """How late the event loop wakes a task that sleeps 10 ms, over and over.

    :param seconds: how long it may take: its memory is claimed before anything is measured
    """

    def __init__(self, seconds: float) -> None:
        self._seen = array("d", bytes(8 * int(seconds / _TICK)))
        self._count = 0
        self._due = 0.0
        self.cpu_each = 0.0

    async def calibrate(self) -> None:
        """Find out what the probe itself costs, in a loop that does nothing else."""
        cpu = cpu_seconds()
        async with self.watching():
            await asyncio.sleep(_CALIBRATION_SECONDS)
        self.cpu_each = (cpu_seconds() - cpu) / max(1, self._count)
        self._count = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Record for as long as the context lasts."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            if time.perf_counter() > self._due:  # it should have been woken long ago
                self._record()

    async def _watch(self) -> None:
        while True:
            self._due = time.perf_counter() + _TICK
            await asyncio.sleep(_TICK)
            self._record()

    def _record(self) -> None:
        if self._count < len(self._seen):
            self._seen[self._count] = time.perf_counter() - self._due
            self._count += 1

    def report(self) -> dict[str, float]:
        """In milliseconds, and what the probe took of the processor."""
        seen = sorted(self._seen[: self._count]) or [0.0]
        shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        late = {name: 1000 * seen[int(share * (len(seen) - 1))] for name, share in shares.items()}
        return {**late, "cpu": self.cpu_each * self._count}


def main(way: str, report: str, scenario: str, url: str, trusted: str) -> None:
    """Wait for all, then write down what it cost."""
    import_module("airflow.triggers.base")  # a triggerer has it, whatever it waits for
    jobs = Scenario.of_json(scenario)
    measured = asyncio.run(_measured(way, jobs, Place(url, trusted, jobs.interval)))
    Path(report).write_text(json.dumps(measured))


async def _measured(way: str, jobs: Scenario, place: Place) -> dict[str, Any]:
    lag = Lag(jobs.cap)
    ended = array("d", bytes(8 * jobs.count))
    async with WAIT_WAYS[way](place) as build:
        await _warm_up(build)
        await lag.calibrate()
        place.errors.clear()
        start = time.time()
        _ask(place, f"/begin?start={start}")
        gc.collect()
        before = resident()
        waits = [build(video, start, start + 2 * jobs.cap) for video in jobs.ids]
        built = resident()
        reset_peak()
        cpu, begun = cpu_seconds(), time.perf_counter()
        async with lag.watching():
            await _all(waits, jobs.cap, ended)
        cpu, most = cpu_seconds() - cpu, peak()
        seconds = time.perf_counter() - begun
    server = _ask(place, "/stats")
    return {
        "requests": server["counts"],
        "server_cpu": server["cpu"],
        "cpu": cpu,
        "seconds": seconds,
        "peak": most,
        "objects": built - before,
        "extra": most - built,
        "lag": lag.report(),
        "delays": sorted(seen - end for seen, end in zip(ended, server["ends"], strict=True) if seen),
        "unfinished": sum(not seen for seen in ended),
        "errors": dict(place.errors),
    }


async def _warm_up(build: Build) -> None:
    """Wait once, so that no job pays for modules and certificates that are read for the first time."""
    now = time.time()
    await asyncio.wait_for(build(WARM_UP, now - WARM_UP_AGE, now + 60)(), 60)


async def _all(waits: list[Wait], cap: float, ended: MutableSequence[float]) -> None:
    """Run all waits at once, each a task of its own, and note when each had its video.

    Those that take longer than `cap` seconds are stopped.
    """

    async def run(number: int, wait: Wait) -> None:
        if await wait():
            ended[number] = time.time()

    tasks = [asyncio.create_task(run(number, wait)) for number, wait in enumerate(waits)]
    _, late = await asyncio.wait(tasks, timeout=cap)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ask(place: Place, path: str) -> Any:
    """What the server itself knows. This blocks; nothing is measured while it does."""
    address = place.url.removeprefix("https://")
    connection = http.client.HTTPSConnection(address, timeout=60, context=place.context())
    connection.request("GET", path)
    answer = json.load(connection.getresponse())
    connection.close()
    return answer


if __name__ == "__main__":
    end_with_parent()
    main(*sys.argv[1:])
