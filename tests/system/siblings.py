"""Five mapped tasks with one prompt, each to be killed once."""

from __future__ import annotations

from pathlib import Path


def siblings_to_die(folder: Path) -> Path:
    """A folder for the DAG `dying_siblings`; the folder."""
    for index in range(5):
        (folder / str(index)).mkdir()
        (folder / str(index) / "point").write_text("after the POST, before the id is stored")
    return folder
