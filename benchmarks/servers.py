"""The servers of a run, each in its own process: ``python -m benchmarks.servers video|sink|moto [--rate BYTES]``."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.loopback_server import Bandwidth, announce, end_with_parent, serve
from benchmarks.s3_sink import S3Sink
from benchmarks.settings import ROOT
from benchmarks.video_server import VideoServer


@contextmanager
def started(kind: str, env: Mapping[str, str], rate: float = 0) -> Iterator[int]:
    """Run a server as long as the context; yields its port."""
    with running(["benchmarks.servers", kind, "--rate", str(rate)], env) as port:
        yield port


@contextmanager
def running(module: Sequence[str], env: Mapping[str, str]) -> Iterator[int]:
    """Run a module with its arguments, which is a server, as long as the context; yields its port."""
    command = [sys.executable, "-m", *module]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def main() -> None:
    """Serve until stdin is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("video", "sink", "moto"))
    parser.add_argument("--rate", type=float, default=0, help="bandwidth in bytes per second; 0: no limit")
    given = parser.parse_args()
    if given.kind == "moto":
        _serve_moto()
    server = VideoServer() if given.kind == "video" else S3Sink()
    serve(server.handle, Bandwidth(given.rate))


def _serve_moto() -> None:
    """Moto keeps and checks all bytes, as a real store does, but is slower."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    end_with_parent()
    announce(server.get_host_and_port()[1])
    threading.Event().wait()


if __name__ == "__main__":
    main()
