"""`Mover` by itself: which files count as verified, and which videos are deleted on the server afterwards."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_sora.exceptions import SoraContentError, SoraServerError
from tests.transfers.in_memory import BODY, KEY, VIDEO, FakeClient, MemoryStore, mover_of, not_found, stored


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_size_than_was_written_is_an_error(
    client: FakeClient, store: MemoryStore, change: int
) -> None:
    size = len(BODY["video"])
    store.sizes[KEY] = size + change
    files, [(_, error)] = mover_of(client, store, delete=True).move(VIDEO)
    assert files == []
    assert isinstance(error, SoraContentError)
    assert f"mem://{KEY} has {size + change} bytes after {size} were written: another process writes" in str(error)
    assert client.deleted == []


def test_a_file_that_no_longer_exists_after_it_was_written_is_an_error(client: FakeClient, store: MemoryStore) -> None:
    store.put = lambda *_: True  # type: ignore[method-assign]
    _, [(_, error)] = mover_of(client, store).move(VIDEO)
    assert "has None bytes after 100 were written" in str(error)


@pytest.mark.parametrize("confirms", [True, False])
@pytest.mark.parametrize("end_verified", [True, False])
@pytest.mark.parametrize("found", [True, False])
def test_a_video_is_deleted_only_where_download_and_upload_are_verified(
    client: FakeClient,
    store: MemoryStore,
    caplog: pytest.LogCaptureFixture,
    *,
    confirms: bool,
    end_verified: bool,
    found: bool,
) -> None:
    client.end_verified, store.confirms = end_verified, confirms
    store.fail_find = [] if found else [PermissionError("no")] * 2
    verified = end_verified and (found or confirms)
    assert mover_of(client, store, delete=True).move(VIDEO) == ([stored(verified=verified)], [])
    assert client.deleted == (["video_1"] if verified else [])
    kept = f"Video video_1 was not deleted on the server: nothing proves that mem://{KEY} is complete"
    assert (kept in caplog.text) is not verified
    assert (f"mem://{KEY} may be incomplete: the server did not say" in caplog.text) is not end_verified
    assert (f"mem://{KEY} was stored, but its size could not be checked: no" in caplog.text) is not found


def test_one_unverified_file_of_two_keeps_the_video(
    client: FakeClient, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.add(KEY)
    client.end_verified = False
    files, _ = mover_of(client, store, variants=("video", "thumbnail"), delete=True).move(VIDEO)
    assert [file.verified for file in files] == [True, False]
    assert client.deleted == []
    assert "nothing proves that mem://video_1-a-thumbnail.png is complete" in caplog.text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (not_found("DELETE /videos/video_1"), "Video video_1 no longer exists on the server"),
        (
            SoraServerError("DELETE", 500, "no"),
            "Video video_1 was stored, but could not be deleted on the server: DELETE",
        ),
        (None, "Deleted video video_1 on the server"),
    ],
)
def test_a_video_that_cannot_be_deleted_is_moved_all_the_same(
    client: FakeClient, store: MemoryStore, caplog: pytest.LogCaptureFixture, error: Any, line: str
) -> None:
    client.fail_delete = error
    caplog.set_level(logging.INFO)
    assert mover_of(client, store, delete=True).move(VIDEO) == ([stored()], [])
    assert line in caplog.text
