"""Every destination of a transfer, behind one interface, so that a test of all of them is written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.sora_to_gcs import SoraToGCSOperator
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from tests.transfers.gcs_server import GCSServer
from tests.transfers.servers import gcs_client, keys, uploads

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.io.store import attach  # type: ignore[import-not-found,no-redef]

KINDS = ["S3", "s3://", "GCS", "gs://", "file://", "memory://"]

Files = Callable[[], dict[str, bytes]]


class Destination:
    """A place to move videos to, by one operator.

    :ivar files: returns every visible file, and every upload that is still open
    :ivar keeps_metadata: whether it keeps object metadata
    """

    def __init__(self, make: Callable[..., SoraTransferOperator], files: Files, *, keeps_metadata: bool) -> None:
        self._make = make
        self.files = files
        self.keeps_metadata = keeps_metadata

    def operator(self, key: str = "a/{id}-{variant}.{extension}", **fields: Any) -> SoraTransferOperator:
        """An operator that moves to this key."""
        return self._make(key, **{"task_id": "move", **fields})


def s3_destination(s3: Any, kind: str = "S3") -> Destination:
    def make(key: str, **fields: Any) -> SoraTransferOperator:
        if kind == "S3":
            return SoraToS3Operator(s3_bucket="bucket", s3_key=key, **fields)
        return _by_path(f"s3://aws_default@bucket/{key}", **fields)

    def files() -> dict[str, bytes]:
        visible = {key: s3.get_object(Bucket="bucket", Key=key)["Body"].read() for key in keys(s3)}
        return _open_uploads(uploads(s3)) | visible

    return Destination(make, files, keeps_metadata=True)


def gcs_destination(gcs: GCSServer, kind: str = "GCS") -> Destination:
    def make(key: str, **fields: Any) -> SoraTransferOperator:
        if kind == "GCS":
            return SoraToGCSOperator(bucket_name="bucket", object_name=key, **fields)
        return _by_path(f"gs://google_cloud_default@bucket/{key}", **fields)

    def files() -> dict[str, bytes]:
        visible = {blob.name: blob.download_as_bytes() for blob in gcs_client().list_blobs("bucket")}
        return _open_uploads(gcs.sessions) | visible

    return Destination(make, files, keeps_metadata=True)


def file_destination(folder: Path) -> Destination:
    def files() -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return Destination(
        lambda key, **fields: _by_path(f"{folder.as_uri()}/{key}", **fields), files, keeps_metadata=False
    )


def memory_destination() -> Destination:
    """A file system that is neither the disk nor a bucket, registered as those of other libraries are."""
    attach("memory", fs=MemoryFileSystem())
    store = MemoryFileSystem.store
    store.clear()

    def files() -> dict[str, bytes]:
        return {name.removeprefix("/bucket/"): file.getvalue() for name, file in store.items()}

    return Destination(lambda key, **fields: _by_path(f"memory://bucket/{key}", **fields), files, keeps_metadata=False)


def _by_path(path: str, **fields: Any) -> SoraTransferOperator:
    return SoraToObjectStorageOperator(path=path, **fields)


def _open_uploads(names: Any) -> dict[str, bytes]:
    return {f"open upload {name}": b"" for name in names}


@pytest.fixture(params=KINDS)
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    """Every destination in turn."""
    return destination_of(request.param, request, tmp_path)


def destination_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Destination:
    """One destination, with the server that it needs."""
    if kind in ("S3", "s3://"):
        return s3_destination(request.getfixturevalue("s3"), kind)
    if kind in ("GCS", "gs://"):
        return gcs_destination(request.getfixturevalue("gcs"), kind)
    return memory_destination() if kind == "memory://" else file_destination(folder)
