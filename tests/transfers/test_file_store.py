"""`FileStore` by itself: on the disk, in memory, and where a file system returns errors."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_sora.exceptions import SoraConfigError, SoraTargetExistsError
from airflow_provider_sora.transfers.file_store import FileStore, FileUpload
from airflow_provider_sora.transfers.store import ObjectInfo, Target
from tests.transfers.store_inputs import content_of, part_of

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.io.store import attach  # type: ignore[import-not-found,no-redef]

WHOLE = b"abcdef"
CONTENT = content_of(WHOLE)
STORE = FileStore(None)


def target_of(folder: Path, name: str = "x", *, create_only: bool = False) -> Target:
    return Target(f"{folder.as_uri()}/{name}", "video_1", "video", "video/mp4", create_only)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(target: Target, content: bytes = WHOLE) -> bool:
    return STORE.put(target, CONTENT, part_of(content[:2], content[2:]))


def test_it_has_one_worker_and_keeps_no_metadata() -> None:
    assert (STORE.workers, STORE.keeps_metadata, STORE.uri("file:///x")) == (1, False, "file:///x")


@pytest.mark.parametrize("create_only", [True, False])
def test_a_file_is_written_under_a_hidden_name_and_renamed(tmp_path: Path, *, create_only: bool) -> None:
    target = target_of(tmp_path, "a/x", create_only=create_only)
    upload = STORE.begin(target)
    upload.send(1, part_of(b"abc"))
    [hidden] = names(tmp_path / "a")
    assert hidden.startswith(".x.")
    assert hidden.endswith(".part")
    assert len(hidden) == len(".x.01234567.part")
    upload.send(2, part_of(b"def"))
    assert upload.complete(CONTENT) is False  # a file system confirms nothing
    assert names(tmp_path / "a") == ["x"]
    assert (tmp_path / "a/x").read_bytes() == WHOLE
    assert STORE.find(target.key) == ObjectInfo(6, "", {})
    assert STORE.sha256(target.key) == CONTENT.sha256


def test_a_large_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_sora.transfers.file_store._BLOCK_BYTES", 4)
    write(target_of(tmp_path))
    assert STORE.sha256(target_of(tmp_path).key) == CONTENT.sha256


def test_a_file_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    assert STORE.find(target_of(tmp_path).key) is None


def test_a_file_is_replaced_in_one_step_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(SoraTargetExistsError, match="/x already exists"):
        write(target_of(tmp_path, create_only=True))
    assert (names(tmp_path), (tmp_path / "x").read_bytes()) == (["x"], b"old")
    write(target_of(tmp_path))
    assert (names(tmp_path), (tmp_path / "x").read_bytes()) == (["x"], WHOLE)


def no_link(*_: object) -> None:
    raise PermissionError("this mount has no hard links")


@pytest.mark.parametrize("exists", [True, False])
def test_create_only_holds_without_hard_links_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    monkeypatch.setattr(os, "link", no_link)
    if exists:
        (tmp_path / "x").write_bytes(b"old")
        with pytest.raises(SoraTargetExistsError):
            write(target_of(tmp_path, create_only=True))
    else:
        write(target_of(tmp_path, create_only=True))
    assert (names(tmp_path), (tmp_path / "x").read_bytes()) == (["x"], b"old" if exists else WHOLE)


def test_a_file_is_flushed_to_the_disk_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, int]] = []
    monkeypatch.setattr(os, "fsync", lambda file: seen.append(((tmp_path / "x").exists(), os.fstat(file).st_size)))
    upload: Any = STORE.begin(target_of(tmp_path))
    upload.send(1, part_of(WHOLE))
    upload.complete(CONTENT)
    assert seen == [(False, len(WHOLE))]
    assert upload._file.closed


def test_a_file_that_appears_after_the_last_check_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload: Any = STORE.begin(target_of(tmp_path, create_only=True))
    upload.send(1, part_of(WHOLE))
    (tmp_path / "x").write_bytes(b"old")
    hidden = upload._hidden
    monkeypatch.setattr(
        type(upload._fs), "exists", lambda _, path: path == hidden
    )  # the result of a check before the file appeared
    with pytest.raises(SoraTargetExistsError):
        upload.complete(CONTENT)
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_file_system_without_descriptors_is_written_to(memory: MemoryFileSystem) -> None:
    target = Target("memory://bucket/a/x", "video_1", "video", "video/mp4", create_only=True)
    write(target)
    assert list(memory.store) == ["/bucket/a/x"]
    assert STORE.find(target.key) == ObjectInfo(6, "", {})
    with pytest.raises(SoraTargetExistsError):
        write(target)
    write(replace(target, create_only=False), b"other")
    assert memory.store["/bucket/a/x"].getvalue() == b"other"


@pytest.fixture
def memory() -> MemoryFileSystem:
    file_system = MemoryFileSystem()
    attach("memory", fs=file_system)
    file_system.store.clear()
    return file_system


@pytest.mark.parametrize("call", [write, lambda target: STORE.find(target.key), STORE.begin])
def test_a_folder_is_refused(tmp_path: Path, call: Callable[[Target], Any]) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(SoraConfigError, match="/x is a folder: add a file name to it"):
        call(target_of(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["x"]


def test_an_abort_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    upload = STORE.begin(target_of(tmp_path))
    upload.send(1, part_of(WHOLE))
    assert isinstance(upload, FileUpload)
    upload.abort()
    assert names(tmp_path) == []
    assert upload._file.closed
    upload.abort()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(FileUpload, "send", full)
    with pytest.raises(OSError, match="No space left"):
        write(target_of(tmp_path))
    assert names(tmp_path) == []


def test_hidden_files_of_killed_tries_with_this_name_are_removed_and_no_others(tmp_path: Path) -> None:
    others = [".y.01234567.part", ".x.y.01234567.part", ".x.0123456.part", ".x.012345678.part", ".x.01234567.tmp0",
              "x.01234567.part", "..x.01234567.part"]  # fmt: skip
    for name in (".x.01234567.part", ".x.abcdef01.part", *others):
        (tmp_path / name).write_bytes(b"left")
    write(target_of(tmp_path))
    assert names(tmp_path) == sorted([*others, "x"])


def test_a_hidden_file_that_another_try_removes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".x.01234567.part").write_bytes(b"left")
    upload: Any = STORE.begin(target_of(tmp_path, "other"))
    remove = type(upload._fs).rm

    def remove_before(file_system: Any, path: str, *arguments: Any, **named: Any) -> None:
        if path.endswith(".x.01234567.part"):
            os.unlink(path)
            raise FileNotFoundError(path)
        remove(file_system, path, *arguments, **named)

    monkeypatch.setattr(type(upload._fs), "rm", remove_before)
    upload.abort()
    write(target_of(tmp_path))
    assert names(tmp_path) == ["x"]


def test_two_uploads_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    """A killed task may still be running beside its retry: the file is that of the last one to end."""
    first = FileStore(None).begin(target_of(tmp_path))
    first.send(1, part_of(b"first"))
    hidden = names(tmp_path)
    assert len(hidden) == 1
    second = STORE.begin(target_of(tmp_path))
    assert names(tmp_path) != hidden
    second.send(1, part_of(WHOLE))
    second.complete(CONTENT)
    first.abort()
    assert (names(tmp_path), (tmp_path / "x").read_bytes()) == (["x"], WHOLE)


def test_a_connection_id_is_passed_on_and_none_does_not_hide_that_in_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[tuple[str, dict[str, Any]]] = []

    class Recorded:
        fs = None

        def __init__(self, key: str, **named: Any) -> None:
            created.append((key, named))

    monkeypatch.setattr("airflow_provider_sora.compat.ObjectStoragePath", Recorded, raising=False)
    FileStore("disk").check("file:///x")
    FileStore(None).check("file://disk@/x")
    assert created == [("file:///x", {"conn_id": "disk"}), ("file://disk@/x", {})]


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises((ValueError, ImportError)):
        STORE.check("nowhere://x/y")
