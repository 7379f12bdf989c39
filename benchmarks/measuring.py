"""Measures each way of moving a video: throughput, CPU time, memory, and the used share of a limited bandwidth."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import commands
from benchmarks.bucket import Bucket
from benchmarks.commands import Cost
from benchmarks.settings import environment
from benchmarks.video_server import size_of
from benchmarks.ways import WAYS

READER = "reader"
BASE = "pipeline"
TINY = "video_1m"
# HttpToS3Operator keeps the whole video in memory, more than once.
SMALL_ONLY = frozenset({"http_to_s3"})

Samples = dict[tuple[str, str], list[float]]  # by way and column, one value for each round


@dataclass(frozen=True)
class Videos:
    """The ids of the two videos."""

    small: str
    large: str


@dataclass
class Bench:
    """A video server and a store, and the samples that were measured between them.

    :param rate: the bandwidth of both in bytes per second; 0: no limit
    """

    videos_url: str
    store_url: str
    videos: Videos
    aws: str
    rate: float = 0
    samples: Samples = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.env = environment(self.videos_url, self.store_url)
        self._bucket = Bucket(self.store_url)
        self._keys = (f"{number}.mp4" for number in itertools.count())

    def warm_up(self, way: str) -> None:
        """Run a way once, so that no round includes compiling files or reading them for the first time."""
        if way in WAYS:
            self._work(way, [TINY])
        elif way == BASE:
            self._pipe(TINY)
            self.samples[BASE, "idle"].append(commands.idle_memory(self.env, self.aws))

    def throughput(self, way: str, *, large: bool) -> None:
        """One round without a limit."""
        if way in WAYS:
            self._throughput_of_ways(way, large=large and way not in SMALL_ONLY)
        else:
            self._throughput_of_commands(way, large=large)

    def share(self, way: str) -> None:
        """One round with limited bandwidth: the share of it that was used."""
        if way == READER:
            return
        small = self.videos.small
        cost = self._work(way, [TINY, small])[1][1] if way in WAYS else self._pipe(small)
        self._add(way, "line", cost.rate / self.rate)

    def _throughput_of_commands(self, way: str, *, large: bool) -> None:
        """Commands have no warm measurement: each video is a new process."""
        small = self._command(way, self.videos.small)
        self._add(way, "whole", small.rate)
        self._add(way, "warm", small.rate)
        self._add_costs(way, small, self._command(way, self.videos.large) if large else None)

    def _throughput_of_ways(self, way: str, *, large: bool) -> None:
        small = self.videos.small
        self._add(way, "whole", self._work(way, [small])[0].rate)
        costs = self._work(way, [TINY, small, small, *([self.videos.large] if large else [])])[1]
        self._add(way, "warm", costs[2].rate)
        self._add_costs(way, costs[2], costs[3] if large else None)

    def _add_costs(self, way: str, small: Cost, large: Cost | None) -> None:
        self._add(way, "peak", small.peak)
        self._add(way, "cpu", (large or small).cpu_per_gib)
        if large is not None:
            self._add(way, "large", large.rate)
            self._add(way, "peak_large", large.peak)

    def _command(self, way: str, video: str) -> Cost:
        return commands.reader(self.env, video) if way == READER else self._pipe(video)

    def _pipe(self, video: str) -> Cost:
        key = next(self._keys)
        cost = commands.pipeline(self.env, self.aws, video, key)
        self._check([(video, key)])
        idle = self.samples.get((BASE, "idle"), [0])[0]
        return Cost(cost.size, cost.seconds, cost.cpu, cost.peak - idle)

    def _work(self, way: str, videos: Sequence[str]) -> tuple[Cost, list[Cost]]:
        moves = [(video, next(self._keys)) for video in videos]
        costs = commands.worker(self.env, way, moves)
        self._check(moves)
        return costs

    def _check(self, moves: Sequence[tuple[str, str]]) -> None:
        for video, key in moves:
            self._bucket.check_and_remove(key, size_of(video) or 0)

    def _add(self, way: str, column: str, value: float) -> None:
        self.samples[way, column].append(value)
