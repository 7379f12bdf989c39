"""Whether a file is whole, told by the sizes in its container while the bytes go by.

No decoder: each check walks over the outermost structure and keeps a few bytes. MP4: ISO/IEC 14496-12, 4.2; PNG: W3C
PNG, 5.3; JPEG: ITU-T T.81, B.1; WebP: RFC 9649, 2.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from enum import Enum
from typing import NamedTuple, Protocol


class Outcome(Enum):
    """What a container says of the bytes that came."""

    WHOLE = "whole"  # its end is proved
    BROKEN = "broken"  # something is surely missing
    UNPROVED = "unproved"  # more may follow or not


class Verdict(NamedTuple):
    """An outcome, and a clause that says why; empty for `Outcome.WHOLE`."""

    outcome: Outcome
    why: str = ""


class Container(Protocol):
    """Watches the bytes of one file from its first on."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""

    def verdict(self) -> Verdict:
        """What is known so far; more may be fed afterwards."""


def container_of(content_type: str) -> Container:
    """The check for a type that `media_types.sniff` tells."""
    return _CONTAINERS[content_type]()


class _Pieces(ABC):
    """A file of pieces, one after the other, each of which begins with its size and kind."""

    _counted: frozenset[bytes]  # the kinds whose ends are remembered

    def __init__(self) -> None:
        self._head = b""
        self._kind = b""
        self._left: int | None = 0  # bytes of the present piece that have not come; None: it goes on to the end
        self._ended: set[bytes] = set()

    def feed(self, chunk: bytes) -> None:
        at = 0
        while at < len(chunk) and self._left is not None:
            if self._left == 0:
                at = self._take_head(chunk, at)
            else:
                step = min(self._left, len(chunk) - at)
                at += step
                self._left -= step
            if self._left == 0 and not self._head and self._kind in self._counted:
                self._ended.add(self._kind)

    def _take_head(self, chunk: bytes, at: int) -> int:
        wanted = at + self._head_bytes() - len(self._head)
        self._head += chunk[at:wanted]
        if len(self._head) == self._head_bytes():  # it may have grown by what has come of it
            self._kind = self._head[4:8]
            self._left = self._body_bytes()
            self._head = b""
        return min(wanted, len(chunk))

    def _head_bytes(self) -> int:
        return 8

    @abstractmethod
    def _body_bytes(self) -> int | None:
        """How many bytes follow the head; None: all that come."""

    @property
    def _is_cut(self) -> bool:
        return bool(self._left or self._head)


class MP4(_Pieces):
    """MP4 and its fragmented form: ``moov`` and ``mdat`` have to be there, each with all of its bytes.

    Players pass over boxes they do not know, and over what lies behind the last one: neither breaks a file.
    """

    _counted = frozenset({b"moov", b"mdat", b"moof", b"mfra"})

    def verdict(self) -> Verdict:
        if self._is_cut and self._kind in self._counted and not self._head:
            return Verdict(Outcome.BROKEN, f"it ends within its {self._kind.decode()} box, {self._left} bytes short")
        missing = [kind.decode() for kind in (b"moov", b"mdat") if kind not in self._ended]
        if self._left is None and self._kind == b"mdat" and missing == ["mdat"]:
            return Verdict(Outcome.UNPROVED, "its mdat box does not say how long it is")
        if missing:
            return Verdict(Outcome.BROKEN, f"it has no {' and no '.join(missing)} box")
        if self._is_cut or self._left is None:
            return Verdict(Outcome.UNPROVED, "what follows its last box is no box")
        if b"moof" in self._ended and b"mfra" not in self._ended:
            return Verdict(Outcome.UNPROVED, "it comes in fragments, and none says that it is the last")
        return Verdict(Outcome.WHOLE)

    def _head_bytes(self) -> int:
        return 16 if self._head[:4] == b"\x00\x00\x00\x01" and len(self._head) >= 8 else 8

    def _body_bytes(self) -> int | None:
        size = int.from_bytes(self._head[:4])
        if size == 1:
            size = int.from_bytes(self._head[8:])
        # 0 stands for "to the end of the file"; behind a smaller size than its own head nothing can be found.
        return None if size < len(self._head) else size - len(self._head)


class PNG(_Pieces):
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
    """WebP: says in its head how long it is."""

    _LEAST_BYTES = 12  # of what the head counts: WEBP and the head of a chunk

    def __init__(self) -> None:
        self._head = b""
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._head += chunk[: 8 - len(self._head)]
        self._size += len(chunk)

    def verdict(self) -> Verdict:
        counted = int.from_bytes(self._head[4:8], "little")
        missing = max(counted, self._LEAST_BYTES) + 8 - self._size
        if missing > 0:
            return Verdict(Outcome.BROKEN, f"{missing} of the bytes that its head counts are missing")
        return Verdict(Outcome.WHOLE)


class JPEG:
    """JPEG: ends with a marker that no segment hides: thumbnails within it have one too."""

    _MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
    _WITHOUT_LENGTH = frozenset({b"\x01", b"\xd8"})
    _END = b"\xd9"

    def __init__(self) -> None:
        self._rest = b""  # the beginning of a marker or of its length
        self._skip = 0  # bytes of a segment that have not come
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
