"""``python -m airflow_provider_sora.emulator``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_provider_sora.emulator.dialects import DIALECTS
from airflow_provider_sora.emulator.jobs import Timing
from airflow_provider_sora.emulator.server import DEFAULT_API_KEY, Emulator


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sora.emulator",
        description="A Videos API server that makes small real MP4s. Nothing is kept when it ends.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    add("--port", type=int, default=8787, help="the port to listen on; 0 for a free one (default: %(default)s)")
    add("--api-key", default=DEFAULT_API_KEY, help="the key for requests; '' for none (default: %(default)s)")
    add("--dialect", default="openai", choices=DIALECTS, help="the server to imitate (default: %(default)s)")
    for name, meaning in (
        ("queued", "how long a job is queued"),
        ("render", "how long a job is in progress"),
        ("retention", "how long the content of a finished job is kept"),
    ):
        default = getattr(Timing, f"{name}_seconds")
        text = f"{meaning} (default: %(default)g)"
        add(f"--{name}-seconds", type=float, default=default, metavar="S", help=text)
    add("--speed", type=float, default=1.0, help="divides all durations (default: %(default)g)")
    return parser.parse_args(arguments)


def main() -> None:
    """Serve until Ctrl-C."""
    options = parse()
    emulator = Emulator(
        api_key=options.api_key or None,
        timing=Timing(options.queued_seconds, options.render_seconds, options.retention_seconds),
        speed=options.speed,
        host=options.host,
        port=options.port,
        dialect=options.dialect,
    )
    print(f"Videos API at {emulator.base_url}", flush=True)
    print(f"export AIRFLOW_CONN_SORA_DEFAULT='{emulator.connection()}'", flush=True)
    emulator.serve()


if __name__ == "__main__":
    main()
