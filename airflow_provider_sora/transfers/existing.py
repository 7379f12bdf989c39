"""Applies `if_exists` where a key already has a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from airflow_provider_sora import masking
from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.protocol.requests import Variant
from airflow_provider_sora.exceptions import SoraError, SoraTargetExistsError
from airflow_provider_sora.transfers.store import ObjectInfo, Store
from airflow_provider_sora.transfers.stream import ContentStream

IfExists = Literal["skip", "replace", "fail"]

log = masking.logger(__name__)


@dataclass(frozen=True)
class StoredFile:
    """One file in storage: its URI, size in bytes, type, and SHA-256 in hex.

    :param verified: it is proved that nothing is missing, neither from the download nor from the upload
    """

    video_id: str
    variant: str
    uri: str
    size_bytes: int
    content_type: str
    sha256: str
    verified: bool

    @classmethod
    def of(cls, content: Content, uri: str, *, verified: bool) -> StoredFile:
        """The file that has this content."""
        return cls(
            content.video_id,
            content.variant,
            uri,
            content.size_bytes,
            content.content_type,
            content.sha256,
            verified,
        )


class ExistingFiles:
    """Finds the file of one variant of one video, and decides what `if_exists` means for any other.

    :param open_store: returns the store once it is open; called as late as possible
    :ivar create_only: whether a file may be written only where there is none
    """

    def __init__(self, open_store: Callable[[], Store], if_exists: IfExists, video_id: str, variant: Variant) -> None:
        self._open_store = open_store
        self._if_exists = if_exists
        self._video_id = video_id
        self._variant = variant
        self.create_only = if_exists != "replace"

    @property
    def _store(self) -> Store:
        return self._open_store()

    def find(self, keys: Iterable[str], *, even_to_replace: bool) -> StoredFile | None:
        """The file, where an earlier run has stored it; nothing is read from the video server.

        :param keys: where it may be: its extension is known only once its content is
        :param even_to_replace: look for it although it would be replaced: the server may no longer have the video
        :raises SoraTargetExistsError: another file is there, or one that cannot be recognized
        """
        if self._if_exists == "replace" and not even_to_replace:
            return None
        for key in keys:
            info = self._info(key)
            if info is not None and (stored := self._check(key, info)) is not None:
                return stored
        return None

    def compare(self, key: str, stream: ContentStream) -> StoredFile | None:
        """The file, where a store without metadata has one with the same content, which is read to its end.

        :raises SoraTargetExistsError: another file is there
        """
        if self._if_exists != "skip" or self._store.keeps_metadata or self._store.find(key) is None:
            return None
        content = stream.drain()
        if self._store.sha256(key) != content.sha256:
            raise self._another_file(key)
        return StoredFile.of(content, self._store.uri(key), verified=content.end_verified)

    def _info(self, key: str) -> ObjectInfo | None:
        try:
            return self._store.find(key)
        except SoraError:
            raise
        except Exception as error:
            if self._if_exists != "replace":
                raise
            log.warning("Could not check whether %s exists; writing it: %s", self._store.uri(key), error)
            return None

    def _check(self, key: str, info: ObjectInfo) -> StoredFile | None:
        if self._if_exists == "fail":
            raise self._store.exists_error(key)
        problem = info.metadata_problem()
        if problem is not None:
            self._check_unreadable(key, problem)
        elif info.identifies(self._video_id, self._variant):
            return self._check_same_video(key, info)
        elif self._if_exists == "skip" and self._store.keeps_metadata:
            raise self._another_file(key)
        return None

    def _check_unreadable(self, key: str, problem: str) -> None:
        if self._if_exists == "skip":
            raise SoraTargetExistsError(
                f"{self._store.uri(key)} exists, but {problem}. Nothing was written. Or give the file another key, "
                "or set if_exists to 'replace'"
            )
        log.warning("Storing %s again (if_exists='replace'), because %s", self._store.uri(key), problem)

    def _check_same_video(self, key: str, info: ObjectInfo) -> StoredFile | None:
        if info.sha256 is None:
            self.create_only = False  # an earlier try was killed before it had written the digest: store it again
            return None
        uri = self._store.uri(key)
        return StoredFile(
            self._video_id, self._variant, uri, info.size_bytes, info.content_type, info.sha256, verified=True
        )

    def _another_file(self, key: str) -> SoraTargetExistsError:
        return SoraTargetExistsError(
            f"{self._store.uri(key)} exists and is not the {self._variant} of video {self._video_id}: nothing was "
            "written. Give the file another key, or set if_exists to 'replace'"
        )
