"""Checks of arguments while a DAG is parsed, and again when their templates are rendered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_sora.api.protocol import validation
from airflow_provider_sora.compat import conf
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

_MAX_SECONDS = 10 * 366 * 86_400.0  # a deadline has to fit into a date


def constant(value: Any) -> Any:
    """A value that is known while the DAG is parsed; None for one that a template or another task gives."""
    if isinstance(value, str):
        return None if "{{" in value or "{%" in value else value
    if isinstance(value, list | tuple):
        return value if all(constant(item) is not None for item in value) else None
    return value if isinstance(value, int | float | dict) else None


def positive_seconds(name: str, value: float | timedelta) -> float:
    """A length of time in seconds.

    :raises SoraConfigError: it is not above 0
    """
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = 0
    if not 0 < seconds <= _MAX_SECONDS:
        raise SoraConfigError(f"{name} is {quoted(value)}; it has to be more than 0 seconds and at most ten years")
    return seconds


def or_default_deferrable(deferrable: bool | None) -> bool:
    """Whether to defer: as given, or by Airflow's ``[operators] default_deferrable``."""
    if deferrable is None:
        return bool(conf.getboolean("operators", "default_deferrable", fallback=False))
    return deferrable


def further_fields(parameters: Any, *named: str) -> dict[str, Any]:
    """The rendered `parameters`.

    :param named: fields that are arguments of the operator
    :raises SoraConfigError: they are no dict, or have a field that is an argument of the operator
    """
    fields = parameters or {}
    if not isinstance(fields, dict):
        raise SoraConfigError(f"parameters is {quoted(parameters)}; it has to be a dict of fields by their names")
    validation.check_parameters(fields)
    clash = sorted(set(fields) & {*named, "fit", "reference_as", "storage_conn_id"})
    if clash:
        raise SoraConfigError(f"parameters has {', '.join(clash)}: pass it as an argument of the operator")
    return fields
