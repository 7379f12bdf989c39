from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.local_files import read_file


def read(path: object, limit: int = 100, allowed: list[str] | None = None) -> bytes:
    return read_file("video", str(path), limit=limit, allowed=allowed)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "a.png"
    found.write_bytes(b"x" * 100)
    return found


def test_a_regular_file_is_read_whole_or_not(file: Path) -> None:
    assert read(file) == b"x" * 100
    with pytest.raises(SoraConfigError, match=r"video has more than 99 bytes, the limit"):
        read(file, 99)


@pytest.mark.parametrize(
    "path", ["/dev/zero", "/dev/stdin", "/dev/null", "/proc/self/environ", "/sys/kernel/mm", "/dev"]
)
def test_devices_and_what_the_kernel_makes_up_are_no_files(path: str) -> None:
    with pytest.raises(SoraConfigError, match=r"is not a regular file|cannot be read"):
        read(path)


def test_a_fifo_a_socket_and_a_folder_are_no_files_and_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "socket", "folder"):
        with pytest.raises(SoraConfigError, match=r"is not a regular file|cannot be read"):
            read(tmp_path / name)
    listener.close()


@pytest.mark.parametrize("path", ["a\0b", "", "x" * 5000, "/nowhere/x", "~nobody/x", "\ud800"])
def test_a_path_that_leads_nowhere_is_named(path: str) -> None:
    with pytest.raises(SoraConfigError, match=r"cannot be read"):
        read(path)


def test_a_file_is_where_its_links_lead(tmp_path: Path, file: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "in.png").write_bytes(b"in")
    (allowed / "out.png").symlink_to(file)
    (tmp_path / "to_in.png").symlink_to(allowed / "in.png")
    (tmp_path / "link").symlink_to(allowed)
    roots = [str(tmp_path / "link")]
    assert read(tmp_path / "to_in.png", allowed=roots) == b"in"
    for path in (allowed / "out.png", f"{allowed}/../a.png", f"{allowed}x/a.png", file):
        with pytest.raises(SoraConfigError, match=r"is not read: .* is not below|cannot be read"):
            read(path, allowed=roots)
    with pytest.raises(SoraConfigError, match=r"is not below any path. To allow it, extend allowed_paths"):
        read(file, allowed=[])
    assert read(file, allowed=[str(file)])


def test_a_file_that_is_replaced_while_it_is_opened_is_not_read(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def replace_and_open(path: str, flags: int) -> int:
        descriptor = opened(path, flags)
        file.rename(tmp_path / "elsewhere")
        file.symlink_to("/etc/passwd")
        return descriptor

    monkeypatch.setattr("airflow_provider_sora.local_files.os.open", replace_and_open)
    with pytest.raises(SoraConfigError, match=r"was replaced while it was opened"):
        read(file)
