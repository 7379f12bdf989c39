"""Certificate contexts for TLS, each made once: reading a CA bundle takes about 0.1 s and some megabytes."""

from __future__ import annotations

import os
import ssl
import threading
from functools import lru_cache
from typing import Any

from airflow_provider_sora.exceptions import SoraConfigError

_MOST_CONTEXTS = 8
_lock = threading.Lock()

# Path, device, inode, size and time of the last change: what tells a bundle that was replaced from the one read before.
_Bundle = tuple[str, int, int, int, int]


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """The context for a server whose certificate is checked; the same one until the CA bundle changes.

    Not for an event loop, unless it has been made before.

    :param verify: the path of a CA bundle; True for the system's
    :raises SoraConfigError: the path is no CA bundle
    """
    key = _bundles(verify)
    with _lock:  # threads that need the same context at once wait for the first instead of making one each
        return _make(verify, key)


class LazyTLSContext(ssl.SSLContext):
    """A context that reads the CA bundle when a connection is first encrypted, which over plain HTTP is never.

    An event loop is not held up: anyio calls `wrap_bio` of any class but Python's own in a thread.

    :raises SoraConfigError: there is no file at the path
    """

    _verify: bool | str

    def __new__(cls, verify: bool | str) -> LazyTLSContext:
        _bundles(verify)
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made._verify = verify
        return made

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        """Encrypt a socket's connection."""
        return tls_context(self._verify).wrap_socket(*arguments, **named)

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """Encrypt a connection of an event loop."""
        return tls_context(self._verify).wrap_bio(*arguments, **named)


@lru_cache(maxsize=_MOST_CONTEXTS)
def _make(verify: bool | str, _: tuple[_Bundle, ...]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    except OSError as error:
        raise _no_bundle(verify, error) from None
    context.set_alpn_protocols(["http/1.1"])  # a lazy context does not pass on what httpcore sets
    return context


def _bundles(verify: bool | str) -> tuple[_Bundle, ...]:
    """The state of the files from which a context is made.

    :raises SoraConfigError: there is no file at the path
    """
    if isinstance(verify, str):
        try:
            return (_state(verify),)
        except (OSError, ValueError) as error:
            raise _no_bundle(verify, error) from None
    system = ssl.get_default_verify_paths()
    return tuple(_state(path) for path in (system.cafile, system.capath) if path)


def _state(path: str) -> _Bundle:
    stat = os.stat(path)
    return path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _no_bundle(verify: bool | str, error: Exception) -> SoraConfigError:
    return SoraConfigError(f"verify is {verify!r}, which is no CA bundle: {error}")
