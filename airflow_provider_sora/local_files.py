"""Reading a file of this machine for a server elsewhere: regular files only, below allowed paths, in bounds."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import PurePath

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

# File systems whose regular files are none: reading them can block, never end, or tell of other processes.
_NEVER = ("/proc", "/sys")


def read_file(field: str, path: str, *, limit: int, allowed: Sequence[str] | None) -> bytes:
    """The content of a regular file.

    :param limit: the most bytes that are read; what a file's size says is not believed
    :param allowed: absolute paths of files and folders; None allows all
    :raises SoraConfigError: it cannot be read, is something else, is too large, or is elsewhere
    """
    try:
        resolved = os.path.realpath(path, strict=True)
        _check_allowed(field, path, resolved, allowed)
        # Without O_NONBLOCK a FIFO would be waited for; a link that is put there now is not followed.
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
        why = getattr(error, "strerror", None) or error
        raise SoraConfigError(f"{field} {quoted(path)} cannot be read: {why}") from None
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
            "Files may be read from where allowed_paths says, in the connection's Extra or in Airflow's [sora] section"
        )


def _is_below(path: str, root: str) -> bool:
    return PurePath(path).is_relative_to(root)
