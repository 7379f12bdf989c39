"""Videos to any storage that Airflow's ObjectStoragePath reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.file_store import FileStore
from airflow_provider_sora.transfers.gcs_store import GCSStore
from airflow_provider_sora.transfers.keys import check_local_path, require_text
from airflow_provider_sora.transfers.s3_store import S3Store
from airflow_provider_sora.transfers.store import Store, require_extra

_S3 = frozenset({"s3", "s3a"})
_GCS = frozenset({"gs", "gcs"})


class SoraToObjectStorageOperator(SoraTransferOperator):
    """Moves the content of finished videos to a path, streaming; a file becomes visible once it is complete.

    S3 and Google Cloud Storage are written as `SoraToS3Operator` and `SoraToGCSOperator` do, every other storage
    through a hidden file that is renamed.

    :param path: a URL such as ``s3://bucket/{{ ds }}/{id}.{extension}`` or, with three slashes,
        ``file:///mnt/videos/{id}.{extension}``; may have ``{id}``, ``{slug}``, ``{variant}`` and ``{extension}``
    :param storage_conn_id: the connection to the storage, where it needs one; may be part of the URL instead:
        ``s3://aws_default@bucket/…``
    """

    template_fields: Sequence[str] = (*SoraTransferOperator.template_fields, "path", "storage_conn_id")

    def __init__(self, *, path: str, storage_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_key_template(path)
        check_local_path(path)
        self.path = path
        self.storage_conn_id = storage_conn_id

    def key_template(self) -> str:
        """The whole URL, or the key in the bucket."""
        path = require_text("path", self.path)
        check_local_path(path)
        scheme, _, rest = path.partition("://")
        if scheme not in _S3 | _GCS:
            return self.path
        bucket, _, key = rest.partition("/")
        if not bucket.rpartition("@")[2] or not key:
            raise SoraConfigError(f"path is {self.path!r}; it has to have a bucket and a key: {scheme}://bucket/key")
        return key

    def check_store(self) -> None:
        """Check that the path has a file system, unless it is in S3 or Google Cloud Storage."""
        if self.path.partition("://")[0] in _S3 | _GCS:
            return
        try:
            FileStore(self.storage_conn_id).check(self.path)
        except SoraConfigError:
            raise
        except ImportError as error:
            raise SoraConfigError(f"path is {self.path!r}, which needs a library that is missing: {error}") from error
        except ValueError as error:
            raise SoraConfigError(
                f"path is {self.path!r}: {error}; install the provider that has this file system"
            ) from error

    def open_store(self) -> Store:
        """The store for the URL's scheme."""
        scheme, _, rest = self.path.partition("://")
        named, _, bucket = rest.partition("/")[0].rpartition("@")
        conn_id = self.storage_conn_id or named or None
        if scheme in _S3:
            return self._s3(bucket, conn_id)
        if scheme in _GCS:
            return self._gcs(bucket, conn_id)
        return FileStore(self.storage_conn_id)

    def _s3(self, bucket: str, conn_id: str | None) -> S3Store:
        with require_extra("amazon"):
            from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Store(S3Hook(aws_conn_id=conn_id).get_conn(), bucket, {}, {}, workers=self.part_concurrency)

    def _gcs(self, bucket: str, conn_id: str | None) -> GCSStore:
        with require_extra("google"):
            from airflow.providers.google.cloud.hooks.gcs import GCSHook

        client: Any = GCSHook(gcp_conn_id=conn_id or "google_cloud_default").get_conn()
        return GCSStore(
            client.bucket(bucket), {}, kms_key_name=None, predefined_acl=None, part_bytes=self.part_size_bytes
        )
