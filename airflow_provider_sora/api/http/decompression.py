"""Unpacking a compressed body piece by piece, never more of it than is wanted.

httpx unpacks each piece that comes at once: 64 KiB of gzip become 64 MiB, and of gzip in gzip as much as there is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import httpx

STEP_BYTES = 256 * 1024
_WITH_ANY_HEADER = 32 + zlib.MAX_WBITS  # gzip's or zlib's
_BARE = -zlib.MAX_WBITS


class Unpacker:
    """Turns the raw pieces of a body into what they stand for, as far as it is wanted.

    :raises httpx.DecodingError: the body is packed in a way that nobody asked for
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise httpx.DecodingError(f"the answer has the encoding {encoding!r}, which was not asked for")
        self._is_packed = name not in ("", "identity")
        self._stream = zlib.decompressobj(_WITH_ANY_HEADER)
        self._may_be_bare = name == "deflate"  # some servers mean the bare format by it
        self._held = b""

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """What `raw` stands for, in pieces; whoever has enough asks for no more.

        :raises httpx.DecodingError: it cannot be unpacked
        """
        if not self._is_packed:
            yield raw
            return
        raw = self._with_known_header(raw)
        piece = b""
        # What fills a step may have more behind it, even where all that came has been taken in.
        while not self._stream.eof and (raw or len(piece) == STEP_BYTES):
            piece = self._unpack(raw)
            raw = self._stream.unconsumed_tail
            yield piece

    def _with_known_header(self, raw: bytes) -> bytes:
        """Hold back what is too short to tell whether it has zlib's header (RFC 1950, 2.2)."""
        raw, self._held = self._held + raw, b""
        if self._may_be_bare and len(raw) < 2:
            raw, self._held = b"", raw
        elif self._may_be_bare:
            self._may_be_bare = False
            if int.from_bytes(raw[:2]) % 31 or raw[0] & 15 != zlib.DEFLATED:
                self._stream = zlib.decompressobj(_BARE)
        return raw

    def _unpack(self, raw: bytes) -> bytes:
        try:
            return self._stream.decompress(raw, STEP_BYTES)
        except zlib.error as error:
            raise httpx.DecodingError(f"the answer cannot be unpacked: {error}") from None
