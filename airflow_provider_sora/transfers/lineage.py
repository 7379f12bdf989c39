"""Tells Airflow what was written: outlets, hook lineage, OpenLineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_sora.compat import Context


def tell_outlets(context: Context, outlets: Iterable[Any], files: list[dict[str, Any]]) -> None:
    """Put what was written into the events of a task's outlets; an alias gets an asset for each file."""
    from airflow_provider_sora.compat import Asset, AssetAlias

    events: Any = context.get("outlet_events")
    if events is None:
        return
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            for file in files:
                events[outlet].add(Asset(uri_of(file)), extra=file)
        elif isinstance(outlet, Asset):
            events[outlet].extra = {"files": files}


def tell_hook_lineage(operator: Any, files: list[dict[str, Any]]) -> None:
    """Name each file to whoever collects lineage."""
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    get_collector: Any = get_hook_lineage_collector
    collector = get_collector()
    for file in files:
        collector.add_output_asset(context=operator, uri=uri_of(file))


def openlineage(files: Iterable[Mapping[str, Any]]) -> OperatorLineage[Any, Any]:
    """The datasets of OpenLineage: one for each file."""
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(outputs=[Dataset(*_dataset(uri_of(file))) for file in files])


def uri_of(file: Mapping[str, Any]) -> str:
    """A file's address as a URI: a plain path becomes a ``file://`` one."""
    uri = str(file["uri"])
    return uri if "://" in uri else f"file://{uri}"


def _dataset(uri: str) -> tuple[str, str]:
    """Namespace and name, by OpenLineage's rules for object stores and files."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return "file", parts.path
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}", parts.path.lstrip("/")
