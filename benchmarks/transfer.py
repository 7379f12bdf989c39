"""``make benchmark-transfer``: moves a video from a Videos API to S3 with this provider and with others.

All servers are on loopback, where the network costs nothing: the comparison is of the work of the client.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import BASE, READER, Bench, Videos
from benchmarks.servers import started
from benchmarks.settings import WORK, base
from benchmarks.table import absolute, table
from benchmarks.ways import WAYS

_RATE = 40 << 20
_ALL = ("whole", "warm", "large", "cpu", "peak", "peak_large", "line")


def main() -> None:
    """Measure and print the tables."""
    given = _arguments()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    videos = Videos("video_16m", "video_64m") if given.quick else Videos("video_256m", "video_2g")
    ways = [READER, BASE, *given.ways]
    with _bench(given.aws, videos, "sink") as bench, _bench(given.aws, videos, "sink", _RATE) as limited:
        _rounds(bench, ways, given.repeat, lambda way: bench.throughput(way, large=True))
        _rounds(limited, ways, given.repeat, limited.share)
    samples = {**bench.samples, **limited.samples}
    print(table(samples, videos, _ALL), "", absolute(samples), sep="\n", flush=True)
    if given.moto:
        with _bench(given.aws, videos, "moto") as moto:
            _rounds(moto, ways[1:], given.repeat, lambda way: moto.throughput(way, large=False))
        print("\nWith moto as the store:\n", table(moto.samples, videos, ("whole", "warm", "cpu")), "", sep="\n")
        print(absolute(moto.samples))
        samples |= {(way, f"moto_{column}"): values for (way, column), values in moto.samples.items()}
    if given.json:
        named = {f"{way} {column}": values for (way, column), values in samples.items()}
        given.json.write_text(json.dumps(named, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="the number of rounds; the results are medians")
    parser.add_argument("--quick", action="store_true", help="use small videos, to check that everything works")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS), help="the ways to measure")
    parser.add_argument("--no-moto", dest="moto", action="store_false", help="skip the second store")
    parser.add_argument("--json", type=Path, help="a file for all samples")
    parser.add_argument(
        "--aws", default=os.environ.get("AWS_CLI") or shutil.which("aws"), help="path of the aws command"
    )
    given = parser.parse_args()
    if given.aws is None:
        parser.error("the aws command was not found: install awscli, or use `make benchmark-transfer`")
    return given


@contextmanager
def _bench(aws: str, videos: Videos, kind: str, rate: float = 0) -> Iterator[Bench]:
    with started("video", base(), rate) as source, started(kind, base(), rate) as sink:
        yield Bench(f"http://127.0.0.1:{source}", f"http://127.0.0.1:{sink}", videos, aws, rate)


def _rounds(bench: Bench, ways: list[str], repeat: int, measure: Callable[[str], None]) -> None:
    """Each round measures all ways, in alternating order, so that a busy minute does not affect only one."""
    for way in ways:
        bench.warm_up(way)
    for number in range(repeat):
        for way in ways[:: -1 if number % 2 else 1]:
            sys.stderr.write(f"round {number + 1} of {repeat}: {way}\n")
            measure(way)


if __name__ == "__main__":
    main()
