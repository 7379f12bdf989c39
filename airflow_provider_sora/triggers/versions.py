"""Rows of triggers that another version of this package has stored: while it is upgraded, or was rolled back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_sora import __version__
from airflow_provider_sora.masking import quoted

# Of the arguments that triggers store. 1: `since` was the name of `submitted_at`, and rows named no version.
ROW_VERSION = 2
# In place of an argument that a row does not have: Airflow makes a trigger of whatever is there.
MISSING: Any = object()


def step_of(value: Any) -> int:
    """The step that a row names; the first where it names none, so that its event can be read."""
    return value if isinstance(value, int) else 0


def misfit(version: Any, unknown: Iterable[str], missing: Iterable[str] = ()) -> str | None:
    """What is wrong with a row's arguments, and what to do; None where nothing is."""
    newer = not isinstance(version, int) or version > ROW_VERSION
    odd = [f"its version is {quoted(version)}, and {ROW_VERSION} is known"] if newer else []
    odd += [f"{name} is unknown" for name in sorted(unknown)] + [f"{name} is missing" for name in missing]
    if not odd:
        return None
    return (
        f"another version of airflow-provider-sora has stored this trigger than the triggerer has ({__version__}): "
        f"{', '.join(odd)}. Install one version in workers and triggerers"
    )
