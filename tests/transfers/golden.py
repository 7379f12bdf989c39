"""Object metadata as each version of this package has written it, and as none that is known has."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "golden" / "object_metadata"

READABLE = ["version_1", "version_1_without_version"]
UNREADABLE = {
    "newer_version_2": "its object metadata has version 2, and airflow-provider-sora",
    "newer_version_10_renamed": "its object metadata has version 10, and airflow-provider-sora",
    "damaged_version": "its object metadata is damaged: sora-metadata-version is 'one', which is not a version number",
    "damaged_digest": "its object metadata is damaged: sha256 is '5f3a1c0e9b7d2468ace013579bdf02468ace1357'",
}


def golden(name: str) -> dict[str, str]:
    """The metadata in one file."""
    metadata: dict[str, str] = json.loads((FOLDER / f"{name}.json").read_text())
    return metadata
