"""`Mover` by itself, between a client and a store in memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.protocol.requests import DeleteVideo, DownloadContent, Request, Variant
from airflow_provider_sora.exceptions import (
    SoraConfigError,
    SoraContentError,
    SoraContentExpiredError,
    SoraNotFoundError,
    SoraServerError,
    SoraTargetExistsError,
)
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.transfers.file_store import FileStore
from airflow_provider_sora.transfers.mover import IfExists, Mover, StoredFile, VideoToMove
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.pipeline import Parts
from airflow_provider_sora.transfers.store import DIGEST_KEY, ObjectInfo, Store, Target, Upload
from airflow_provider_sora.transfers.stream import TransferStoppedError

BODY = {
    "video": b"\x00\x00\x00\x14ftypisom" + bytes(88),
    "thumbnail": b"\x89PNG\r\n\x1a\n" + bytes(12),
    "spritesheet": b"\xff\xd8\xff" + bytes(17),
}
TYPES = {"video": "video/mp4", "thumbnail": "image/png", "spritesheet": "image/jpeg"}
DIGEST = "5" * 64


def manifest(**fields: Any) -> VideoManifest:
    return VideoManifest(**{"id": "video_1", "status": "completed", "conn_id": "server", **fields})


def not_found(call: str = "GET /videos/video_1/content") -> SoraNotFoundError:
    return SoraNotFoundError(call, 404, "no such video")


class FakeClient:
    """A server."""

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
    """A store that keeps labels."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[ObjectInfo, bytes]] = {}
        self.targets: list[Target] = []
        self.confirms = True
        self.sizes: dict[str, int] = {}  # what somebody else has written meanwhile
        self.unseen: list[Exception] = []  # raised by look-ups, one after the other
        self.before_put: Callable[[Target], None] = lambda _: None

    def uri(self, key: str) -> str:
        return f"mem://{key}"

    def find(self, key: str) -> ObjectInfo | None:
        if self.unseen:
            raise self.unseen.pop(0)
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
            raise self.exists(target.key)
        digest = {DIGEST_KEY: content.sha256} if content.end_verified else {}
        data = part.read()
        self.files[target.key] = ObjectInfo(len(data), target.content_type, target.metadata() | digest), data
        return self.confirms

    def has(self, key: str, video_id: str = "video_1", variant: Variant = "video", **labels: str) -> None:
        """Put a file there as an earlier try of this package would have."""
        written = Target(key, video_id, variant, TYPES[variant], create_only=False).metadata()
        self.files[key] = ObjectInfo(3, "x/y", written | labels), b"old"


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def mover_of(
    client: FakeClient,
    store: Store,
    *,
    variants: tuple[Variant, ...] = ("video",),
    if_exists: IfExists = "replace",
    delete: bool = False,
    template: str = "{id}-{slug}-{variant}.{extension}",
    stop: threading.Event | None = None,
) -> Mover:
    clients: Any = {"server": client, "other": None}
    return Mover(
        clients,
        lambda: store,
        template,
        Parts(2, 1000),
        variants=variants,
        if_exists=if_exists,
        optional=frozenset(),
        delete=delete,
        stop=stop or threading.Event(),
    )


KEY = "video_1-a-video.mp4"
VIDEO = VideoToMove(manifest(), "a")


def stored(key: str = KEY, variant: Variant = "video", *, verified: bool = True) -> StoredFile:
    return StoredFile("video_1", variant, f"mem://{key}", len(BODY[variant]), TYPES[variant], DIGEST, verified)


def test_each_variant_is_moved_to_its_key_with_what_is_known_of_it(client: FakeClient, store: MemoryStore) -> None:
    files, failures = mover_of(client, store, variants=("video", "thumbnail", "spritesheet")).move(VIDEO)
    keys = ["video_1-a-video.mp4", "video_1-a-thumbnail.png", "video_1-a-spritesheet.jpg"]
    variants: list[Variant] = ["video", "thumbnail", "spritesheet"]
    assert files == [stored(key, variant) for key, variant in zip(keys, variants, strict=True)]
    assert failures == []
    assert [store.files[key][1] for key in keys] == list(BODY.values())
    assert store.targets == [
        Target(key, "video_1", variant, TYPES[variant], create_only=False)
        for key, variant in zip(keys, variants, strict=True)
    ]
    assert client.deleted == []


def test_one_variant_that_fails_leaves_the_others(client: FakeClient, store: MemoryStore) -> None:
    error = client.fail["video"] = SoraServerError("GET", 500, "no")
    files, failures = mover_of(client, store, variants=("video", "thumbnail"), delete=True).move(VIDEO)
    assert [file.variant for file in files] == ["thumbnail"]
    assert failures == [("video of video video_1", error)]
    assert client.deleted == []


def test_a_stop_ends_it_at_once(client: FakeClient, store: MemoryStore) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(TransferStoppedError):
        mover_of(client, store, stop=stop).move(VIDEO)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_size_than_was_written_is_an_error(
    client: FakeClient, store: MemoryStore, change: int
) -> None:
    size = len(BODY["video"])
    store.sizes[KEY] = size + change
    files, [(_, error)] = mover_of(client, store, delete=True).move(VIDEO)
    assert files == []
    assert isinstance(error, SoraContentError)
    assert f"mem://{KEY} has {size + change} bytes after {size} were written: something else writes" in str(error)
    assert client.deleted == []


def test_a_file_that_is_gone_after_it_was_written_is_an_error(client: FakeClient, store: MemoryStore) -> None:
    store.put = lambda *_: True  # type: ignore[method-assign]
    _, [(_, error)] = mover_of(client, store).move(VIDEO)
    assert "has None bytes after 100 were written" in str(error)


@pytest.mark.parametrize("confirms", [True, False])
@pytest.mark.parametrize("end_verified", [True, False])
@pytest.mark.parametrize("seen", [True, False])
def test_only_what_is_proved_at_both_ends_is_deleted(
    client: FakeClient,
    store: MemoryStore,
    caplog: pytest.LogCaptureFixture,
    *,
    confirms: bool,
    end_verified: bool,
    seen: bool,
) -> None:
    client.end_verified, store.confirms = end_verified, confirms
    store.unseen = [] if seen else [PermissionError("no")] * 2
    proved = end_verified and (seen or confirms)
    assert mover_of(client, store, delete=True).move(VIDEO) == ([stored(verified=proved)], [])
    assert client.deleted == (["video_1"] if proved else [])
    assert (f"Video video_1 stays on the server: nothing proves that mem://{KEY} is whole" in caplog.text) is not proved
    assert (f"Nothing proves that mem://{KEY} is whole" in caplog.text) is not end_verified
    assert (f"mem://{KEY} is stored, but cannot be looked up: no" in caplog.text) is not seen


def test_one_doubtful_file_of_two_keeps_the_video(
    client: FakeClient, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.has(KEY, sha256="d")
    client.end_verified = False
    files, _ = mover_of(client, store, variants=("video", "thumbnail"), delete=True).move(VIDEO)
    assert [file.verified for file in files] == [True, False]
    assert client.deleted == []
    assert "nothing proves that mem://video_1-a-thumbnail.png is whole" in caplog.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (not_found("DELETE /videos/video_1"), "Video video_1 is no longer on the server"),
        (SoraServerError("DELETE", 500, "no"), "Video video_1 is stored, but stays on the server: DELETE answered"),
        (None, "Video video_1 was deleted on the server"),
    ],
)
def test_a_video_that_cannot_be_deleted_is_moved_all_the_same(
    client: FakeClient, store: MemoryStore, caplog: pytest.LogCaptureFixture, error: Any, words: str
) -> None:
    client.fail_delete = error
    caplog.set_level(logging.INFO)
    assert mover_of(client, store, delete=True).move(VIDEO) == ([stored()], [])
    assert words in caplog.text


@pytest.mark.parametrize(
    ("expires_at", "offset", "expired"),
    [(2000, 0.0, False), (1000, 0.0, True), (2000, 999, False), (2000, 1000, True), (None, 5000, False)],
)
def test_a_404_after_the_time_in_the_manifest_is_an_expiry_by_the_servers_clock(
    client: FakeClient,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    expires_at: int | None,
    offset: float,
    *,
    expired: bool,
) -> None:
    monkeypatch.setattr("airflow_provider_sora.transfers.mover.time.time", lambda: 1000.0)
    client.clock_offset_seconds = offset
    client.fail["video"] = not_found()
    _, [(_, error)] = mover_of(client, store).move(VideoToMove(manifest(expires_at=expires_at), "a"))
    assert isinstance(error, SoraContentExpiredError if expired else SoraNotFoundError)
    assert (f"its manifest says it was kept until {expires_at} (unix seconds)" in str(error)) is expired


@pytest.mark.parametrize(("if_exists", "create_only"), [("replace", False), ("skip", True), ("fail", True)])
def test_only_replace_writes_over_what_comes_meanwhile(
    client: FakeClient, store: MemoryStore, if_exists: IfExists, *, create_only: bool
) -> None:
    mover_of(client, store, if_exists=if_exists).move(VIDEO)
    [target] = store.targets
    assert target.create_only is create_only


def test_skip_takes_this_very_video_without_asking_the_server(client: FakeClient, store: MemoryStore) -> None:
    store.has(KEY, sha256="d")
    expected = StoredFile("video_1", "video", f"mem://{KEY}", 3, "x/y", "d", verified=True)
    assert mover_of(client, store, if_exists="skip").move(VIDEO) == ([expected], [])
    assert client.read == []


def test_skip_finds_a_picture_by_any_of_its_types(client: FakeClient, store: MemoryStore) -> None:
    store.has("video_1-a-thumbnail.jpg", variant="thumbnail", sha256="d")
    mover_of(client, store, if_exists="skip", variants=("thumbnail",)).move(VIDEO)
    assert client.read == []


@pytest.mark.parametrize(("video_id", "variant"), [("video_2", "video"), ("video_1", "thumbnail")])
def test_skip_never_takes_another_file_for_this_one(
    client: FakeClient, store: MemoryStore, video_id: str, variant: Variant
) -> None:
    store.has(KEY, video_id, variant, sha256="d")
    _, [(_, error)] = mover_of(client, store, if_exists="skip").move(VIDEO)
    assert isinstance(error, SoraTargetExistsError)
    assert f"mem://{KEY} exists and is not the video of video video_1: nothing was written" in str(error)
    assert client.read == []


def test_skip_writes_again_what_has_no_digest(client: FakeClient, store: MemoryStore) -> None:
    store.has(KEY)
    assert mover_of(client, store, if_exists="skip").move(VIDEO) == ([stored()], [])
    [target] = store.targets
    assert target.create_only is False
    assert store.files[KEY][1] == BODY["video"]


def test_fail_fails_before_anything_is_read(client: FakeClient, store: MemoryStore) -> None:
    store.has(KEY, sha256="d")
    _, [(_, error)] = mover_of(client, store, if_exists="fail").move(VIDEO)
    assert isinstance(error, SoraTargetExistsError)
    assert client.read == []


def test_replace_looks_only_where_the_server_may_not_have_the_video_any_more(
    client: FakeClient, store: MemoryStore
) -> None:
    store.has(KEY, sha256="d")
    mover_of(client, store).move(VIDEO)
    assert client.read == [("video_1", "video")]
    assert mover_of(client, store, delete=True).move(VIDEO)[1] == []
    assert client.read == [("video_1", "video")]
    store.has(KEY, "video_2", sha256="d")
    mover_of(client, store, delete=True).move(VIDEO)
    assert client.read == [("video_1", "video")] * 2
    assert store.files[KEY][1] == BODY["video"]


@pytest.mark.parametrize("delete", [True, False])
def test_a_target_that_cannot_be_looked_up_is_replaced_where_that_is_allowed(
    client: FakeClient, store: MemoryStore, caplog: pytest.LogCaptureFixture, *, delete: bool
) -> None:
    store.has(KEY, "video_2", sha256="d")
    store.unseen = [PermissionError("no")] if delete else []
    assert mover_of(client, store, delete=delete).move(VIDEO) == ([stored()], [])
    assert (f"mem://{KEY} cannot be looked up, and will be written: no" in caplog.text) is delete
    for if_exists in ("skip", "fail"):
        store.unseen = [PermissionError("no")]
        _, [(_, error)] = mover_of(client, store, delete=delete, if_exists=if_exists).move(VIDEO)
        assert isinstance(error, PermissionError)


def test_an_error_of_ours_while_looking_is_raised(client: FakeClient, store: MemoryStore) -> None:
    store.unseen = [SoraConfigError("a folder")]
    _, [(_, error)] = mover_of(client, store, delete=True).move(VIDEO)
    assert isinstance(error, SoraConfigError)
    assert client.read == []


@pytest.mark.parametrize("video_id", ["video_1", "video_2"])
def test_a_file_that_comes_meanwhile_is_taken_where_it_is_this_very_one(
    client: FakeClient, store: MemoryStore, video_id: str
) -> None:
    store.before_put = lambda target: store.has(target.key, video_id, sha256="d")
    files, failures = mover_of(client, store, if_exists="skip").move(VIDEO)
    assert ([file.sha256 for file in files], len(failures)) == ((["d"], 0) if video_id == "video_1" else ([], 1))
    assert all(isinstance(error, SoraTargetExistsError) for _, error in failures)
    assert store.files[KEY][1] == b"old"


def test_a_file_without_a_digest_that_comes_meanwhile_is_not_taken(client: FakeClient, store: MemoryStore) -> None:
    store.before_put = lambda target: store.has(target.key)
    files, [(_, error)] = mover_of(client, store, if_exists="skip").move(VIDEO)
    assert files == []
    assert isinstance(error, SoraTargetExistsError)
    assert f"mem://{KEY} exists, and is not to be replaced (if_exists)" in str(error)


@pytest.mark.parametrize("end_verified", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_on_disks_skip_compares_the_contents(
    client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, same: bool, end_verified: bool
) -> None:
    client.end_verified = end_verified
    monkeypatch.setattr(FileStore, "sha256", lambda *_: DIGEST if same else "other")
    uri = f"{tmp_path.as_uri()}/x"
    (tmp_path / "x").write_bytes(b"old")
    files, failures = mover_of(client, FileStore(None), if_exists="skip", template=uri).move(VIDEO)
    assert (tmp_path / "x").read_bytes() == b"old"
    if same:
        assert files == [StoredFile("video_1", "video", uri, 100, "video/mp4", DIGEST, end_verified)]
    else:
        assert "exists and is not the video of video video_1" in str(failures[0][1])


@pytest.mark.parametrize("if_exists", ["replace", "skip"])
def test_on_disks_a_file_is_compared_only_where_there_is_one_and_skip_is_asked_for(
    client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, if_exists: IfExists
) -> None:
    monkeypatch.setattr(FileStore, "sha256", lambda *_: pytest.fail("nothing is to be compared"))
    if if_exists == "replace":
        (tmp_path / "x").write_bytes(b"old")
    _, failures = mover_of(client, FileStore(None), if_exists=if_exists, template=f"{tmp_path.as_uri()}/x").move(VIDEO)
    assert failures == []
    assert (tmp_path / "x").read_bytes() == BODY["video"]
