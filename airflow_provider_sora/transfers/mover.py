"""Moves one video: looks what is there already, moves what is not, verifies it, lets go of the original."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from airflow_provider_sora import masking
from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.protocol.media_types import TYPES_OF_VARIANT
from airflow_provider_sora.api.protocol.requests import DeleteVideo, DownloadContent, Variant
from airflow_provider_sora.exceptions import (
    SoraBadRequestError,
    SoraContentError,
    SoraContentExpiredError,
    SoraError,
    SoraNotFoundError,
    SoraTargetExistsError,
    SoraUnsupportedError,
    SoraVariantError,
)
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.transfers.file_store import FileStore
from airflow_provider_sora.transfers.keys import fill_key
from airflow_provider_sora.transfers.pipeline import Parts, move
from airflow_provider_sora.transfers.progress import Progress
from airflow_provider_sora.transfers.store import ObjectInfo, Store, Target
from airflow_provider_sora.transfers.stream import ContentStream, TransferStoppedError

IfExists = Literal["skip", "replace", "fail"]
Failure = tuple[str, Exception]

log = masking.logger(__name__)

# A server without a variant sends the video in its place, or refuses the request.
_NO_VARIANT = (SoraVariantError, SoraNotFoundError, SoraBadRequestError, SoraUnsupportedError)


@dataclass(frozen=True)
class StoredFile:
    """One file in storage: where, how many bytes, which type, SHA-256 in hex.

    :param verified: it is proved that nothing is missing, neither of what came nor of what the store has got
    """

    video_id: str
    variant: str
    uri: str
    size_bytes: int
    content_type: str
    sha256: str
    verified: bool


@dataclass(frozen=True)
class VideoToMove:
    """A video, and what it is called in its files' keys."""

    manifest: VideoManifest
    slug: str


class Mover:
    """Moves videos to one store, on as many threads as call it.

    :param clients: by connection id
    :param open_store: the store, once it is open; asked for as late as possible
    :param parts: the memory that all moves share
    :param optional: the variants that may be missing on the server
    :param delete: delete a video on the server once all its variants have been stored and are proved to be whole
    :param stop: ends all moves once it is set
    """

    def __init__(
        self,
        clients: Mapping[str, SoraClient],
        open_store: Callable[[], Store],
        template: str,
        parts: Parts,
        *,
        variants: tuple[Variant, ...],
        optional: frozenset[Variant],
        if_exists: IfExists,
        delete: bool,
        stop: threading.Event,
    ) -> None:
        self._clients = clients
        self._open_store = open_store
        self._template = template
        self._parts = parts
        self._variants = variants
        self._optional = optional
        self._if_exists = if_exists
        self._delete = delete
        self._stop = stop

    def move(self, video: VideoToMove) -> tuple[list[StoredFile], list[Failure]]:
        """Move all variants of a video: what was stored, and what was not and why."""
        stored: list[StoredFile] = []
        failures: list[Failure] = []
        for variant in self._variants:
            try:
                stored.append(self._move(video, variant))
            except TransferStoppedError:
                raise
            except Exception as error:  # noqa: BLE001 - others are moved all the same; it is raised at the end
                if variant in self._optional and isinstance(error, _NO_VARIANT):
                    log.info("Video %s has no %s, which is optional: %s", video.manifest.id, variant, error)
                    continue
                failures.append((f"{variant} of video {video.manifest.id}", error))
        if self._delete and not failures:
            self._let_go(video.manifest, stored)
        return stored, failures

    def _move(self, video: VideoToMove, variant: Variant) -> StoredFile:
        existing = _Existing(self._open_store, self._if_exists, video.manifest.id, variant)
        keys = dict.fromkeys(self._key(video, variant, type_) for type_ in TYPES_OF_VARIANT[variant])
        done = existing.look(keys, must_know=self._delete)
        if done is not None:
            log.info("Video %s: %s is at %s already", video.manifest.id, variant, done.uri)
            return done
        try:
            return self._copy(video, variant, existing)
        except SoraNotFoundError as error:
            raise self._expired(video.manifest, error) or error from error

    def _copy(self, video: VideoToMove, variant: Variant, existing: _Existing) -> StoredFile:
        video_id = video.manifest.id
        client = self._clients[video.manifest.conn_id]
        request = DownloadContent(video_id=video_id, variant=variant)
        progress = Progress(f"{variant} of video {video_id}", log)
        with ContentStream(partial(client.read_content, request), progress, self._stop) as stream:
            key = self._key(video, variant, stream.content_type)
            same = existing.compare(key, stream)
            if same is not None:
                return same
            target = Target(key, video_id, variant, stream.content_type, existing.create_only)
            try:
                content, confirmed = move(stream, self._open_store, target, self._parts)
            except SoraTargetExistsError:
                # Somebody wrote it meanwhile: perhaps a twin of this task, or a call that was sent twice.
                done = existing.look({key: None}, must_know=True)
                if done is None:
                    raise
                return done
        confirmed = self._verify(key, content) or confirmed
        uri = self._open_store().uri(key)
        log.info("Video %s: %s stored, %s bytes at %s", video_id, variant, content.size_bytes, uri)
        if not content.end_verified:
            log.warning("Nothing proves that %s is whole: the server did not say how long it is", uri)
        return _stored(content, uri, verified=confirmed and content.end_verified)

    def _verify(self, key: str, content: Content) -> bool:
        """Look a file up that was just written; False where the store does not let us.

        :raises SoraContentError: it is not the one that was written
        """
        store = self._open_store()
        try:
            found = store.find(key)
        except Exception as error:  # noqa: BLE001 - each store has its own; the file is there whatever it says
            log.warning("%s is stored, but cannot be looked up: %s", store.uri(key), error)
            return False
        size = None if found is None else found.size_bytes
        if size != content.size_bytes:
            raise SoraContentError(
                f"{store.uri(key)} has {size} bytes after {content.size_bytes} were written: "
                "something else writes there"
            )
        return True

    def _key(self, video: VideoToMove, variant: Variant, content_type: str) -> str:
        return fill_key(self._template, video.manifest.id, variant, content_type, video.slug)

    def _expired(self, video: VideoManifest, error: SoraNotFoundError) -> SoraContentExpiredError | None:
        """A plain 404 for a video whose manifest told its end, by the server's own clock."""
        now = time.time() + self._clients[video.conn_id].clock_offset_seconds
        if video.expires_at is None or now < video.expires_at:
            return None
        return SoraContentExpiredError(
            f"{error}; its manifest says it was kept until {video.expires_at} (unix seconds)"
        )

    def _let_go(self, video: VideoManifest, files: list[StoredFile]) -> None:
        """Delete a video on the server, where all its files are proved to be whole."""
        doubtful = [file.uri for file in files if not file.verified]
        if doubtful:
            uris = " and ".join(doubtful)
            log.warning("Video %s stays on the server: nothing proves that %s is whole", video.id, uris)
            return
        try:
            self._clients[video.conn_id].send(DeleteVideo(video_id=video.id))
            log.info("Video %s was deleted on the server", video.id)
        except SoraNotFoundError:
            log.info("Video %s is no longer on the server", video.id)
        except SoraError as error:
            log.warning("Video %s is stored, but stays on the server: %s", video.id, error)


class _Existing:
    """What `if_exists` says of what lies at a file's key."""

    def __init__(self, open_store: Callable[[], Store], if_exists: IfExists, video_id: str, variant: Variant) -> None:
        self._open_store = open_store
        self._if_exists = if_exists
        self._video_id = video_id
        self._variant = variant
        self.create_only = if_exists != "replace"

    @property
    def _store(self) -> Store:
        return self._open_store()

    def look(self, keys: Mapping[str, None], *, must_know: bool) -> StoredFile | None:
        """The file, where it has been moved already; before anything is read from the server.

        :param keys: where it may be: its extension is known only once it is read
        :param must_know: look in any case, because the server may not have the video any more
        :raises SoraTargetExistsError: something else is there
        """
        if self._if_exists == "replace" and not must_know:
            return None
        for key in keys:
            found = self._find(key)
            if found is not None and (done := self._judge(key, found)) is not None:
                return done
        return None

    def _find(self, key: str) -> ObjectInfo | None:
        try:
            return self._store.find(key)
        except SoraError:
            raise
        except Exception as error:
            if self._if_exists != "replace":
                raise
            log.warning("%s cannot be looked up, and will be written: %s", self._store.uri(key), error)
            return None

    def _judge(self, key: str, found: ObjectInfo) -> StoredFile | None:
        if self._if_exists == "fail":
            raise self._store.exists(key)
        if found.is_of(self._video_id, self._variant):
            if found.sha256:
                uri, size, kind = self._store.uri(key), found.size_bytes, found.content_type
                return StoredFile(self._video_id, self._variant, uri, size, kind, found.sha256, verified=True)
            self.create_only = False  # an earlier try died before it had written the digest: move it again
        elif self._if_exists == "skip" and self._store.keeps_metadata:
            raise self._other(key)
        return None

    def compare(self, key: str, stream: ContentStream) -> StoredFile | None:
        """The file, where a store without labels has it: then the contents themselves are compared.

        :raises SoraTargetExistsError: something else is there
        """
        if self._if_exists != "skip" or not isinstance(self._store, FileStore) or self._store.find(key) is None:
            return None
        content = stream.drain()
        if self._store.sha256(key) != content.sha256:
            raise self._other(key)
        return _stored(content, self._store.uri(key), verified=content.end_verified)

    def _other(self, key: str) -> SoraTargetExistsError:
        return SoraTargetExistsError(
            f"{self._store.uri(key)} exists and is not the {self._variant} of video {self._video_id}: nothing was "
            "written. Give it another key, or set if_exists to 'replace'"
        )


def _stored(content: Content, uri: str, *, verified: bool) -> StoredFile:
    return StoredFile(
        content.video_id, content.variant, uri, content.size_bytes, content.content_type, content.sha256, verified
    )
