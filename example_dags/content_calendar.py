"""Scheduled content: make the day's videos from a calendar file and put them, with an index, into your storage.

The calendar is a CSV with the columns date, slug, prompt, seconds, size. Each row of the run's day becomes a video (and
a thumbnail, where the server makes one) under ``<target>/<day>/``, waiting in the triggerer meanwhile; ``index.json``
and ``index.html`` list them.
A row that cannot be used fails alone: the others are made, and the run ends as failed once their index is written.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_sora.compat import (
    AirflowFailException,
    ObjectStoragePath,
    Param,
    dag,
    get_current_context,
    task,
    task_group,
)
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator

COLUMNS = ("date", "slug", "prompt", "seconds", "size")
CHECKS = {
    "slug": (r"[a-z0-9][a-z0-9-]{0,79}", "lower-case letters, digits and dashes"),
    "prompt": (r"(?s).*\S.*", "some text"),
    "seconds": (r"[1-9]\d{0,2}", "a whole number of seconds"),
    "size": (r"[1-9]\d{1,3}x[1-9]\d{1,3}", "<width>x<height> in pixels"),
}


def rows_of(path: str, day: str) -> list[dict[str, Any]]:
    """The calendar's rows for `day`, each with its file and line; rows without a readable date belong to every day."""
    reader = csv.DictReader(io.StringIO(ObjectStoragePath(path).read_text(), newline=""))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise AirflowFailException(f"{path}, line 1: no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    rows: list[dict[str, Any]] = [
        {"file": path, "line": reader.line_num, **{column: row[column] or "" for column in COLUMNS}} for row in reader
    ]
    return [row for row in rows if row["date"] == day or not is_day(row["date"])]


def is_day(text: str) -> bool:
    """Whether a text is a date like 2026-11-22."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def check(row: dict[str, Any]) -> None:
    """Fail for a row that cannot be used, naming file, line and column."""
    where = f"{row['file']}, line {row['line']}"
    if not is_day(row["date"]):
        raise AirflowFailException(f"{where}, column date: {row['date']!r} is no date like 2026-11-22")
    for column, (pattern, wanted) in CHECKS.items():
        if not re.fullmatch(pattern, row[column]):
            raise AirflowFailException(f"{where}, column {column}: {row[column]!r} is not {wanted}")


def preview(files: dict[str, str]) -> str:
    """A video's thumbnail with a link to it, or the video itself where the server has made no thumbnail."""
    if "thumbnail" not in files:
        return f'<video src="{files["video"]}" controls preload="metadata" width="320"></video>'
    return f'<a href="{files["video"]}"><img src="{files["thumbnail"]}" alt="" width="320"></a>'


def contact_sheet(day: str, entries: list[dict[str, Any]]) -> str:
    """A small page with the thumbnails, each leading to its video; links are relative to the page."""
    figures = "\n".join(
        f"<figure>{preview(entry['files'])}"
        f"<figcaption>{html.escape(entry['slug'])}, {html.escape(str(entry['seconds']))} s</figcaption></figure>"
        for entry in entries
    )
    style = "body{font-family:sans-serif}figure{display:inline-block;margin:8px}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Videos of {day}</title>'
        f"<style>{style}</style><h1>Videos of {day}</h1>\n{figures}\n</html>\n"
    )


@dag(
    schedule="@daily",
    start_date=datetime(2026, 11, 1),  # noqa: DTZ001 - Airflow adds its time zone
    catchup=False,
    params={
        "calendar": Param(str(Path(__file__).with_suffix(".csv")), type="string", description="Path of the calendar"),
        "target": Param(
            "file:///tmp/videos",
            type="string",
            description="Where to: file:///mnt/videos, s3://aws_default@bucket/videos, gs://google_cloud_default@bucket/videos",
        ),
        "day": Param(None, type=["null", "string"], format="date", description="Default: the run's day"),
    },
    default_args={"retries": 1, "retry_delay": timedelta(minutes=1)},
    tags=["sora", "example"],
    doc_md=__doc__,
)
def content_calendar() -> None:
    """Read the calendar, make each row's video, write the index."""

    @task
    def read_calendar() -> list[dict[str, Any]]:
        context = get_current_context()
        params, run = context["params"], context["dag_run"]
        day = params["day"] or str((run.logical_date or run.run_after).date())
        rows = rows_of(params["calendar"], day)
        folder = f"{params['target'].rstrip('/')}/{day}"
        print(f"{len(rows)} rows for {day} in {params['calendar']}" if rows else f"No rows for {day}: nothing to make")
        return [{**row, "day": day, "folder": folder} for row in rows]

    @task(multiple_outputs=True)
    def check_row(row: dict[str, Any]) -> dict[str, Any]:
        check(row)
        return {**row, "path": f"{row['folder']}/{row['slug']}-{{variant}}.{{extension}}"}

    @task
    def describe(row: dict[str, Any], video: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "slug": row["slug"],
            "video_id": video["id"],
            "seconds": video["seconds"],
            "size": video["size"],
            "bytes": {file["variant"]: file["size_bytes"] for file in files},
            "files": {file["variant"]: file["uri"].rpartition("/")[2] for file in files},
        }

    @task_group
    def make(row: dict[str, Any]) -> Any:
        checked = check_row(row)
        create = SoraCreateVideoOperator(
            task_id="create",
            prompt=checked["prompt"],
            seconds=checked["seconds"],
            size=checked["size"],
            deferrable=True,
            poll_interval=5,
        )
        move = SoraToObjectStorageOperator(
            task_id="move",
            video=create.output,
            variants=("video", "thumbnail"),
            optional_variants=("thumbnail",),  # most self-hosted servers make none
            path=checked["path"],
        )
        return describe(row, create.output, move.output)

    @task(trigger_rule="all_done")
    def write_index(rows: list[dict[str, Any]] | None, entries: Any) -> str | None:
        if rows is None:
            raise AirflowFailException("the calendar was not read: see the task read_calendar")
        if not rows:
            print("No rows for the day: no index to write")
            return None
        # Where only one of the mapped tasks has a result, Airflow hands over that one instead of a list.
        made = [entries] if isinstance(entries, dict) else [dict(entry) for entry in entries or ()]
        folder = ObjectStoragePath(rows[0]["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.json").write_text(json.dumps({"day": rows[0]["day"], "videos": made}, indent=2) + "\n")
        (folder / "index.html").write_text(contact_sheet(rows[0]["day"], made))
        if len(made) < len(rows):
            missing = sorted({row["slug"] for row in rows} - {entry["slug"] for entry in made})
            raise AirflowFailException(f"{len(made)} of {len(rows)} rows were made, not: {', '.join(missing)}")
        return f"{folder}/index.json"

    rows = read_calendar()
    write_index(rows, make.expand(row=rows))


content_calendar()
