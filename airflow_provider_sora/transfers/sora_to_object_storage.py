"""Videos into anything that Airflow's ObjectStoragePath reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.keys import check_key
from airflow_provider_sora.transfers.stream import ContentStream

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_CHUNK_BYTES = 1024 * 1024

# File systems whose files, opened without autocommit, appear in one step on commit and never on discard.
_TRANSACTIONAL = frozenset({"s3", "s3a", "gs", "gcs", "memory"})


class SoraToObjectStorageOperator(SoraTransferOperator):
    """Moves the content of finished videos to a path, streaming; a file appears whole or not at all.

    :param path: a URL such as ``s3://bucket/{{ ds }}/{id}.{extension}`` or ``file:///mnt/videos/{id}.{extension}``; may
        have ``{id}``, ``{variant}`` and ``{extension}``
    :param storage_conn_id: the connection to the storage, where it needs one
    """

    template_fields: Sequence[str] = (*SoraTransferOperator.template_fields, "path", "storage_conn_id")

    def __init__(self, *, path: str, storage_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_key(path, self.variants)
        self.path = path
        self.storage_conn_id = storage_conn_id

    def key_template(self) -> str:
        """The whole URL."""
        return self.path

    def store(self, stream: ContentStream, key: str) -> str:
        """Write where nobody looks, then make it visible in one step."""
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        # The connection may stand in the URL too (s3://conn_id@bucket/key), which an argument of None would hide.
        connection = {"conn_id": self.storage_conn_id} if self.storage_conn_id else {}
        target = ObjectStoragePath(key, **connection)
        if target.protocol in _TRANSACTIONAL:
            _write_transaction(stream, target)
        else:
            _write_beside(stream, target)
        return key


def _write_transaction(stream: ContentStream, target: ObjectStoragePath) -> None:
    file = target.fs.open(target.path, "wb", autocommit=False, **_content_type(target, stream))
    try:
        _copy(stream, file)
        file.close()
    except BaseException:
        file.discard()
        raise
    file.commit()


def _write_beside(stream: ContentStream, target: ObjectStoragePath) -> None:
    """Write a hidden file in the same folder and rename it, which a file system does in one step."""
    folder, _, name = target.path.rpartition("/")
    hidden = f"{folder}/.{name}.{uuid4().hex[:8]}.part"  # its own: a killed task may live on beside its retry
    target.fs.makedirs(folder, exist_ok=True)
    try:
        with target.fs.open(hidden, "wb") as file:
            _copy(stream, file)
        target.fs.mv(hidden, target.path)
    except BaseException:
        if target.fs.exists(hidden):
            target.fs.rm(hidden)
        raise


def _copy(stream: ContentStream, file: Any) -> None:
    while chunk := stream.read(_CHUNK_BYTES):
        file.write(chunk)


def _content_type(target: ObjectStoragePath, stream: ContentStream) -> dict[str, str]:
    match target.protocol:
        case "s3" | "s3a":
            return {"ContentType": stream.content_type}
        case "gs" | "gcs":
            return {"content_type": stream.content_type}
    return {}
