"""Videos to S3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.keys import bucket_and_key
from airflow_provider_sora.transfers.object_metadata import DIGEST_KEY, check_not_reserved
from airflow_provider_sora.transfers.s3_store import S3Store
from airflow_provider_sora.transfers.store import require_extra

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook


class SoraToS3Operator(SoraTransferOperator):
    """Moves the content of finished videos to S3, streaming; an object becomes visible once it is complete.

    :param s3_key: the object's key, or a full ``s3://`` URL; may have ``{id}``, ``{slug}``, ``{variant}`` and
        ``{extension}``
    :param s3_bucket: the bucket; omitted where `s3_key` is a URL
    :param aws_conn_id: the connection to S3
    :param verify: as for S3Hook: whether to verify certificates, or the path of a CA bundle
    :param encrypt: encrypt with keys that S3 manages (``AES256``)
    :param kms_key_id: encrypt with this key (``aws:kms``)
    :param acl_policy: a canned ACL, for example ``bucket-owner-full-control``
    :param storage_class: for example ``STANDARD_IA``
    :param tags: the object's tags
    :param metadata: further object metadata, in addition to the video's id, variant and SHA-256
    :param content_type: the object's ``Content-Type``; default: detected from the bytes
    :param cache_control: the object's ``Cache-Control``
    :param extra_args: any other ``ExtraArgs`` of boto3's ``upload_fileobj``
    """

    template_fields: Sequence[str] = (
        *SoraTransferOperator.template_fields,
        "s3_key",
        "s3_bucket",
        "aws_conn_id",
        "kms_key_id",
        "storage_class",
        "tags",
        "metadata",
        "extra_args",
    )

    def __init__(
        self,
        *,
        s3_key: str,
        s3_bucket: str | None = None,
        aws_conn_id: str | None = "aws_default",
        verify: str | bool | None = None,
        encrypt: bool = False,
        kms_key_id: str | None = None,
        acl_policy: str | None = None,
        storage_class: str | None = None,
        tags: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        cache_control: str | None = None,
        extra_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.check_key_template(s3_key)
        self.s3_key = s3_key
        self.s3_bucket = s3_bucket
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.encrypt = encrypt
        self.kms_key_id = kms_key_id
        self.acl_policy = acl_policy
        self.storage_class = storage_class
        self.tags = tags
        self.metadata = metadata
        self.content_type = content_type
        self.cache_control = cache_control
        self.extra_args = extra_args

    @cached_property
    def s3_hook(self) -> S3Hook:
        """The hook for S3; its library is imported here, and not when a DAG is parsed."""
        with require_extra("amazon"):
            from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id, verify=self.verify)

    def key_template(self) -> str:
        """The key in the bucket."""
        return self._bucket_and_key()[1]

    def check_store(self) -> None:
        """Check that boto3 accepts the arguments, and that metadata and tags have no name that is reserved."""
        with require_extra("amazon"):
            arguments = self._arguments()
        check_not_reserved("metadata", arguments.get("Metadata", ()))
        check_not_reserved("tags", self._tags(arguments).keys() & {DIGEST_KEY})

    def open_store(self) -> S3Store:
        """The bucket."""
        hook = self.s3_hook
        arguments = self._arguments()
        tags = self._tags(arguments)
        arguments.pop("Tagging", None)
        return S3Store(hook.get_conn(), self._bucket_and_key()[0], arguments, tags, workers=self.part_concurrency)

    def _tags(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        return dict(parse_qsl(arguments.get("Tagging", ""), keep_blank_values=True)) | dict(self.tags or {})

    def _arguments(self) -> dict[str, Any]:
        named = {
            "ServerSideEncryption": "aws:kms" if self.kms_key_id else "AES256" if self.encrypt else None,
            "SSEKMSKeyId": self.kms_key_id,
            "ACL": self.acl_policy,
            "StorageClass": self.storage_class,
            "Metadata": dict(self.metadata) if self.metadata else None,
            "ContentType": self.content_type,
            "CacheControl": self.cache_control,
        }
        given = {name: value for name, value in named.items() if value is not None}
        extra = dict(self.extra_args or {})
        _check_arguments(extra, given)
        return extra | given

    def _bucket_and_key(self) -> tuple[str, str]:
        return bucket_and_key("s3", "s3_bucket", self.s3_bucket, "s3_key", self.s3_key)


def _check_arguments(extra: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    from boto3.s3.transfer import S3Transfer

    unknown = sorted(set(extra) - set(S3Transfer.ALLOWED_UPLOAD_ARGS))
    if unknown:
        raise SoraConfigError(
            f"extra_args has {', '.join(unknown)}; boto3 accepts {', '.join(sorted(S3Transfer.ALLOWED_UPLOAD_ARGS))}"
        )
    twice = sorted(set(extra) & set(given))
    if twice:
        raise SoraConfigError(
            f"extra_args has {', '.join(twice)}, which an argument of the operator sets too: give one"
        )
