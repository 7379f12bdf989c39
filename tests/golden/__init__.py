"""What each version of this package stores in Airflow's database, as it was written. A file here is never changed.

`<what>-<version>.json`: events, the rows of triggers, and what a sensor remembers from one poke to the next.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def golden(what: str, version: int) -> Any:
    """A value as a version wrote it."""
    return json.loads((FOLDER / f"{what}-{version}.json").read_text())


def versions(what: str) -> list[int]:
    """The versions of which there is an example."""
    return sorted(int(path.stem.rpartition("-")[2]) for path in FOLDER.glob(f"{what}-*.json"))
