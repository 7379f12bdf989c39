"""Reads files on this machine that are sent to a server: regular files only, below allowed paths, of limited size."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import PurePath

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

# File systems whose regular files are special: reading them can block, not end, or disclose other processes.
_NEVER = ("/proc", "/sys")


def read_file(field: str, path: str, *, limit: int, allowed: Sequence[str] | None) -> bytes:
    """The content of a regular file.

    :param limit: in bytes; applies to what is read, not to the size in the file's metadata
    :param allowed: absolute paths of files and folders; None allows all
    :raises SoraConfigError: it cannot be read, is not a regular file, is too large, or is not below an allowed path
    """
    try:
        resolved = os.path.realpath(path, strict=True)
        _check_allowed(field, path, resolved, allowed)
        # O_NONBLOCK: opening a FIFO must not block. O_NOFOLLOW: the path may have become a link since.
        descriptor = os.open(resolved, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise SoraConfigError(f"{field} {quoted(path)} is not a regular file")
            if os.path.realpath(resolved) != resolved or not os.path.samestat(os.lstat(resolved), found):
                raise SoraConfigError(f"{field} {quoted(path)} was replaced while it was opened")
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, SoraConfigError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise SoraConfigError(f"{field} {quoted(path)} cannot be read: {reason}") from None
    check_length(field, content, limit)
    return content


def check_length(field: str, content: bytes, limit: int) -> None:
    """Check how much was read.

    :raises SoraConfigError: it is more than `limit` bytes
    """
    if len(content) > limit:
        raise SoraConfigError(f"{field} has more than {limit} bytes, the limit: give a smaller file")


def _check_allowed(field: str, path: str, resolved: str, allowed: Sequence[str] | None) -> None:
    if any(_is_below(resolved, root) for root in _NEVER):
        raise SoraConfigError(f"{field} {quoted(path)} is not a regular file: it is below {' or '.join(_NEVER)}")
    if allowed is not None and not any(_is_below(resolved, os.path.realpath(root)) for root in allowed):
        raise SoraConfigError(
            f"{field} {quoted(path)} is not read: {quoted(resolved)} is not below {', '.join(allowed) or 'any path'}. "
            "To allow it, extend allowed_paths in the connection's Extra or in Airflow's [sora] section"
        )


def _is_below(path: str, root: str) -> bool:
    return PurePath(path).is_relative_to(root)
