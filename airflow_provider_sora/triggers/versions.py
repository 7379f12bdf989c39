"""Rows of triggers that another version of this package has stored: while it is upgraded, or was rolled back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_sora import __version__

# In place of an argument that a row does not have: Airflow makes a trigger of whatever is there.
MISSING: Any = object()
# In an event, for the id of a row that does not say which job it is.
UNKNOWN_ID = "unknown"


def step_of(value: Any) -> int:
    """The step that a row names; the first where it names none, so that its event can be read."""
    return value if isinstance(value, int) else 0


def misfit(unknown: Iterable[str], missing: Iterable[str] = ()) -> str | None:
    """What is wrong with a row's arguments, and what to do; None where nothing is."""
    odd = [f"{name} is unknown" for name in sorted(unknown)] + [f"{name} is missing" for name in missing]
    if not odd:
        return None
    return (
        f"another version of airflow-provider-sora has stored this trigger than the triggerer has ({__version__}): "
        f"{', '.join(odd)}. Install one version in workers and triggerers"
    )
