"""The example on a real Airflow: scheduler-less, in this process, with its triggers."""

from __future__ import annotations

import csv
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import pytest
from packaging.version import Version

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.emulator import Emulator
from example_dags import content_calendar
from tests.dags.running import run_dag
from tests.transfers.gcs_server import GCSServer
from tests.transfers.servers import gcs_client, keys

HEADER = ["date", "slug", "prompt", "seconds", "size"]


def write(path: Path, *rows: list[str], header: list[str] | None = None) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header or HEADER, *rows])
    return path


def run(calendar: Path, target: Path, day: str = "2026-11-22") -> tuple[str, Path]:
    """Run the DAG for a day; its state and the folder of that day."""
    state = run_dag(content_calendar.content_calendar(), day, calendar=str(calendar), target=target.as_uri(), day=day)
    return state, target / day


@pytest.fixture
def fast(sora_emulator: Emulator, airflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Jobs that are done when the trigger first looks."""
    sora_emulator.jobs.speed = 60  # its videos expire after an hour of its time: one minute of ours
    return sora_emulator


def test_each_row_of_the_day_becomes_a_video_with_thumbnail_and_index(fast: Emulator, tmp_path: Path) -> None:
    calendar = write(
        tmp_path / "c.csv",
        ["2026-11-22", "first", 'A "quoted" prompt,\nover two lines', "1", "64x64"],
        ["2026-11-23", "tomorrow", "not today", "1", "64x64"],
        ["2026-11-22", "second", "another one", "2", "96x64"],
    )
    state, folder = run(calendar, tmp_path / "out")
    assert state == "success"
    assert {path.name for path in folder.iterdir()} == {
        "first-video.mp4",
        "first-thumbnail.webp",
        "second-video.mp4",
        "second-thumbnail.webp",
        "index.json",
        "index.html",
    }
    index = json.loads((folder / "index.json").read_text())
    assert [entry["slug"] for entry in index["videos"]] == ["first", "second"]
    page = (folder / "index.html").read_text()
    for entry in index["videos"]:
        video = folder / entry["files"]["video"]
        assert video.stat().st_size == entry["bytes"]["video"]
        with av.open(str(video), "r") as container:
            stream = container.streams.video[0]
            assert f"{stream.width}x{stream.height}" == entry["size"]
            assert sum(1 for _ in container.decode(stream)) / 24 == float(entry["seconds"])
        assert f'<a href="{entry["files"]["video"]}"><img src="{entry["files"]["thumbnail"]}"' in page
    assert fast.creates == 2


# Google's provider 15.1 refreshes the token of every connection, and the stand-in's has none.
_GOOGLE_IS_OLD = Version(version("apache-airflow-providers-google")) < Version("16")


@pytest.mark.parametrize(
    "where", ["file", "s3", pytest.param("gs", marks=pytest.mark.skipif(_GOOGLE_IS_OLD, reason="no anonymous access"))]
)
def test_one_param_leads_to_each_store(fast: Emulator, tmp_path: Path, s3: Any, gcs: GCSServer, where: str) -> None:
    targets = {
        "file": (tmp_path / "out").as_uri(),
        "s3": "s3://aws_default@bucket/out",
        "gs": "gs://google_cloud_default@bucket/out",
    }
    calendar = write(tmp_path / "c.csv", ["2026-11-22", "only", "a cat", "1", "64x64"])
    dag = content_calendar.content_calendar()
    state = run_dag(dag, "2026-11-22", calendar=str(calendar), target=targets[where], day="2026-11-22")
    assert state == "success"
    found = {
        "file": lambda: [f"out/{path.relative_to(tmp_path / 'out')}" for path in (tmp_path / "out").rglob("*.*")],
        "s3": lambda: keys(s3),
        "gs": lambda: [blob.name for blob in gcs_client().list_blobs("bucket")],
    }[where]()
    names = ("only-video.mp4", "only-thumbnail.webp", "index.json", "index.html")
    assert set(found) == {f"out/2026-11-22/{name}" for name in names}


def test_a_day_with_one_row_works_like_any_other(fast: Emulator, tmp_path: Path) -> None:
    state, folder = run(write(tmp_path / "c.csv", ["2026-11-22", "only", "a cat", "1", "64x64"]), tmp_path / "out")
    assert state == "success"
    assert [entry["slug"] for entry in json.loads((folder / "index.json").read_text())["videos"]] == ["only"]


def test_a_day_without_rows_succeeds_and_says_so(
    fast: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    state, folder = run(write(tmp_path / "c.csv"), tmp_path / "out")
    assert state == "success"
    assert "No rows for 2026-11-22: nothing to make" in capsys.readouterr().out + caplog.text
    assert not folder.exists()
    assert fast.creates == 0


def test_a_bad_row_fails_alone_and_the_run_shows_it(fast: Emulator, tmp_path: Path) -> None:
    calendar = write(
        tmp_path / "c.csv",
        ["2026-11-22", "good", "a cat", "1", "64x64"],
        ["2026-11-22", "bad", "a cat", "soon", "64x64"],
    )
    state, folder = run(calendar, tmp_path / "out")
    assert state == "failed"
    assert [entry["slug"] for entry in json.loads((folder / "index.json").read_text())["videos"]] == ["good"]
    assert fast.creates == 1


def row(**changes: str) -> dict[str, Any]:
    good = {
        "file": "c.csv",
        "line": 7,
        "date": "2026-11-22",
        "slug": "a-1",
        "prompt": "x",
        "seconds": "4",
        "size": "64x64",
    }
    return {**good, **changes}


def test_a_good_row_passes() -> None:
    content_calendar.check(row())


@pytest.mark.parametrize(
    ("column", "value"),
    [("date", "22.11.2026"), ("slug", "../x"), ("slug", ""), ("prompt", "  "), ("seconds", "0"), ("size", "big")],
)
def test_a_bad_row_is_named_by_file_line_and_column(column: str, value: str) -> None:
    with pytest.raises(AirflowFailException, match=rf"^c\.csv, line 7, column {column}: "):
        content_calendar.check(row(**{column: value}))


def test_a_calendar_without_a_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", header=["date", "slug", "prompt"])
    with pytest.raises(AirflowFailException, match=r"c\.csv, line 1: no column seconds, size"):
        content_calendar.rows_of(str(path), "2026-11-22")


def test_a_row_whose_day_cannot_be_read_belongs_to_every_day(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", ["soon", "a", "x", "4", "64x64"])
    assert [found["line"] for found in content_calendar.rows_of(str(path), "2026-11-22")] == [2]


def test_the_calendar_that_ships_has_three_good_rows_for_its_day() -> None:
    path = Path(content_calendar.__file__).with_suffix(".csv")
    rows = content_calendar.rows_of(str(path), "2026-11-22")
    for found in rows:
        content_calendar.check(found)
    assert len(rows) == 3
