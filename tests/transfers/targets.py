"""One way to write tests for every store."""

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
from tests.transfers.stores import gcs_client, keys, uploads

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.io.store import attach  # type: ignore[import-not-found,no-redef]

KINDS = ["S3", "s3://", "GCS", "gs://", "file://", "memory://"]


class TargetStore:
    """A store behind one operator: how to write to it, what is visible in it."""

    keeps_metadata = True

    def __init__(self, make: Callable[..., SoraTransferOperator], files: Callable[[], dict[str, bytes]]) -> None:
        self._make = make
        self.files = files

    def operator(self, key: str = "a/{id}-{variant}.{extension}", **fields: Any) -> SoraTransferOperator:
        return self._make(key, **{"task_id": "move", **fields})


def s3_target(s3: Any, kind: str) -> TargetStore:
    def make(key: str, **fields: Any) -> SoraTransferOperator:
        if kind == "S3":
            return SoraToS3Operator(s3_bucket="bucket", s3_key=key, **fields)
        return SoraToObjectStorageOperator(path=f"s3://aws_default@bucket/{key}", **fields)

    def files() -> dict[str, bytes]:
        """Everything that anybody can see, and every upload that was left open."""
        left = {f"open upload {key}": b"" for key in uploads(s3)}
        return left | {key: s3.get_object(Bucket="bucket", Key=key)["Body"].read() for key in keys(s3)}

    return TargetStore(make, files)


def gcs_target(gcs: GCSServer, kind: str) -> TargetStore:
    def make(key: str, **fields: Any) -> SoraTransferOperator:
        if kind == "GCS":
            return SoraToGCSOperator(bucket_name="bucket", object_name=key, **fields)
        return SoraToObjectStorageOperator(path=f"gs://google_cloud_default@bucket/{key}", **fields)

    def files() -> dict[str, bytes]:
        left = {f"open upload {key}": b"" for key in gcs.sessions}
        return left | {blob.name: blob.download_as_bytes() for blob in gcs_client().list_blobs("bucket")}

    return TargetStore(make, files)


def file_target(folder: Path) -> TargetStore:
    def files() -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    target = TargetStore(
        lambda key, **fields: SoraToObjectStorageOperator(path=f"{folder.as_uri()}/{key}", **fields), files
    )
    target.keeps_metadata = False
    return target


def memory_target() -> TargetStore:
    """A file system that is neither the disk nor a bucket, as others would register theirs."""
    attach("memory", fs=MemoryFileSystem())
    files = MemoryFileSystem.store
    files.clear()
    target = TargetStore(
        lambda key, **fields: SoraToObjectStorageOperator(path=f"memory://bucket/{key}", **fields),
        lambda: {name.removeprefix("/bucket/"): file.getvalue() for name, file in files.items()},
    )
    target.keeps_metadata = False
    return target


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> TargetStore:
    """Every store in turn."""
    return target_of(request.param, request, tmp_path)


def target_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> TargetStore:
    """One store."""
    if kind in ("S3", "s3://"):
        return s3_target(request.getfixturevalue("s3"), kind)
    if kind in ("GCS", "gs://"):
        return gcs_target(request.getfixturevalue("gcs"), kind)
    return memory_target() if kind == "memory://" else file_target(folder)
