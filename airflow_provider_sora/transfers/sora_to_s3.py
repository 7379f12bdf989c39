"""Videos into S3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.keys import text_of
from airflow_provider_sora.transfers.s3_store import S3Store
from airflow_provider_sora.transfers.store import require_extra

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook


class SoraToS3Operator(SoraTransferOperator):
    """Moves the content of finished videos into S3, streaming; an object appears whole or not at all.

    :param s3_key: the object's key, or a full ``s3://`` URL; may have ``{id}``, ``{slug}``, ``{variant}`` and
        ``{extension}``
    :param s3_bucket: the bucket; left out where `s3_key` is a URL
    :param aws_conn_id: the connection to S3
    :param verify: as for S3Hook: check certificates, or the path of a CA bundle
    :param encrypt: encrypt with S3's own keys (``AES256``)
    :param kms_key_id: encrypt with this key (``aws:kms``)
    :param acl_policy: a canned ACL, for example ``bucket-owner-full-control``
    :param storage_class: for example ``STANDARD_IA``
    :param tags: the object's tags
    :param metadata: the object's own metadata, beside the video's id, variant and SHA-256
    :param content_type: default: what the bytes are
    :param cache_control: the header of that name
    :param extra_args: whatever else boto3's ``upload_fileobj`` takes as ``ExtraArgs``
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
        self.check_target(s3_key)
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
        """The hook to S3; the cloud's own library is imported here and not while a DAG is parsed."""
        with require_extra("amazon"):
            from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id, verify=self.verify)

    def key_template(self) -> str:
        """The key below the bucket."""
        return self._target()[1]

    def check_store(self) -> None:
        """Check the arguments by what boto3 takes."""
        with require_extra("amazon"):
            self._arguments()

    def open_store(self) -> S3Store:
        """The bucket."""
        hook = self.s3_hook
        arguments = self._arguments()
        tags = dict(parse_qsl(arguments.pop("Tagging", ""), keep_blank_values=True)) | dict(self.tags or {})
        return S3Store(hook.get_conn(), self._target()[0], arguments, tags, workers=self.part_concurrency)

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

    def _target(self) -> tuple[str, str]:
        if text_of("s3_key", self.s3_key).startswith("s3://"):
            bucket, _, key = self.s3_key.removeprefix("s3://").partition("/")
        else:
            bucket, key = text_of("s3_bucket", self.s3_bucket or ""), self.s3_key
        if not bucket or not key or (self.s3_bucket and self.s3_key.startswith("s3://")):
            raise SoraConfigError(
                f"s3_key is {self.s3_key!r} and s3_bucket {self.s3_bucket!r}: "
                "give a bucket and a key, or one s3:// URL with both"
            )
        return bucket, key


def _check_arguments(extra: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    from boto3.s3.transfer import S3Transfer

    unknown = sorted(set(extra) - set(S3Transfer.ALLOWED_UPLOAD_ARGS))
    if unknown:
        raise SoraConfigError(
            f"extra_args has {', '.join(unknown)}; boto3 takes {', '.join(sorted(S3Transfer.ALLOWED_UPLOAD_ARGS))}"
        )
    twice = sorted(set(extra) & set(given))
    if twice:
        raise SoraConfigError(f"extra_args has {', '.join(twice)}, and so has an argument of the operator's own")
