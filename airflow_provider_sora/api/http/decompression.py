"""Decompresses a body in steps of bounded size.

httpx decompresses each chunk at once: 64 KiB of gzip become 64 MiB, and gzip in gzip has no limit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import httpx

STEP_BYTES = 256 * 1024
_WITH_ANY_HEADER = 32 + zlib.MAX_WBITS  # gzip's or zlib's
_RAW = -zlib.MAX_WBITS


class Decompressor:
    """Decompresses the chunks of a body, as far as the caller iterates.

    :raises httpx.DecodingError: the body has an encoding that was not requested
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise httpx.DecodingError(f"the response has the encoding {encoding!r}, which was not requested")
        self._is_compressed = name not in ("", "identity")
        self._stream = zlib.decompressobj(_WITH_ANY_HEADER)
        self._may_be_raw = name == "deflate"  # some servers send raw deflate under this name
        self._held = b""

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """The decompressed content of `raw`, in pieces; the caller may stop early.

        :raises httpx.DecodingError: it cannot be decompressed
        """
        if not self._is_compressed:
            yield raw
            return
        raw = self._with_known_header(raw)
        piece = b""
        # After a full piece the stream may have more, even if all input has been consumed.
        while not self._stream.eof and (raw or len(piece) == STEP_BYTES):
            piece = self._decompress(raw)
            raw = self._stream.unconsumed_tail
            yield piece

    def _with_known_header(self, raw: bytes) -> bytes:
        """Hold back a beginning that is too short to recognize zlib's header (RFC 1950, 2.2)."""
        raw, self._held = self._held + raw, b""
        if self._may_be_raw and len(raw) < 2:
            raw, self._held = b"", raw
        elif self._may_be_raw:
            self._may_be_raw = False
            if int.from_bytes(raw[:2]) % 31 or raw[0] & 15 != zlib.DEFLATED:
                self._stream = zlib.decompressobj(_RAW)
        return raw

    def _decompress(self, raw: bytes) -> bytes:
        try:
            return self._stream.decompress(raw, STEP_BYTES)
        except zlib.error as error:
            raise httpx.DecodingError(f"the response cannot be decompressed: {error}") from None
