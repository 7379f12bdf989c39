"""Videos into Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.gcs_store import GCSStore
from airflow_provider_sora.transfers.keys import text_of
from airflow_provider_sora.transfers.store import require_extra

if TYPE_CHECKING:
    from airflow.providers.google.cloud.hooks.gcs import GCSHook


class SoraToGCSOperator(SoraTransferOperator):
    """Moves the content of finished videos into Google Cloud Storage, streaming; an object appears whole or not at all.

    Parts of one video go up one after the other, as resumable uploads do: `part_concurrency` says how many wait.

    :param object_name: the object's name, or a full ``gs://`` URL; may have ``{id}``, ``{slug}``, ``{variant}`` and
        ``{extension}``
    :param bucket_name: the bucket; left out where `object_name` is a URL
    :param gcp_conn_id: the connection to Google Cloud
    :param impersonation_chain: the service account to impersonate, or the chain that leads to it
    :param user_project: the project to bill, for buckets whose requester pays
    :param kms_key_name: encrypt with this key
    :param predefined_acl: for example ``bucketOwnerRead``
    :param storage_class: for example ``NEARLINE``
    :param metadata: the object's own metadata, beside the video's id, variant and SHA-256
    :param content_type: default: what the bytes are
    :param cache_control: the header of that name
    """

    template_fields: Sequence[str] = (
        *SoraTransferOperator.template_fields,
        "object_name",
        "bucket_name",
        "gcp_conn_id",
        "impersonation_chain",
        "user_project",
        "kms_key_name",
        "storage_class",
        "metadata",
    )

    def __init__(
        self,
        *,
        object_name: str,
        bucket_name: str | None = None,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        user_project: str | None = None,
        kms_key_name: str | None = None,
        predefined_acl: str | None = None,
        storage_class: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        cache_control: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.check_target(object_name)
        self.object_name = object_name
        self.bucket_name = bucket_name
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.user_project = user_project
        self.kms_key_name = kms_key_name
        self.predefined_acl = predefined_acl
        self.storage_class = storage_class
        self.metadata = metadata
        self.content_type = content_type
        self.cache_control = cache_control

    @cached_property
    def gcs_hook(self) -> GCSHook:
        """The hook to Google's storage; the cloud's own library is imported here and not while a DAG is parsed."""
        with require_extra("google"):
            from airflow.providers.google.cloud.hooks.gcs import GCSHook

        return GCSHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)

    def key_template(self) -> str:
        """The name below the bucket."""
        return self._target()[1]

    def open_store(self) -> GCSStore:
        """The bucket."""
        client: Any = self.gcs_hook.get_conn()
        properties = {
            "storage_class": self.storage_class,
            "cache_control": self.cache_control,
            "content_type": self.content_type,
            "metadata": dict(self.metadata) if self.metadata else None,
        }
        return GCSStore(
            client.bucket(self._target()[0], user_project=self.user_project),
            properties,
            kms_key_name=self.kms_key_name,
            predefined_acl=self.predefined_acl,
            part_bytes=self.part_size_bytes,
        )

    def _target(self) -> tuple[str, str]:
        if text_of("object_name", self.object_name).startswith("gs://"):
            bucket, _, name = self.object_name.removeprefix("gs://").partition("/")
        else:
            bucket, name = text_of("bucket_name", self.bucket_name or ""), self.object_name
        if not bucket or not name or (self.bucket_name and self.object_name.startswith("gs://")):
            raise SoraConfigError(
                f"object_name is {self.object_name!r} and bucket_name {self.bucket_name!r}: "
                "give a bucket and a name, or one gs:// URL with both"
            )
        return bucket, name
