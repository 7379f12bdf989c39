"""Checks of the arguments that several operators and sensors take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_sora.api.protocol import validation
from airflow_provider_sora.compat import conf
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

_MAX_SECONDS = 10 * 366 * 86_400.0  # a deadline has to fit into a date
_NEVER_FURTHER = frozenset({"fit", "reference_as", "storage_conn_id"})


def constant(value: Any) -> Any:
    """A value that is already known when the DAG is parsed; None if a template or another task provides it."""
    if isinstance(value, str):
        return None if "{{" in value or "{%" in value else value
    if isinstance(value, list | tuple):
        return value if all(constant(item) is not None for item in value) else None
    return value if isinstance(value, int | float | dict) else None


def or_default_deferrable(deferrable: bool | None) -> bool:
    """The argument `deferrable`, or Airflow's ``[operators] default_deferrable`` if it is None."""
    if deferrable is None:
        return bool(conf.getboolean("operators", "default_deferrable", fallback=False))
    return deferrable


def positive_seconds(name: str, value: float | timedelta) -> float:
    """A duration in seconds.

    :raises SoraConfigError: it is not above 0
    """
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = 0
    if not 0 < seconds <= _MAX_SECONDS:
        raise SoraConfigError(f"{name} is {quoted(value)}; it has to be more than 0 seconds and at most ten years")
    return seconds


def further_fields(parameters: Any, *named: str) -> dict[str, Any]:
    """The rendered `parameters`: fields of the request that the operator has no argument for.

    :param named: the fields that the operator does have an argument for
    :raises SoraConfigError: `parameters` is not a dict, or has one of the named fields
    """
    fields = parameters or {}
    if not isinstance(fields, dict):
        raise SoraConfigError(f"parameters is {quoted(parameters)}; it has to be a dict of fields by their names")
    validation.check_parameters(fields)
    clash = sorted(set(fields) & {*named, *_NEVER_FURTHER})
    if clash:
        raise SoraConfigError(f"parameters has {', '.join(clash)}: pass it as an argument of the operator")
    return fields
