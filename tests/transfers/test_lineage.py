"""What is reported to Airflow about the files: outlet events, hook lineage, OpenLineage."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_sora.compat import Asset, AssetAlias
from airflow_provider_sora.transfers import lineage
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator


class Events(defaultdict[Any, Any]):
    """In place of ``outlet_events`` in a task's context."""

    def __init__(self) -> None:
        super().__init__(lambda: SimpleNamespace(extra=None, added=[], add=None))

    def __getitem__(self, outlet: Any) -> Any:
        event = super().__getitem__(outlet.name if isinstance(outlet, AssetAlias) else outlet.uri)
        event.add = lambda asset, extra: event.added.append((asset.uri, extra))
        return event


def test_an_outlet_gets_the_files_and_an_alias_an_asset_for_each(video: dict[str, Any], s3: Any) -> None:
    events = Events()
    files = SoraToS3Operator(
        task_id="m",
        video=video,
        s3_key="s3://bucket/{variant}",
        variants=("video", "thumbnail"),
        outlets=[Asset("s3://bucket/all"), AssetAlias("videos")],
    ).execute({"outlet_events": events})
    assert events[Asset("s3://bucket/all")].extra == {"files": files}
    assert [uri for uri, _ in events[AssetAlias("videos")].added] == ["s3://bucket/video", "s3://bucket/thumbnail"]
    assert [extra for _, extra in events[AssetAlias("videos")].added] == files


def test_each_file_is_reported_to_the_lineage_collector(
    video: dict[str, Any], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    collector = SimpleNamespace(add_output_asset=lambda uri, **_: reported.append(uri))
    monkeypatch.setattr("airflow.providers.common.compat.lineage.hook.get_hook_lineage_collector", lambda: collector)
    SoraToS3Operator(task_id="m", video=video, s3_key="s3://bucket/x").execute({})
    assert reported == ["s3://bucket/x"]


def test_openlineage_gets_a_dataset_for_each_file(video: dict[str, Any], s3: Any) -> None:
    operator = SoraToS3Operator(task_id="m", video=video, s3_key="s3://bucket/a/x.{extension}")
    assert operator.get_openlineage_facets_on_complete(None).outputs == []
    operator.execute({})
    [dataset] = operator.get_openlineage_facets_on_complete(None).outputs
    assert (dataset.namespace, dataset.name) == ("s3://bucket", "a/x.mp4")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("gs://bucket/a/b", ("gs://bucket", "a/b")),
        ("file:///mnt/x", ("file", "/mnt/x")),
        ("/mnt/x", ("file", "/mnt/x")),
        ("sftp://conn@host/a", ("sftp://host", "a")),
    ],
)
def test_datasets_are_named_by_the_rules_of_openlineage(uri: str, expected: tuple[str, str]) -> None:
    [dataset] = lineage.operator_lineage([{"uri": uri}]).outputs
    assert (dataset.namespace, dataset.name) == expected
