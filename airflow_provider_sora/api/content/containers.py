"""Checks whether a file is complete, by the sizes in its container, while its bytes are streamed.

This is not a decoder: each check follows the outermost structure and keeps a few bytes.
MP4: ISO/IEC 14496-12, 4.2; PNG: W3C PNG, 5.3; JPEG: ITU-T T.81, B.1; WebP: RFC 9649, 2.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from enum import Enum
from typing import NamedTuple, Protocol


class Outcome(Enum):
    """The outcome of a check."""

    WHOLE = "whole"  # it is complete for certain
    BROKEN = "broken"  # bytes are missing for certain
    UNPROVED = "unproved"  # bytes may be missing


class Verdict(NamedTuple):
    """An outcome, and its reason, a clause; empty for `Outcome.WHOLE`."""

    outcome: Outcome
    why: str = ""


class Container(Protocol):
    """The check of one file, from its first byte on."""

    def feed(self, chunk: bytes) -> None:
        """Check the next bytes."""

    def verdict(self) -> Verdict:
        """The verdict so far; more bytes may follow."""


def container_of(content_type: str) -> Container:
    """The check for a content type from `media_types.sniff`."""
    return _CONTAINERS[content_type]()


class _Boxes(ABC):
    """A file that is a sequence of boxes, each of which begins with its size and kind."""

    _counted: frozenset[bytes]  # the kinds whose ends are recorded

    def __init__(self) -> None:
        self._head = b""
        self._kind = b""
        self._left: int | None = 0  # bytes of the current box that have not come yet; None: up to the end
        self._ended: set[bytes] = set()

    def feed(self, chunk: bytes) -> None:
        at = 0
        while at < len(chunk) and self._left is not None:
            if self._left == 0:
                at = self._read_head(chunk, at)
            else:
                step = min(self._left, len(chunk) - at)
                at += step
                self._left -= step
            if self._left == 0 and not self._head and self._kind in self._counted:
                self._ended.add(self._kind)

    def _read_head(self, chunk: bytes, at: int) -> int:
        wanted = at + self._head_bytes() - len(self._head)
        self._head += chunk[at:wanted]
        if len(self._head) == self._head_bytes():  # its length may depend on its beginning
            self._kind = self._head[4:8]
            self._left = self._body_bytes()
            self._head = b""
        return min(wanted, len(chunk))

    def _head_bytes(self) -> int:
        return 8

    @abstractmethod
    def _body_bytes(self) -> int | None:
        """How many bytes follow the head; None: all up to the end."""

    @property
    def _is_cut(self) -> bool:
        return bool(self._left or self._head)


class MP4(_Boxes):
    """MP4 and its fragmented form: it needs ``moov`` and ``mdat``, each with all of its bytes.

    Players ignore unknown boxes and bytes after the last box: neither makes a file incomplete.
    """

    _counted = frozenset({b"moov", b"mdat", b"moof", b"mfra"})

    def verdict(self) -> Verdict:
        if self._is_cut and self._kind in self._counted and not self._head:
            return Verdict(Outcome.BROKEN, f"it ends within its {self._kind.decode()} box, {self._left} bytes short")
        missing = [kind.decode() for kind in (b"moov", b"mdat") if kind not in self._ended]
        if self._left is None and self._kind == b"mdat" and missing == ["mdat"]:
            return Verdict(Outcome.UNPROVED, "its mdat box does not state its length")
        if missing:
            return Verdict(Outcome.BROKEN, f"it has no {' and no '.join(missing)} box")
        if self._is_cut or self._left is None:
            return Verdict(Outcome.UNPROVED, "bytes that are not a box follow its last box")
        if b"moof" in self._ended and b"mfra" not in self._ended:
            return Verdict(Outcome.UNPROVED, "it is fragmented, and no fragment is marked as the last")
        return Verdict(Outcome.WHOLE)

    def _head_bytes(self) -> int:
        return 16 if self._head[:4] == b"\x00\x00\x00\x01" and len(self._head) >= 8 else 8

    def _body_bytes(self) -> int | None:
        size = int.from_bytes(self._head[:4])
        if size == 1:
            size = int.from_bytes(self._head[8:])
        # 0 means "up to the end of the file"; after a size smaller than the head no box can be found.
        return None if size < len(self._head) else size - len(self._head)


class PNG(_Boxes):
    """PNG: ends with its ``IEND`` chunk."""

    _counted = frozenset({b"IEND"})

    def __init__(self) -> None:
        super().__init__()
        self._left = 8  # the signature

    def verdict(self) -> Verdict:
        if self._ended:
            return Verdict(Outcome.WHOLE)
        return Verdict(Outcome.BROKEN, "it has no IEND chunk")

    def _body_bytes(self) -> int:
        return int.from_bytes(self._head[:4]) + 4  # the checksum


class WebP:
    """WebP: its head states its length."""

    _MIN_BYTES = 12  # of the stated length: WEBP and the head of a chunk

    def __init__(self) -> None:
        self._head = b""
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._head += chunk[: 8 - len(self._head)]
        self._size += len(chunk)

    def verdict(self) -> Verdict:
        stated = int.from_bytes(self._head[4:8], "little")
        missing = max(stated, self._MIN_BYTES) + 8 - self._size
        if missing > 0:
            return Verdict(Outcome.BROKEN, f"{missing} of the bytes that its head states are missing")
        return Verdict(Outcome.WHOLE)


class JPEG:
    """JPEG: ends with a marker outside of its segments, in which thumbnails have one, too."""

    _MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
    _WITHOUT_LENGTH = frozenset({b"\x01", b"\xd8"})
    _END = b"\xd9"

    def __init__(self) -> None:
        self._rest = b""  # the beginning of a marker or of its length
        self._skip = 0  # bytes of a segment that have not come yet
        self._ended = False

    def feed(self, chunk: bytes) -> None:
        data = self._rest + chunk[self._skip :]
        self._skip = max(0, self._skip - len(chunk))
        at = 0
        self._rest = b""
        while not self._ended and (found := self._MARKER.search(data, at)):
            at = found.end()
            self._ended = found[1] == self._END
            if self._ended or found[1] in self._WITHOUT_LENGTH:
                continue
            if at + 2 > len(data):
                self._rest = data[found.start() :]
                return
            at += int.from_bytes(data[at : at + 2])
            self._skip = max(0, at - len(data))
        if data.endswith(b"\xff") and at < len(data):
            self._rest = b"\xff"

    def verdict(self) -> Verdict:
        if self._ended:
            return Verdict(Outcome.WHOLE)
        return Verdict(Outcome.BROKEN, "its end marker is missing")


_CONTAINERS: dict[str, type[MP4 | PNG | WebP | JPEG]] = {
    "video/mp4": MP4,
    "image/png": PNG,
    "image/webp": WebP,
    "image/jpeg": JPEG,
}
