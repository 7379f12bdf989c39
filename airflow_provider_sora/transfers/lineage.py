"""Reports the stored files to Airflow: outlet events, hook lineage, OpenLineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_sora.compat import Context


def add_outlet_events(context: Context, outlets: Iterable[Any], files: list[dict[str, Any]]) -> None:
    """Add the files to the events of a task's outlets; an alias gets an asset for each file."""
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


def add_hook_lineage(operator: Any, files: list[dict[str, Any]]) -> None:
    """Report each file to Airflow's lineage collector."""
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    get_collector: Any = get_hook_lineage_collector
    collector = get_collector()
    for file in files:
        collector.add_output_asset(context=operator, uri=uri_of(file))


def operator_lineage(files: Iterable[Mapping[str, Any]]) -> OperatorLineage[Any, Any]:
    """The files as OpenLineage datasets."""
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(outputs=[Dataset(*_dataset(uri_of(file))) for file in files])


def uri_of(file: Mapping[str, Any]) -> str:
    """The URI of a file: a plain path becomes a ``file://`` one."""
    uri = str(file["uri"])
    return uri if "://" in uri else f"file://{uri}"


def _dataset(uri: str) -> tuple[str, str]:
    """Namespace and name, by OpenLineage's rules for object stores and files."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return "file", parts.path
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}", parts.path.lstrip("/")
