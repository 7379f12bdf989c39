"""A video's content as a file to read, for the libraries that upload files."""

from __future__ import annotations

import io
from collections.abc import Generator

from airflow_provider_sora.api.content import Content
from airflow_provider_sora.api.media_types import HEAD_BYTES, sniff
from airflow_provider_sora.exceptions import SoraContentError


class ContentStream(io.RawIOBase):
    """Reads a checked content; the end is reached only by content that is whole, otherwise reading raises.

    :param chunks: from `SoraClient.read_content`; its first bytes are read at once, so that the type is known
    """

    def __init__(self, chunks: Generator[bytes, None, Content]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()
        self._content: Content | None = None
        while len(self._buffer) < HEAD_BYTES and self._pull():
            pass
        self.content_type = sniff(bytes(self._buffer[:HEAD_BYTES])) or "application/octet-stream"

    @property
    def content(self) -> Content:
        """What was read.

        :raises SoraContentError: the end has not been reached
        """
        if self._content is None:
            raise SoraContentError("the content was not read to its end")
        return self._content

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, fewer only at the end.

        :raises SoraError: the content broke off or is not what was asked for
        """
        while (size is None or size < 0 or len(self._buffer) < size) and self._pull():
            pass
        count = len(self._buffer) if size is None or size < 0 else size
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def close(self) -> None:
        """Let go of the connection, wherever reading stands."""
        self._chunks.close()
        super().close()

    def _pull(self) -> bool:
        try:
            self._buffer += next(self._chunks)
        except StopIteration as stop:
            if stop.value is not None:
                self._content = stop.value
            return False
        return True
