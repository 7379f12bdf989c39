"""Every other storage that Airflow's ObjectStoragePath reaches: mounted disks, SFTP, Azure, HDFS, memory ..."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.store import ObjectInfo, Store, Target, Upload

if TYPE_CHECKING:
    from airflow_provider_sora.compat import ObjectStoragePath

_BLOCK_BYTES = 1024 * 1024


class FileStore(Store):
    """A file system whose keys are whole URLs; it keeps no object metadata.

    :param conn_id: its connection, which may be part of the URL instead
    """

    keeps_metadata = False

    def __init__(self, conn_id: str | None) -> None:
        # An argument of None would hide the connection in the URL (Airflow 2.11).
        self._connection = {"conn_id": conn_id} if conn_id else {}

    def uri(self, key: str) -> str:
        return key

    def check(self, key: str) -> None:
        """Check that there is a file system for a URL.

        :raises ValueError: there is none
        :raises ImportError: a library for it is missing
        """
        _ = self._path(key).fs

    def find(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        try:
            info = path.fs.info(path.path)
        except FileNotFoundError:
            return None
        if info["type"] == "directory":
            raise self.folder_error(key)
        return ObjectInfo(info["size"], "", {})

    def sha256(self, key: str) -> str:
        digest = hashlib.sha256()
        path = self._path(key)
        with path.fs.open(path.path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def begin(self, target: Target) -> Upload:
        return FileUpload(self, target, self._path(target.key))

    def put(self, target: Target, content: Content, part: Part) -> bool:
        upload = self.begin(target)
        try:
            upload.send(1, part)
            return upload.complete(content)
        except BaseException:
            upload.abort()
            raise

    def folder_error(self, key: str) -> SoraConfigError:
        """The error for a key that is a folder."""
        return SoraConfigError(f"{self.uri(key)} is a folder: add a file name to it")

    def _path(self, key: str) -> ObjectStoragePath:
        from airflow_provider_sora.compat import ObjectStoragePath

        return ObjectStoragePath(key, **self._connection)


class FileUpload(Upload):
    """A hidden file in the same folder, renamed at the end, which a file system does in one step."""

    def __init__(self, store: FileStore, target: Target, path: ObjectStoragePath) -> None:
        self._store = store
        self._target = target
        self._fs: Any = path.fs
        self._path = path.path
        if self._fs.isdir(self._path):  # renaming would move the hidden file into it
            raise store.folder_error(target.key)
        folder, _, name = self._path.rpartition("/")
        self._fs.makedirs(folder, exist_ok=True)
        self._remove_leftovers(folder, name)
        # A name of its own: a killed task may still be running beside its retry.
        self._hidden = f"{folder}/.{name}.{uuid4().hex[:8]}.part"
        self._file = self._fs.open(self._hidden, "wb")

    def send(self, number: int, part: Part) -> None:  # noqa: ARG002 - one worker: they arrive in order
        for chunk in part.chunks:
            self._file.write(chunk)

    def complete(self, content: Content) -> bool:  # noqa: ARG002 - a file system keeps no digest
        self._file.flush()
        with suppress(AttributeError, OSError):  # only a local file has a descriptor
            os.fsync(self._file.fileno())
        self._file.close()
        if not (self._target.create_only and self._link()):
            self._fs.mv(self._hidden, self._path)
        return False

    def abort(self) -> None:
        self._file.close()
        if self._fs.exists(self._hidden):
            self._fs.rm(self._hidden)

    def _link(self) -> bool:
        """Name the file only if no other has the name; False where the file system cannot do that in one step.

        :raises SoraTargetExistsError: another file has the name
        """
        if "file" in self._fs.protocol:
            try:
                os.link(self._hidden, self._path)
            except FileExistsError:
                raise self._store.exists_error(self._target.key) from None
            except OSError:  # some mounts have no hard links
                pass
            else:
                self._fs.rm(self._hidden)
                return True
        if self._fs.exists(self._path):
            raise self._store.exists_error(self._target.key)
        return False

    def _remove_leftovers(self, folder: str, name: str) -> None:
        """Remove hidden files of this name: a killed try cannot remove its own."""
        prefix = f".{name}."
        for path in self._fs.ls(folder, detail=False):
            found = path.rstrip("/").rpartition("/")[2]
            if found.startswith(prefix) and found.endswith(".part") and len(found) == len(prefix) + 13:
                with suppress(FileNotFoundError):
                    self._fs.rm(path)
