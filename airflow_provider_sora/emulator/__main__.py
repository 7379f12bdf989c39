"""``python -m airflow_provider_sora.emulator``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_provider_sora.emulator.dialects import DIALECTS
from airflow_provider_sora.emulator.jobs import Timing
from airflow_provider_sora.emulator.server import DEFAULT_API_KEY, Emulator


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sora.emulator",
        description="A Videos API server that makes small real MP4s. It keeps nothing when it ends.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8787, help="0 for a free one (default: %(default)s)")
    parser.add_argument("--api-key", default=DEFAULT_API_KEY, help="'' to ask for none (default: %(default)s)")
    parser.add_argument("--dialect", default="openai", choices=DIALECTS, help="the server to behave like")
    parser.add_argument("--queued-seconds", type=float, default=Timing.queued_seconds, metavar="S")
    parser.add_argument("--render-seconds", type=float, default=Timing.render_seconds, metavar="S")
    parser.add_argument("--retention-seconds", type=float, default=Timing.retention_seconds, metavar="S")
    parser.add_argument("--speed", type=float, default=1.0, help="divides all durations (default: %(default)s)")
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
