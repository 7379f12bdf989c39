"""`FileStore` by itself: on the disk, in memory, and where a file system refuses."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.exceptions import SoraConfigError, SoraTargetExistsError
from airflow_provider_sora.transfers.file_store import FileStore, FileUpload
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.store import ObjectInfo, Target

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.io.store import attach  # type: ignore[import-not-found,no-redef]

WHOLE = b"abcdef"
CONTENT = Content("video_1", "video", 6, "video/mp4", hashlib.sha256(WHOLE).hexdigest(), end_verified=True)
STORE = FileStore(None)


def part_of(*chunks: bytes) -> Part:
    part = Part()
    for chunk in chunks:
        part.add(chunk)
    return part


def target_of(folder: Path, name: str = "x", *, create_only: bool = False) -> Target:
    return Target(f"{folder.as_uri()}/{name}", "video_1", "video", "video/mp4", create_only)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(target: Target, content: bytes = WHOLE) -> bool:
    return STORE.put(target, CONTENT, part_of(content[:2], content[2:]))


def test_it_takes_parts_in_order_and_has_no_room_for_labels() -> None:
    assert (STORE.workers, STORE.keeps_metadata, STORE.uri("file:///x")) == (1, False, "file:///x")


@pytest.mark.parametrize("create_only", [True, False])
def test_a_file_is_written_hidden_and_then_has_its_name(tmp_path: Path, *, create_only: bool) -> None:
    target = target_of(tmp_path, "a/x", create_only=create_only)
    upload = STORE.begin(target)
    upload.send(1, part_of(b"abc"))
    [hidden] = names(tmp_path / "a")
    assert hidden.startswith(".x.")
    assert hidden.endswith(".part")
    assert len(hidden) == len(".x.01234567.part")
    upload.send(2, part_of(b"def"))
    assert upload.complete(CONTENT) is False  # a disk proves nothing by taking bytes
    assert names(tmp_path / "a") == ["x"]
    assert (tmp_path / "a/x").read_bytes() == WHOLE
    assert STORE.find(target.key) == ObjectInfo(6, "", {})
    assert STORE.sha256(target.key) == CONTENT.sha256


def test_a_large_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_sora.transfers.file_store._BLOCK_BYTES", 4)
    write(target_of(tmp_path))
    assert STORE.sha256(target_of(tmp_path).key) == CONTENT.sha256


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert STORE.find(target_of(tmp_path).key) is None


def test_a_file_is_replaced_in_one_step_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(SoraTargetExistsError, match="/x exists"):
        write(target_of(tmp_path, create_only=True))
    assert (names(tmp_path), (tmp_path / "x").read_bytes()) == (["x"], b"old")
    write(target_of(tmp_path))
    assert (names(tmp_path), (tmp_path / "x").read_bytes()) == (["x"], WHOLE)


def no_link(*_: object) -> None:
    raise PermissionError("this mount knows no links")


@pytest.mark.parametrize("taken", [True, False])
def test_where_there_are_no_links_only_what_is_new_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, taken: bool
) -> None:
    monkeypatch.setattr(os, "link", no_link)
    if taken:
        (tmp_path / "x").write_bytes(b"old")
        with pytest.raises(SoraTargetExistsError):
            write(target_of(tmp_path, create_only=True))
    else:
        write(target_of(tmp_path, create_only=True))
    assert (names(tmp_path), (tmp_path / "x").read_bytes()) == (["x"], b"old" if taken else WHOLE)


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, int]] = []
    monkeypatch.setattr(os, "fsync", lambda file: seen.append(((tmp_path / "x").exists(), os.fstat(file).st_size)))
    upload: Any = STORE.begin(target_of(tmp_path))
    upload.send(1, part_of(WHOLE))
    upload.complete(CONTENT)
    assert seen == [(False, len(WHOLE))]
    assert upload._file.closed


def test_between_a_look_and_a_name_nobody_can_slip_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload: Any = STORE.begin(target_of(tmp_path, create_only=True))
    upload.send(1, part_of(WHOLE))
    (tmp_path / "x").write_bytes(b"old")
    hidden = upload._hidden
    monkeypatch.setattr(type(upload._fs), "exists", lambda _, path: path == hidden)  # as it was a moment ago
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
def test_a_folder_is_no_target(tmp_path: Path, call: Callable[[Target], Any]) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(SoraConfigError, match="/x is a folder: put the name of a file behind it"):
        call(target_of(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["x"]


def test_an_abort_leaves_nothing_and_may_come_twice(tmp_path: Path) -> None:
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


def test_what_killed_tries_have_left_of_this_name_is_removed_and_nothing_else(tmp_path: Path) -> None:
    others = [".y.01234567.part", ".x.y.01234567.part", ".x.0123456.part", ".x.012345678.part", ".x.01234567.tmp0",
              "x.01234567.part", "..x.01234567.part"]  # fmt: skip
    for name in (".x.01234567.part", ".x.abcdef01.part", *others):
        (tmp_path / name).write_bytes(b"left")
    write(target_of(tmp_path))
    assert names(tmp_path) == sorted([*others, "x"])


def test_a_left_file_that_another_try_removes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".x.01234567.part").write_bytes(b"left")
    upload: Any = STORE.begin(target_of(tmp_path, "other"))
    remove = type(upload._fs).rm

    def removed_already(file_system: Any, path: str, *arguments: Any, **named: Any) -> None:
        if path.endswith(".x.01234567.part"):
            os.unlink(path)
            raise FileNotFoundError(path)
        remove(file_system, path, *arguments, **named)

    monkeypatch.setattr(type(upload._fs), "rm", removed_already)
    upload.abort()
    write(target_of(tmp_path))
    assert names(tmp_path) == ["x"]


def test_two_uploads_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """A killed task may live on beside its retry: the last one to end wins, whole."""
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


def test_the_connection_of_the_argument_is_used_and_none_hides_that_of_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, dict[str, Any]]] = []

    class Recorded:
        fs = None

        def __init__(self, key: str, **named: Any) -> None:
            made.append((key, named))

    monkeypatch.setattr("airflow_provider_sora.compat.ObjectStoragePath", Recorded, raising=False)
    FileStore("disk").check("file:///x")
    FileStore(None).check("file://disk@/x")
    assert made == [("file:///x", {"conn_id": "disk"}), ("file://disk@/x", {})]


def test_a_scheme_that_nobody_knows_is_refused() -> None:
    with pytest.raises((ValueError, ImportError)):
        STORE.check("nowhere://x/y")
