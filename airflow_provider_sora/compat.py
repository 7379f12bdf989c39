"""Airflow's own names, from their places in the installed Airflow (2.11 to the newest 3.x).

`airflow.providers.common.compat.sdk` does the same from version 1.8 on, and has asynchronous connections from 1.9 and
1.21 on: the constraint files of Airflow 2.11.0 to 3.1.0 pin 1.6.0 to 1.7.4. Names are imported on first use, so that
importing this module costs nothing.
"""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow import __version__ as _airflow_version
from packaging.version import Version

from airflow_provider_sora.exceptions import SoraConfigError

__all__ = [
    "AIRFLOW_V_3_0_PLUS",
    "AIRFLOW_V_3_2_PLUS",
    "AIRFLOW_V_3_3_PLUS",
    "DAG",
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "Asset",
    "AssetAlias",
    "BaseEventTrigger",
    "BaseHook",
    "BaseOperator",
    "BaseSensorOperator",
    "Connection",
    "Context",
    "ObjectStoragePath",
    "Param",
    "PokeReturnValue",
    "RetryDecision",
    "RetryPolicy",
    "Stats",
    "TaskDeferred",
    "conf",
    "dag",
    "get_async_connection",
    "get_current_context",
    "has_fs",
    "task",
    "task_group",
]

if TYPE_CHECKING:
    from airflow.sdk import (
        DAG,
        Asset,
        AssetAlias,
        BaseHook,
        BaseOperator,
        BaseSensorOperator,
        Connection,
        Context,
        ObjectStoragePath,
        Param,
        PokeReturnValue,
        dag,
        get_current_context,
        task,
        task_group,
    )
    from airflow.sdk._shared.observability.metrics.stats import Stats
    from airflow.sdk.configuration import conf
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferred,
    )
    from airflow.sdk.io import has_fs
    from airflow.triggers.base import BaseEventTrigger

_VERSION = Version(_airflow_version).release
AIRFLOW_V_3_0_PLUS = _VERSION >= (3, 0)
AIRFLOW_V_3_2_PLUS = _VERSION >= (3, 2)
AIRFLOW_V_3_3_PLUS = _VERSION >= (3, 3)

_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")

# Newest first: an older place may work with a deprecation warning.
_PLACES: dict[str, tuple[str, ...]] = {
    "AirflowFailException": _EXCEPTIONS,
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "AirflowTaskTimeout": _EXCEPTIONS,
    "Asset": ("airflow.sdk", "airflow.datasets:Dataset"),
    "AssetAlias": ("airflow.sdk", "airflow.datasets:DatasetAlias"),
    "BaseEventTrigger": ("airflow.triggers.base", "airflow.triggers.base:BaseTrigger"),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
    "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
    "Connection": ("airflow.sdk", "airflow.models.connection"),
    "Context": ("airflow.sdk", "airflow.utils.context"),
    "DAG": ("airflow.sdk", "airflow.models.dag"),
    "ObjectStoragePath": ("airflow.sdk", "airflow.io.path"),
    "Param": ("airflow.sdk", "airflow.models.param"),
    "PokeReturnValue": ("airflow.sdk", "airflow.sensors.base"),
    "RetryDecision": ("airflow.sdk.definitions.retry_policy",),
    "RetryPolicy": ("airflow.sdk.definitions.retry_policy",),
    "Stats": ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats"),
    "TaskDeferred": _EXCEPTIONS,
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "dag": ("airflow.sdk", "airflow.decorators"),
    "get_current_context": ("airflow.sdk", "airflow.operators.python"),
    "has_fs": ("airflow.sdk.io", "airflow.io"),
    "task": ("airflow.sdk", "airflow.decorators"),
    "task_group": ("airflow.sdk", "airflow.decorators"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for place in _PLACES[name]:
        module, _, old_name = place.partition(":")
        try:
            found = getattr(import_module(module), old_name or name)
        except (ImportError, AttributeError):
            continue
        if name == "ObjectStoragePath":
            check_object_storage(found)
        globals()[name] = found
        return found
    raise ImportError(f"Airflow {_airflow_version} has no {name}: tried {', '.join(_PLACES[name])}")


def check_object_storage(path_type: Any) -> None:
    """Check that ObjectStoragePath works with the installed universal-pathlib.

    Airflow before 3.2 needs universal-pathlib 0.2; only 2.11.1 and 2.11.2 declare it.

    :raises SoraConfigError: it does not
    """
    try:
        path_type("file:///")
    except TypeError as error:
        raise SoraConfigError(
            f"Airflow {_airflow_version} does not work with universal-pathlib {version('universal-pathlib')}, on which "
            "its ObjectStoragePath is based: install 'universal-pathlib<0.3', or Airflow with its constraint file"
        ) from error


async def get_async_connection(hook: Any, conn_id: str) -> tuple[Connection, dict[str, Any]]:
    """A connection and its Extra, read without blocking the event loop; by common-compat if it offers both (1.21)."""
    try:
        from airflow.providers.common.compat import connection as theirs

        get_connection, get_extra = theirs.get_async_connection, theirs.get_async_extra_dejson
    except (ImportError, AttributeError):
        found = await connection_on_loop(hook, conn_id)
        return found, await extra_on_loop(found)
    found = await get_connection(conn_id, hook=hook)
    return found, await get_extra(found)


async def connection_on_loop(hook: Any, conn_id: str) -> Connection:
    """A connection, read in a thread unless Airflow has an asynchronous way.

    That of Airflow 3.2 to 3.3.1 masks the secrets by a blocking call, which fails during another call.
    """
    masks_blocking = AIRFLOW_V_3_2_PLUS and not hasattr(_connection_type(), "aextra_dejson")
    if hasattr(hook, "aget_connection") and not masks_blocking:
        return await hook.aget_connection(conn_id)  # type: ignore[no-any-return]
    return await asyncio.to_thread(hook.get_connection, conn_id)


async def extra_on_loop(connection: Any) -> dict[str, Any]:
    """A connection's Extra as a dict, read without blocking the loop.

    On Airflow 3.0 and 3.1 its secrets are not masked in logs: their channel to the supervisor, which masking uses,
    does not allow a second call from a thread.
    """
    if hasattr(connection, "aextra_dejson"):
        return await connection.aextra_dejson()  # type: ignore[no-any-return]
    if AIRFLOW_V_3_0_PLUS and not AIRFLOW_V_3_2_PLUS:
        return json.loads(connection.extra) if connection.extra else {}
    return await asyncio.to_thread(lambda: connection.extra_dejson)


def _connection_type() -> type[Any]:
    return __getattr__("Connection")  # type: ignore[no-any-return]
