"""One part of a file in memory."""

from __future__ import annotations

import io


class Part:
    """The chunks of a part as they were received, readable as a file: nothing is copied between the two sockets.

    `read` returns whole chunks: HTTP libraries ask for blocks of some KiB and accept larger ones, which cost less CPU.
    """

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size_bytes = 0
        self._next = 0  # the chunk to read next

    def add(self, chunk: bytes) -> None:
        """Add a chunk."""
        self.chunks.append(chunk)
        self.size_bytes += len(chunk)

    def clear(self) -> None:
        """Free the memory."""
        self.chunks.clear()
        self.size_bytes = self._next = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next chunk, or all that remain where `size` is below 0."""
        first = self._next
        self._next = min(first + 1, len(self.chunks)) if size >= 0 else len(self.chunks)
        chunks = self.chunks[first : self._next]
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def tell(self) -> int:
        """The number of bytes that were read."""
        return sum(map(len, self.chunks[: self._next]))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to the beginning of a chunk, which is all that a repeated request needs.

        :raises io.UnsupportedOperation: no chunk begins there
        """
        wanted = offset if whence == io.SEEK_SET else self.size_bytes + offset
        position = self._next = 0
        while position < wanted and self._next < len(self.chunks):
            position += len(self.chunks[self._next])
            self._next += 1
        if position != wanted:
            raise io.UnsupportedOperation(f"no chunk begins at byte {wanted}")
        return position
