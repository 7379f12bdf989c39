"""The arguments of triggers that another version of this package stored: during an upgrade, or after a rollback.

Airflow builds a trigger from whatever its row holds. An exception there would leave the task without a trigger, so a
row that cannot be used ends in an event, or an error, that says what to do. `tests/golden` has a row of each version.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_sora import __version__
from airflow_provider_sora.masking import quoted

# Version 1 had no version, and `since` in place of `submitted_at`.
VERSION = 2
_RENAMED = {"since": "submitted_at"}
# In place of an argument that a row does not have.
MISSING: Any = object()


def current_names(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a row by the names that they have in this version."""
    return {_RENAMED.get(name, name): value for name, value in arguments.items()}


def step_of(value: Any) -> int:
    """The step that a row names; the first where it names none, so that its event can be read."""
    return value if isinstance(value, int) else 0


def mismatch(version: Any, unknown: Iterable[str], missing: Iterable[str] = ()) -> str | None:
    """What is wrong with the arguments of a row, and what to do; None if they can be used."""
    wrong = [] if version in range(1, VERSION + 1) else [f"version is {quoted(version)} and not {VERSION} or lower"]
    wrong += [f"{name} is unknown" for name in sorted(unknown)] + [f"{name} is missing" for name in missing]
    if not wrong:
        return None
    return (
        f"another version of airflow-provider-sora stored this trigger than the triggerer has ({__version__}): "
        f"{', '.join(wrong)}. Install one version in workers and triggerers"
    )
