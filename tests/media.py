"""Small files that are whole, by the sizes in their containers: nothing in them can be shown."""

from __future__ import annotations

import struct

FTYP = b"\x00\x00\x00\x14ftypisom" + bytes(8)
WEBP = b"RIFF\x0c\x00\x00\x00WEBPVP8 " + bytes(4)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + b"\xff\xda\x00\x02abc\xff\x00\xff\xd9"


def box(kind: bytes, body: bytes = b"") -> bytes:
    """A box of an MP4."""
    return struct.pack(">I4s", len(body) + 8, kind) + body


def png_chunk(kind: bytes, body: bytes = b"") -> bytes:
    """A chunk of a PNG, without its checksum's value."""
    return struct.pack(">I4s", len(body), kind) + body + bytes(4)


PNG = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", bytes(13)) + png_chunk(b"IEND")


def mp4(size: int, media: bytes = b"") -> bytes:
    """An MP4 of so many bytes, at least 44; `media`, repeated, is what its ``mdat`` holds."""
    head = FTYP + box(b"moov", bytes(8))
    left = size - len(head) - 8
    media = media or bytes(range(256))
    return head + box(b"mdat", (media * (left // len(media) + 1))[:left])
