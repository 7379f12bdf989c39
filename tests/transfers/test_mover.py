"""`Mover` by itself: which variants are moved to which keys, and what happens where one fails."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_sora.api.protocol.requests import Variant
from airflow_provider_sora.exceptions import (
    SoraContentExpiredError,
    SoraNotFoundError,
    SoraServerError,
    SoraVariantError,
)
from airflow_provider_sora.transfers.mover import VideoToMove
from airflow_provider_sora.transfers.store import Target
from airflow_provider_sora.transfers.stream import TransferStoppedError
from tests.transfers.in_memory import (
    BODY,
    TYPES,
    VIDEO,
    FakeClient,
    MemoryStore,
    manifest,
    mover_of,
    not_found,
    stored,
)


def test_each_variant_is_moved_to_its_key_with_its_type_and_identity(client: FakeClient, store: MemoryStore) -> None:
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


def test_other_variants_are_moved_where_one_fails(client: FakeClient, store: MemoryStore) -> None:
    error = client.fail["video"] = SoraServerError("GET", 500, "no")
    files, failures = mover_of(client, store, variants=("video", "thumbnail"), delete=True).move(VIDEO)
    assert [file.variant for file in files] == ["thumbnail"]
    assert failures == [("video of video video_1", error)]
    assert client.deleted == []


@pytest.mark.parametrize("optional", [True, False])
def test_an_optional_variant_that_the_server_lacks_is_skipped_and_the_next_one_is_moved(
    client: FakeClient, store: MemoryStore, *, optional: bool
) -> None:
    client.fail["thumbnail"] = SoraVariantError("another file came")
    variants: tuple[Variant, ...] = ("video", "thumbnail", "spritesheet")
    mover = mover_of(client, store, variants=variants, optional=frozenset(variants[1:] if optional else ()))
    files, failures = mover.move(VIDEO)
    assert [file.variant for file in files] == ["video", "spritesheet"]
    assert [name for name, _ in failures] == ([] if optional else ["thumbnail of video video_1"])


def test_an_optional_variant_that_fails_for_another_reason_is_a_failure(client: FakeClient, store: MemoryStore) -> None:
    error = client.fail["thumbnail"] = SoraServerError("GET", 500, "no")
    mover = mover_of(client, store, variants=("thumbnail",), optional=frozenset({"thumbnail"}))
    assert mover.move(VIDEO) == ([], [("thumbnail of video video_1", error)])


def test_setting_stop_ends_a_move_at_once(client: FakeClient, store: MemoryStore) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(TransferStoppedError):
        mover_of(client, store, stop=stop).move(VIDEO)


@pytest.mark.parametrize(
    ("expires_at", "offset", "expired"),
    [(2000, 0.0, False), (1000, 0.0, True), (2000, 999, False), (2000, 1000, True), (None, 5000, False)],
)
def test_a_404_after_the_expiry_in_the_manifest_is_an_expiry_by_the_servers_clock(
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
    assert (f"by its manifest the video expired at {expires_at} (unix seconds)" in str(error)) is expired
