"""What waiting has cost, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from benchmarks.markdown import markdown, quantile
from benchmarks.scenario import Scenario

Report = Mapping[str, Any]

_NAMES = {
    "ours": "`SoraVideoTrigger`",
    "httpx": "each polls, one `httpx.AsyncClient`",
    "openai": "each polls, one `AsyncOpenAI`",
    "blocking": "blocking client in `run()`",
}
_TITLES = (
    "way",
    "requests (list + single)",
    "connections",
    "CPU s",
    "peak MiB",
    "extra KiB per wait",
    "loop lag p50 / p99 / max ms",
    "noticed after, mean / p95 s",
    "errors",
)


def wait_table(scenario: Scenario, reports: Mapping[str, Report | str]) -> str:
    """One line for each way; a text stands for a way that was not measured, and says why."""
    rows = [_row(scenario, _NAMES[way], report) for way, report in reports.items()]
    return f"{scenario}:\n\n{markdown(_TITLES, rows)}\n{_note(reports)}"


def _row(scenario: Scenario, name: str, report: Report | str) -> list[str]:
    if isinstance(report, str):
        return [name, report, *["-"] * (len(_TITLES) - 2)]
    counts, lag = report["requests"], report["lag"]
    lists, singles = counts.get("list", 0), counts.get("single", 0)
    return [
        name,
        f"{lists + singles} ({lists} + {singles})",
        str(counts.get("connection", 0)),
        f"{report['cpu']:.1f}",
        f"{report['peak'] / 2**20:.0f}",
        f"{report['extra'] / 2**10 / scenario.count:.1f}",
        f"{lag['p50']:.1f} / {lag['p99']:.1f} / {lag['max']:.0f}",
        _delays(report["delays"]),
        _errors(scenario, report),
    ]


def _delays(delays: list[float]) -> str:
    return f"{fmean(delays):.2f} / {quantile(delays, 0.95):.2f}" if delays else "-"


def _errors(scenario: Scenario, report: Report) -> str:
    errors = str(sum(report["errors"].values()))
    if not report["unfinished"]:
        return errors
    return f"{errors}; {report['unfinished']} jobs not noticed in {scenario.cap:g} s"


def _note(reports: Mapping[str, Report | str]) -> str:
    """What the measurement itself took, which is in the figures above."""
    measured = [report for report in reports.values() if not isinstance(report, str)]
    if not measured:
        return ""
    probe = max(report["lag"]["cpu"] for report in measured)
    busy = max(report["server_cpu"] / report["seconds"] for report in measured)
    return f"\nUp to {probe:.1f} CPU s of these are the probe's; the server was at most {busy:.0%} busy."
