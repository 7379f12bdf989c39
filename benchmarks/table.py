"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.markdown import markdown
from benchmarks.measuring import BASE, READER, Samples, Videos

_NAMES = {
    READER: "`curl` to `/dev/null` (reads only)",
    BASE: "`curl \\| aws s3 cp -`",
    "boto3": "`requests` into boto3 `upload_fileobj`",
    "http_to_s3": "`HttpToS3Operator`",
    "ours": "`SoraToS3Operator`",
    "ours_bare": "the same, without Airflow",
}


def table(samples: Samples, videos: Videos, columns: Sequence[str]) -> str:
    """One row for each way, one column for each measurement: medians of all rounds."""
    small, large = _size(videos.small), _size(videos.large)
    titles = {
        "whole": f"{small}, whole process",
        "warm": f"{small}, warm",
        "large": f"{large}, warm",
        "cpu": "CPU s per GiB",
        "peak": f"memory, {small}",
        "peak_large": f"memory, {large}",
        "line": "share of 40 MiB/s",
    }
    ways = [way for way in _NAMES if any(name == way for name, _ in samples)]
    rows = [[_NAMES[way], *(_cell(samples, way, column) for column in columns)] for way in ways]
    return markdown(["moved by", *(titles[column] for column in columns)], rows)


def absolute(samples: Samples) -> str:
    """The throughput that 1.00 stands for in this run."""
    rates = [
        f"{median(samples[BASE, column]) / 2**20:.0f}" for column in ("whole", "large") if (BASE, column) in samples
    ]
    return f"1.00 is {' and '.join(rates)} MiB/s here; medians of {len(samples[BASE, 'whole'])}."


def _cell(samples: Samples, way: str, column: str) -> str:
    values = samples.get((way, column), [])
    if not values or (way == READER and column.startswith("peak")):
        return "-"
    if column in ("whole", "warm", "large"):
        values = [value / base for value, base in zip(values, samples[BASE, column], strict=True)]
    return _FORMATS[column](median(values))


def _times(value: float) -> str:
    return f"{value:.2f}x"


def _mebibytes(value: float) -> str:
    return f"{value / 2**20:.0f} MiB"


_FORMATS: dict[str, Callable[[float], str]] = {
    "whole": _times,
    "warm": _times,
    "large": _times,
    "cpu": "{:.2f}".format,
    "peak": _mebibytes,
    "peak_large": _mebibytes,
    "line": "{:.0%}".format,
}


def _size(video: str) -> str:
    number, unit = video.removeprefix("video_")[:-1], video[-1].upper()
    return f"{number} {unit}iB"
