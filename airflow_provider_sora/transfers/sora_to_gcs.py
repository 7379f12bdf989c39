"""Videos to Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.gcs_store import GCSStore
from airflow_provider_sora.transfers.keys import bucket_and_key
from airflow_provider_sora.transfers.object_metadata import check_not_reserved
from airflow_provider_sora.transfers.store import require_extra

if TYPE_CHECKING:
    from airflow.providers.google.cloud.hooks.gcs import GCSHook


class SoraToGCSOperator(SoraTransferOperator):
    """Moves the content of finished videos to Google Cloud Storage; an object becomes visible once it is complete.

    The parts of one video are sent one after the other, as a resumable upload requires: `part_concurrency` is how many
    may be in memory before they are sent.

    :param object_name: the object's name, or a full ``gs://`` URL; may have ``{id}``, ``{slug}``, ``{variant}`` and
        ``{extension}``
    :param bucket_name: the bucket; omitted where `object_name` is a URL
    :param gcp_conn_id: the connection to Google Cloud
    :param impersonation_chain: the service account to impersonate, or the chain that leads to it
    :param user_project: the project to bill, for a requester-pays bucket
    :param kms_key_name: encrypt with this key
    :param predefined_acl: for example ``bucketOwnerRead``
    :param storage_class: for example ``NEARLINE``
    :param metadata: further object metadata, in addition to the video's id, variant and SHA-256
    :param content_type: the object's ``Content-Type``; default: detected from the bytes
    :param cache_control: the object's ``Cache-Control``
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
        self.check_key_template(object_name)
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
        """The hook for Google Cloud Storage; its library is imported here, and not when a DAG is parsed."""
        with require_extra("google"):
            from airflow.providers.google.cloud.hooks.gcs import GCSHook

        return GCSHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)

    def key_template(self) -> str:
        """The object name in the bucket."""
        return self._bucket_and_key()[1]

    def check_store(self) -> None:
        """Check that the metadata has no name that is reserved."""
        check_not_reserved("metadata", self.metadata or ())

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
            client.bucket(self._bucket_and_key()[0], user_project=self.user_project),
            properties,
            kms_key_name=self.kms_key_name,
            predefined_acl=self.predefined_acl,
            part_bytes=self.part_size_bytes,
        )

    def _bucket_and_key(self) -> tuple[str, str]:
        return bucket_and_key("gs", "bucket_name", self.bucket_name, "object_name", self.object_name)
