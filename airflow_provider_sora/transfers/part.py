"""One part of a file in memory."""

from __future__ import annotations

import io


class Part:
    """The chunks of a part as they came, to be read as a file: nothing is copied between the two sockets.

    `read` hands out whole chunks: HTTP libraries ask for blocks of some KiB and take larger ones, which cost less CPU.
    """

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size_bytes = 0
        self._next = 0  # the chunk to read next

    def add(self, chunk: bytes) -> None:
        """Take a chunk."""
        self.chunks.append(chunk)
        self.size_bytes += len(chunk)

    def clear(self) -> None:
        """Let go of the memory."""
        self.chunks.clear()
        self.size_bytes = self._next = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next chunk; everything that is left where `size` is below 0."""
        begin = self._next
        self._next = min(begin + 1, len(self.chunks)) if size >= 0 else len(self.chunks)
        left = self.chunks[begin : self._next]
        return left[0] if len(left) == 1 else b"".join(left)

    def tell(self) -> int:
        """How many bytes have been read."""
        return sum(map(len, self.chunks[: self._next]))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to the beginning of a chunk, which is all that sending a part again needs.

        :raises io.UnsupportedOperation: another place
        """
        wanted = offset if whence == io.SEEK_SET else self.size_bytes + offset
        position = self._next = 0
        while position < wanted and self._next < len(self.chunks):
            position += len(self.chunks[self._next])
            self._next += 1
        if position != wanted:
            raise io.UnsupportedOperation(f"no chunk begins at byte {wanted}")
        return position
