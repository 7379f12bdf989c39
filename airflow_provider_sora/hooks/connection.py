"""Parses the fields of an Airflow connection into a `SoraConfig`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, TypeVar

from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.compat import Connection, conf
from airflow_provider_sora.exceptions import (
    SoraAuthError,
    SoraConfigError,
    SoraConnectionError,
    SoraError,
    SoraNotFoundError,
    SoraResponseError,
    SoraUnsupportedError,
)
from airflow_provider_sora.get_provider_info import CONN_FIELDS
from airflow_provider_sora.masking import quoted

DefaultT = TypeVar("DefaultT", float, None)

_SHORT_SECONDS = 5.0


def read_config(connection: Connection, extra: dict[str, Any]) -> SoraConfig:
    """The configuration in an Airflow connection.

    :param extra: the connection's Extra, as JSON
    :raises SoraConfigError: a field is invalid; names the field, its value and what is allowed
    """
    unknown = sorted(set(extra) - set(CONN_FIELDS))
    if unknown:
        known = ", ".join(CONN_FIELDS)
        raise SoraConfigError(f"connection {connection.conn_id!r}: Extra has {', '.join(unknown)}; it may have {known}")
    try:
        return SoraConfig(
            base_url=_host(connection),
            api_key=connection.password or None,
            auth=_auth(connection, extra),
            headers=_string_map(extra, "headers"),
            query=_string_map(extra, "query"),
            timeout_seconds=_number(extra, "timeout", 60.0),
            connect_timeout_seconds=_number(extra, "connect_timeout", 10.0),
            total_timeout_seconds=_number(extra, "total_timeout", 300.0),
            low_speed_limit=_number(extra, "low_speed_limit", 1024.0),
            low_speed_seconds=_number(extra, "low_speed_time", 60.0),
            verify=_verify(extra.get("verify")),
            encoding=extra.get("encoding") or "auto",
            requests_per_minute=_number(extra, "requests_per_minute", None),
            allow_private_urls=_flag(extra, "allow_private_urls"),
            allowed_paths=_allowed_paths(extra.get("allowed_paths")),
        )
    except SoraConfigError as error:
        raise SoraConfigError(f"connection {connection.conn_id!r}: {error}") from None


def with_short_timeouts(config: SoraConfig) -> SoraConfig:
    """The same server with short time limits: a task that is killed has little time left."""
    return replace(
        config,
        timeout_seconds=min(config.timeout_seconds, _SHORT_SECONDS),
        connect_timeout_seconds=min(config.connect_timeout_seconds, _SHORT_SECONDS),
        total_timeout_seconds=min(config.total_timeout_seconds, _SHORT_SECONDS),
    )


def _auth(connection: Connection, extra: dict[str, Any]) -> Any:
    scheme = extra.get("auth") or "bearer"
    if scheme == "none" and (connection.password or "").strip():
        raise SoraConfigError(
            "auth in Extra is none, but Password has a key, which would not be sent: clear Password, remove auth "
            "(bearer) or set it to api-key"
        )
    return scheme


def _host(connection: Connection) -> str:
    host = connection.host or ""
    if not host:
        return host
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    scheme, _, rest = host.partition("://")
    address, slash, path = rest.partition("/")
    # Airflow stores the port of a connection's URI separately; a port in the host must not be repeated.
    has_port = address.rpartition("]")[2].rpartition(":")[1]
    port = f":{connection.port}" if connection.port and not has_port else ""
    return f"{scheme}://{address}{port}{slash}{path}"


def _string_map(extra: dict[str, Any], name: str) -> dict[str, str]:
    value = extra.get(name) or {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise SoraConfigError(f"{name} in Extra has to be a JSON object of strings")
    return {str(key): str(item) for key, item in value.items()}


def _number(extra: dict[str, Any], name: str, default: DefaultT) -> float | DefaultT:
    value = extra.get(name)
    if value in (None, ""):
        return default
    try:
        return float(str(value))
    except ValueError:
        raise SoraConfigError(f"{name} in Extra is {value!r}; it has to be a number") from None


def _flag(extra: dict[str, Any], name: str) -> bool:
    value = extra.get(name)
    text = str(value or "false").strip().lower()
    if text not in ("true", "false"):
        raise SoraConfigError(f"{name} in Extra is {value!r}; it has to be true or false")
    return text == "true"


def _allowed_paths(value: object) -> tuple[str, ...] | None:
    """Those of the connection, otherwise those of Airflow's ``[sora]`` section; None allows all."""
    if value is None or value == "":
        value = conf.get("sora", "allowed_paths", fallback="") or None
    if isinstance(value, str):
        value = _parsed_list(value)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
        raise SoraConfigError(f"allowed_paths is {quoted(value)}; it has to be a list of absolute paths")
    return tuple(value)


def _parsed_list(text: str) -> object:
    """The value of a form or a configuration file: a JSON list, or comma-separated paths."""
    try:
        return json.loads(text) if text.lstrip().startswith("[") else [part.strip() for part in text.split(",")]
    except ValueError:
        return text


def _verify(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    text = str(value or "true").strip()
    return {"true": True, "false": False}.get(text.lower(), text)


def explain(error: SoraError) -> str:
    """The probable cause, in the connection, of a failed first request."""
    if isinstance(error, SoraConnectionError):
        return f"Wrong host, or the server is down: {error}"
    if isinstance(error, SoraAuthError):
        return f"The server rejects the key (Password, or `auth` in Extra): {error}"
    if isinstance(error, SoraNotFoundError | SoraUnsupportedError | SoraResponseError):
        return f"The server has no Videos API under this path (Host), or its Videos API has no list: {error}"
    return f"{error}"
