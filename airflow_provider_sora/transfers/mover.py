"""Moves one video: checks what is stored already, moves the rest, verifies it, and deletes the video on the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

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
from airflow_provider_sora.transfers.existing import ExistingFiles, IfExists, StoredFile
from airflow_provider_sora.transfers.keys import fill_key
from airflow_provider_sora.transfers.pipeline import PartPool, upload
from airflow_provider_sora.transfers.progress import Progress
from airflow_provider_sora.transfers.store import Store, Target
from airflow_provider_sora.transfers.stream import ContentStream, TransferStoppedError

Failure = tuple[str, Exception]

log = masking.logger(__name__)

# A server without a variant sends the video in its place, or refuses the request.
_NO_VARIANT = (SoraVariantError, SoraNotFoundError, SoraBadRequestError, SoraUnsupportedError)


@dataclass(frozen=True)
class VideoToMove:
    """A video, and the slug for its files' keys."""

    manifest: VideoManifest
    slug: str


class Mover:
    """Moves videos to one store, on as many threads as call it.

    :param clients: by connection id
    :param open_store: returns the store once it is open; called as late as possible
    :param parts: the memory that all moves share
    :param optional: the variants that may be missing on the server
    :param delete: delete a video on the server once all its variants are stored and verified as complete
    :param stop: ends all moves once it is set
    """

    def __init__(
        self,
        clients: Mapping[str, SoraClient],
        open_store: Callable[[], Store],
        template: str,
        parts: PartPool,
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
        """Move all variants of a video: which were stored, and which were not and why."""
        stored: list[StoredFile] = []
        failures: list[Failure] = []
        for variant in self._variants:
            try:
                stored.append(self._move(video, variant))
            except TransferStoppedError:
                raise
            except Exception as error:  # noqa: BLE001 - the other variants are moved all the same; raised at the end
                if variant in self._optional and isinstance(error, _NO_VARIANT):
                    log.info("Video %s has no %s, which is optional: %s", video.manifest.id, variant, error)
                    continue
                failures.append((f"{variant} of video {video.manifest.id}", error))
        if self._delete and not failures:
            self._delete_video(video.manifest, stored)
        return stored, failures

    def _move(self, video: VideoToMove, variant: Variant) -> StoredFile:
        existing = ExistingFiles(self._open_store, self._if_exists, video.manifest.id, variant)
        keys = dict.fromkeys(self._key(video, variant, type_) for type_ in TYPES_OF_VARIANT[variant])
        stored = existing.find(keys, even_to_replace=self._delete)
        if stored is not None:
            log.info("The %s of video %s is already stored at %s", variant, video.manifest.id, stored.uri)
            return stored
        try:
            return self._copy(video, variant, existing)
        except SoraNotFoundError as error:
            raise self._expired(video.manifest, error) or error from error

    def _copy(self, video: VideoToMove, variant: Variant, existing: ExistingFiles) -> StoredFile:
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
                content, confirmed = upload(stream, self._open_store, target, self._parts)
            except SoraTargetExistsError:
                # Another process wrote it meanwhile: perhaps a twin of this task, or a request that was sent twice.
                stored = existing.find([key], even_to_replace=True)
                if stored is None:
                    raise
                return stored
        confirmed = self._verify(key, content) or confirmed
        uri = self._open_store().uri(key)
        log.info("Stored the %s of video %s at %s (%s bytes)", variant, video_id, uri, content.size_bytes)
        if not content.end_verified:
            log.warning("%s may be incomplete: the server did not say how long the content is", uri)
        return StoredFile.of(content, uri, verified=confirmed and content.end_verified)

    def _verify(self, key: str, content: Content) -> bool:
        """Compare the size of a file that was just written; False where the store does not allow that.

        :raises SoraContentError: it is not the one that was written
        """
        store = self._open_store()
        try:
            info = store.find(key)
        except Exception as error:  # noqa: BLE001 - each store has its own; whichever it is, the file was written
            log.warning("%s was stored, but its size could not be checked: %s", store.uri(key), error)
            return False
        size = None if info is None else info.size_bytes
        if size != content.size_bytes:
            raise SoraContentError(
                f"{store.uri(key)} has {size} bytes after {content.size_bytes} were written: another process writes to "
                "the same key"
            )
        return True

    def _key(self, video: VideoToMove, variant: Variant, content_type: str) -> str:
        return fill_key(self._template, video.manifest.id, variant, content_type, video.slug)

    def _expired(self, video: VideoManifest, error: SoraNotFoundError) -> SoraContentExpiredError | None:
        """The error for a plain 404 after the video's expiry, where the manifest has one; by the server's own clock."""
        now = time.time() + self._clients[video.conn_id].clock_offset_seconds
        if video.expires_at is None or now < video.expires_at:
            return None
        return SoraContentExpiredError(
            f"{error}; by its manifest the video expired at {video.expires_at} (unix seconds)"
        )

    def _delete_video(self, video: VideoManifest, files: list[StoredFile]) -> None:
        """Delete a video on the server, where all its files are verified as complete."""
        unverified = [file.uri for file in files if not file.verified]
        if unverified:
            log.warning(
                "Video %s was not deleted on the server: nothing proves that %s is complete",
                video.id,
                " and ".join(unverified),
            )
            return
        try:
            self._clients[video.conn_id].send(DeleteVideo(video_id=video.id))
            log.info("Deleted video %s on the server", video.id)
        except SoraNotFoundError:
            log.info("Video %s no longer exists on the server", video.id)
        except SoraError as error:
            log.warning("Video %s was stored, but could not be deleted on the server: %s", video.id, error)
