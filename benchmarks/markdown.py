"""Tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed; they come in order."""
    return ordered[int(share * (len(ordered) - 1))]
