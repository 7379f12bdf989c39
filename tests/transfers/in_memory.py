"""A video server and a store in memory, for tests of `Mover` by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.protocol.requests import DeleteVideo, DownloadContent, Request, Variant
from airflow_provider_sora.exceptions import SoraNotFoundError
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.transfers import object_metadata
from airflow_provider_sora.transfers.existing import IfExists, StoredFile
from airflow_provider_sora.transfers.mover import Mover, VideoToMove
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.pipeline import PartPool
from airflow_provider_sora.transfers.store import ObjectInfo, Store, Target, Upload

BODY = {
    "video": b"\x00\x00\x00\x14ftypisom" + bytes(88),
    "thumbnail": b"\x89PNG\r\n\x1a\n" + bytes(12),
    "spritesheet": b"\xff\xd8\xff" + bytes(17),
}
TYPES = {"video": "video/mp4", "thumbnail": "image/png", "spritesheet": "image/jpeg"}
DIGEST = "5" * 64
OLD_DIGEST = "d" * 64
OLD = b"old"
KEY = "video_1-a-video.mp4"


def manifest(**fields: Any) -> VideoManifest:
    return VideoManifest(**{"id": "video_1", "status": "completed", "conn_id": "server", **fields})


VIDEO = VideoToMove(manifest(), "a")


def not_found(call: str = "GET /videos/video_1/content") -> SoraNotFoundError:
    return SoraNotFoundError(call, 404, "no such video")


class FakeClient:
    """A video server.

    :ivar fail: by variant the error of its content
    """

    def __init__(self) -> None:
        self.clock_offset_seconds = 0.0
        self.end_verified = True
        self.fail: dict[str, Exception] = {}
        self.fail_delete: Exception | None = None
        self.read: list[tuple[str, str]] = []
        self.deleted: list[str] = []

    def read_content(
        self, request: DownloadContent, on_open: Callable[[int | None], None]
    ) -> Generator[bytes, None, Content]:
        variant = request.variant
        self.read.append((request.video_id, variant))
        if variant in self.fail:
            raise self.fail[variant]
        body = BODY[variant]
        on_open(len(body))
        yield body[:30]
        yield body[30:]
        return Content(request.video_id, variant, len(body), TYPES[variant], DIGEST, self.end_verified)

    def send(self, request: Request[Any]) -> None:
        assert isinstance(request, DeleteVideo)
        if self.fail_delete:
            raise self.fail_delete
        self.deleted.append(request.video_id)


class MemoryStore(Store, Upload):
    """A store that keeps object metadata.

    :ivar sizes: by key the size that another process has written meanwhile
    :ivar fail_find: the errors of `find`, each once
    :ivar before_put: called before a file is written
    """

    def __init__(self) -> None:
        self.files: dict[str, tuple[ObjectInfo, bytes]] = {}
        self.targets: list[Target] = []
        self.confirms = True
        self.sizes: dict[str, int] = {}
        self.fail_find: list[Exception] = []
        self.before_put: Callable[[Target], None] = lambda _: None

    def uri(self, key: str) -> str:
        return f"mem://{key}"

    def find(self, key: str) -> ObjectInfo | None:
        if self.fail_find:
            raise self.fail_find.pop(0)
        found = self.files.get(key)
        if found is None:
            return None
        return replace(found[0], size_bytes=self.sizes.get(key, found[0].size_bytes))

    def begin(self, target: Target) -> Upload:
        raise AssertionError("these files have one part")

    send = complete = abort = begin  # type: ignore[assignment]

    def put(self, target: Target, content: Content, part: Part) -> bool:
        self.targets.append(target)
        self.before_put(target)
        if target.create_only and target.key in self.files:
            raise self.exists_error(target.key)
        data = part.read()
        metadata = target.metadata() | object_metadata.digest(content)
        self.files[target.key] = ObjectInfo(len(data), target.content_type, metadata), data
        return self.confirms

    def add(self, key: str, video_id: str = "video_1", variant: Variant = "video", *, complete: bool = True) -> None:
        """Add a file that an earlier try has stored; with a digest if it is complete."""
        digest = {object_metadata.DIGEST_KEY: OLD_DIGEST} if complete else {}
        self.add_with(key, object_metadata.identity(video_id, variant) | digest)

    def add_with(self, key: str, metadata: dict[str, str]) -> None:
        """Add a file with this metadata."""
        self.files[key] = ObjectInfo(len(OLD), "x/y", metadata), OLD


def mover_of(
    client: FakeClient,
    store: Store,
    *,
    variants: tuple[Variant, ...] = ("video",),
    if_exists: IfExists = "replace",
    optional: frozenset[Variant] = frozenset(),
    delete: bool = False,
    template: str = "{id}-{slug}-{variant}.{extension}",
    stop: threading.Event | None = None,
) -> Mover:
    clients: Any = {"server": client, "other": None}
    return Mover(
        clients,
        lambda: store,
        template,
        PartPool(2, 1000),
        variants=variants,
        if_exists=if_exists,
        optional=optional,
        delete=delete,
        stop=stop or threading.Event(),
    )


def stored(key: str = KEY, variant: Variant = "video", *, verified: bool = True) -> StoredFile:
    """The result for a file that was moved."""
    return StoredFile("video_1", variant, f"mem://{key}", len(BODY[variant]), TYPES[variant], DIGEST, verified)


def found(key: str = KEY) -> StoredFile:
    """The result for a file that an earlier try has stored."""
    return StoredFile("video_1", "video", f"mem://{key}", len(OLD), "x/y", OLD_DIGEST, verified=True)
