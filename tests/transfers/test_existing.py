"""`Mover` by itself: what `if_exists` means for a key that has a file already."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_sora.api.protocol.requests import Variant
from airflow_provider_sora.exceptions import SoraConfigError, SoraTargetExistsError
from airflow_provider_sora.transfers.existing import IfExists, StoredFile
from airflow_provider_sora.transfers.file_store import FileStore
from tests.transfers.golden import READABLE, UNREADABLE, golden
from tests.transfers.in_memory import (
    BODY,
    DIGEST,
    KEY,
    OLD,
    OLD_DIGEST,
    VIDEO,
    FakeClient,
    MemoryStore,
    found,
    mover_of,
    not_found,
    stored,
)


@pytest.mark.parametrize(("if_exists", "create_only"), [("replace", False), ("skip", True), ("fail", True)])
def test_only_replace_may_overwrite_a_file_that_appears_meanwhile(
    client: FakeClient, store: MemoryStore, if_exists: IfExists, *, create_only: bool
) -> None:
    mover_of(client, store, if_exists=if_exists).move(VIDEO)
    [target] = store.targets
    assert target.create_only is create_only


def test_skip_recognizes_the_same_video_without_a_request_to_the_server(client: FakeClient, store: MemoryStore) -> None:
    store.add(KEY)
    assert mover_of(client, store, if_exists="skip").move(VIDEO) == ([found()], [])
    assert client.read == []


def test_skip_finds_a_thumbnail_with_any_of_its_extensions(client: FakeClient, store: MemoryStore) -> None:
    store.add("video_1-a-thumbnail.jpg", variant="thumbnail")
    mover_of(client, store, if_exists="skip", variants=("thumbnail",)).move(VIDEO)
    assert client.read == []


@pytest.mark.parametrize(("video_id", "variant"), [("video_2", "video"), ("video_1", "thumbnail")])
def test_skip_never_mistakes_another_file_for_this_one(
    client: FakeClient, store: MemoryStore, video_id: str, variant: Variant
) -> None:
    store.add(KEY, video_id, variant)
    _, [(_, error)] = mover_of(client, store, if_exists="skip").move(VIDEO)
    assert isinstance(error, SoraTargetExistsError)
    assert f"mem://{KEY} exists and is not the video of video video_1: nothing was written" in str(error)
    assert client.read == []


def test_skip_stores_a_file_without_a_digest_again(client: FakeClient, store: MemoryStore) -> None:
    store.add(KEY, complete=False)
    assert mover_of(client, store, if_exists="skip").move(VIDEO) == ([stored()], [])
    [target] = store.targets
    assert target.create_only is False
    assert store.files[KEY][1] == BODY["video"]


def test_fail_fails_before_anything_is_read(client: FakeClient, store: MemoryStore) -> None:
    store.add(KEY)
    _, [(_, error)] = mover_of(client, store, if_exists="fail").move(VIDEO)
    assert isinstance(error, SoraTargetExistsError)
    assert client.read == []


def test_replace_looks_for_the_file_only_where_the_server_may_no_longer_have_the_video(
    client: FakeClient, store: MemoryStore
) -> None:
    store.add(KEY)
    mover_of(client, store).move(VIDEO)
    assert client.read == [("video_1", "video")]
    assert mover_of(client, store, delete=True).move(VIDEO)[1] == []
    assert client.read == [("video_1", "video")]
    store.add(KEY, "video_2")
    mover_of(client, store, delete=True).move(VIDEO)
    assert client.read == [("video_1", "video")] * 2
    assert store.files[KEY][1] == BODY["video"]


@pytest.mark.parametrize("delete", [True, False])
def test_a_key_that_cannot_be_checked_is_written_where_replacing_is_allowed(
    client: FakeClient, store: MemoryStore, caplog: pytest.LogCaptureFixture, *, delete: bool
) -> None:
    store.add(KEY, "video_2")
    store.fail_find = [PermissionError("no")] if delete else []
    assert mover_of(client, store, delete=delete).move(VIDEO) == ([stored()], [])
    assert (f"Could not check whether mem://{KEY} exists; writing it: no" in caplog.text) is delete
    for if_exists in ("skip", "fail"):
        store.fail_find = [PermissionError("no")]
        _, [(_, error)] = mover_of(client, store, delete=delete, if_exists=if_exists).move(VIDEO)
        assert isinstance(error, PermissionError)


def test_a_key_that_is_a_folder_is_an_error_even_where_replacing_is_allowed(
    client: FakeClient, store: MemoryStore
) -> None:
    store.fail_find = [SoraConfigError("a folder")]
    _, [(_, error)] = mover_of(client, store, delete=True).move(VIDEO)
    assert isinstance(error, SoraConfigError)
    assert client.read == []


@pytest.mark.parametrize("video_id", ["video_1", "video_2"])
def test_a_file_that_appears_meanwhile_is_accepted_where_it_is_the_same_video(
    client: FakeClient, store: MemoryStore, video_id: str
) -> None:
    store.before_put = lambda target: store.add(target.key, video_id)
    files, failures = mover_of(client, store, if_exists="skip").move(VIDEO)
    assert ([file.sha256 for file in files], len(failures)) == (([OLD_DIGEST], 0) if video_id == "video_1" else ([], 1))
    assert all(isinstance(error, SoraTargetExistsError) for _, error in failures)
    assert store.files[KEY][1] == OLD


def test_a_file_without_a_digest_that_appears_meanwhile_is_not_accepted(client: FakeClient, store: MemoryStore) -> None:
    store.before_put = lambda target: store.add(target.key, complete=False)
    files, [(_, error)] = mover_of(client, store, if_exists="skip").move(VIDEO)
    assert files == []
    assert isinstance(error, SoraTargetExistsError)
    assert f"mem://{KEY} already exists, and if_exists does not allow replacing it" in str(error)


@pytest.mark.parametrize("name", READABLE)
def test_skip_recognizes_what_each_known_version_has_written(client: FakeClient, store: MemoryStore, name: str) -> None:
    store.add_with(KEY, golden(name))
    [file], failures = mover_of(client, store, if_exists="skip", delete=True).move(VIDEO)
    assert (file.sha256, file.verified, failures) == (golden(name)["sha256"], True, [])
    assert (client.read, client.deleted) == ([], ["video_1"])


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("meanwhile", [True, False])
def test_skip_neither_accepts_nor_overwrites_a_file_whose_metadata_it_cannot_read(
    client: FakeClient, store: MemoryStore, name: str, *, meanwhile: bool
) -> None:
    if meanwhile:
        store.before_put = lambda target: store.add_with(target.key, golden(name))
    else:
        store.add_with(KEY, golden(name))
    files, [(_, error)] = mover_of(client, store, if_exists="skip", delete=True).move(VIDEO)
    assert files == []
    assert isinstance(error, SoraTargetExistsError)
    assert f"mem://{KEY} exists, but {UNREADABLE[name]}" in str(error)
    assert "Nothing was written. Or give the file another key, or set if_exists to 'replace'" in str(error)
    assert (client.read == []) is not meanwhile
    assert (store.files[KEY][1], client.deleted) == (OLD, [])


@pytest.mark.parametrize("name", UNREADABLE)
def test_replace_stores_a_file_again_whose_metadata_it_cannot_read_and_logs_it(
    client: FakeClient, store: MemoryStore, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    store.add_with(KEY, golden(name))
    assert mover_of(client, store, delete=True).move(VIDEO) == ([stored()], [])
    assert f"Storing mem://{KEY} again (if_exists='replace'), because {UNREADABLE[name]}" in caplog.text
    assert (store.files[KEY][1], client.deleted) == (BODY["video"], ["video_1"])


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_whose_metadata_cannot_be_read_stays_where_the_server_no_longer_has_the_video(
    client: FakeClient, store: MemoryStore, name: str
) -> None:
    store.add_with(KEY, golden(name))
    client.fail["video"] = not_found()
    files, failures = mover_of(client, store, delete=True).move(VIDEO)
    assert (files, [error for _, error in failures]) == ([], [client.fail["video"]])
    assert store.files[KEY][1] == OLD


@pytest.mark.parametrize("end_verified", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_on_file_systems_skip_compares_the_contents(
    client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, same: bool, end_verified: bool
) -> None:
    client.end_verified = end_verified
    monkeypatch.setattr(FileStore, "sha256", lambda *_: DIGEST if same else "other")
    uri = f"{tmp_path.as_uri()}/x"
    (tmp_path / "x").write_bytes(OLD)
    files, failures = mover_of(client, FileStore(None), if_exists="skip", template=uri).move(VIDEO)
    assert (tmp_path / "x").read_bytes() == OLD
    if same:
        assert files == [StoredFile("video_1", "video", uri, 100, "video/mp4", DIGEST, end_verified)]
    else:
        assert "exists and is not the video of video video_1" in str(failures[0][1])


@pytest.mark.parametrize("if_exists", ["replace", "skip"])
def test_on_file_systems_contents_are_compared_only_where_a_file_exists_and_may_be_skipped(
    client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, if_exists: IfExists
) -> None:
    monkeypatch.setattr(FileStore, "sha256", lambda *_: pytest.fail("nothing has to be compared"))
    if if_exists == "replace":
        (tmp_path / "x").write_bytes(OLD)
    _, failures = mover_of(client, FileStore(None), if_exists=if_exists, template=f"{tmp_path.as_uri()}/x").move(VIDEO)
    assert failures == []
    assert (tmp_path / "x").read_bytes() == BODY["video"]


def test_contents_are_not_compared_in_a_store_that_keeps_metadata(client: FakeClient, store: MemoryStore) -> None:
    store.add(KEY, complete=False)
    mover_of(client, store, if_exists="skip").move(VIDEO)
    assert store.sha256(KEY) is None
    assert store.files[KEY][1] == BODY["video"]
