"""Videos into S3."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.keys import check_key
from airflow_provider_sora.transfers.stream import ContentStream

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook


class SoraToS3Operator(SoraTransferOperator):
    """Moves the content of finished videos into S3, streaming; an object appears whole or not at all.

    :param s3_key: the object's key, or a full ``s3://`` URL; may have ``{id}``, ``{variant}`` and ``{extension}``
    :param s3_bucket: the bucket; left out where `s3_key` is a URL
    :param aws_conn_id: the connection to S3
    :param verify: as for S3Hook: check certificates, or the path of a CA bundle
    :param extra_args: what boto3's ``upload_fileobj`` takes as ``ExtraArgs``: ACL, encryption, storage class, tags ...
    """

    template_fields: Sequence[str] = (
        *SoraTransferOperator.template_fields,
        "s3_key",
        "s3_bucket",
        "aws_conn_id",
        "extra_args",
    )

    def __init__(
        self,
        *,
        s3_key: str,
        s3_bucket: str | None = None,
        aws_conn_id: str | None = "aws_default",
        verify: str | bool | None = None,
        extra_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_key(s3_key, self.variants)
        self.s3_key = s3_key
        self.s3_bucket = s3_bucket
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.extra_args = extra_args

    @cached_property
    def s3_hook(self) -> S3Hook:
        """The hook to S3; the cloud's own library is imported here and not while a DAG is parsed."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id, verify=self.verify)

    def key_template(self) -> str:
        """The key below the bucket."""
        return self._target()[1]

    def store(self, stream: ContentStream, key: str) -> str:
        """Upload in parts while reading; a stream that breaks raises inside the upload, which boto3 then aborts."""
        bucket = self._target()[0]
        arguments = {"ContentType": stream.content_type, **(self.extra_args or {})}
        client: Any = self.s3_hook.get_conn()
        self._abort_leftovers(client, bucket, key)
        client.upload_fileobj(stream, bucket, key, ExtraArgs=arguments)
        return f"s3://{bucket}/{key}"

    def _abort_leftovers(self, client: Any, bucket: str, key: str) -> None:
        """Abort uploads to this key that were begun and never ended: a killed try cannot, and they cost storage."""
        from botocore.exceptions import ClientError

        try:
            pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
            left = [item for page in pages for item in page.get("Uploads", ()) if item["Key"] == key]
            for item in left:
                client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=item["UploadId"])
                self.log.info("Aborted an upload to s3://%s/%s that an earlier try had left", bucket, key)
        except ClientError as error:
            self.log.info("Uploads that earlier tries may have left to s3://%s/%s stay: %s", bucket, key, error)

    def _target(self) -> tuple[str, str]:
        if self.s3_key.startswith("s3://"):
            bucket, _, key = self.s3_key.removeprefix("s3://").partition("/")
        else:
            bucket, key = self.s3_bucket or "", self.s3_key
        if not bucket or not key or (self.s3_bucket and self.s3_key.startswith("s3://")):
            raise SoraConfigError(
                f"s3_key is {self.s3_key!r} and s3_bucket {self.s3_bucket!r}: "
                "give a bucket and a key, or one s3:// URL with both"
            )
        return bucket, key
