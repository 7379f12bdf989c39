"""A video's content, read part by part."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Self

from airflow_provider_sora.api.content.reading import Content, OnOpen
from airflow_provider_sora.api.protocol.media_types import HEAD_BYTES, sniff
from airflow_provider_sora.exceptions import SoraContentError
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.progress import Progress


class TransferStoppedError(Exception):
    """The task is being stopped while other threads still move files."""


class ContentStream:
    """Reads content that is checked on the way: reading raises an error unless the content is complete.

    The first bytes are read at once, so that the type is known.

    :param read: begins to read, and calls its argument with the size (`SoraClient.read_content`)
    :param progress: records what was read
    :param stop: stops reading once it is set
    """

    def __init__(
        self, read: Callable[[OnOpen], Generator[bytes, None, Content]], progress: Progress, stop: threading.Event
    ) -> None:
        self._progress = progress
        self._stop = stop
        self.expected_bytes: int | None = None  # as the server states it
        self._chunks = read(self._begin)
        self._content: Content | None = None
        head = b""
        while len(head) < HEAD_BYTES and (chunk := self._next()):
            head += chunk
        self._rest = head
        self.content_type = sniff(head) or "application/octet-stream"

    def _begin(self, expected_bytes: int | None) -> None:
        self.expected_bytes = expected_bytes
        self._progress.begin(expected_bytes)

    def at_end(self) -> bool:
        """Whether everything was read, and was complete."""
        return self._content is not None and not self._rest

    @property
    def content(self) -> Content:
        """The summary of what was read.

        :raises SoraContentError: the end was not reached
        """
        if self._content is None:
            raise SoraContentError("the content was not read to its end")
        return self._content

    def fill(self, part: Part, size: int) -> None:
        """Add the next `size` bytes to `part`; fewer only at the end, for which `at_end` is true afterwards.

        :raises SoraError: the connection broke, or the content is not what was requested
        """
        while size and self._more():
            chunk, self._rest = self._rest[:size], self._rest[size:]  # the chunk itself where it fits, not a copy
            part.add(chunk)
            size -= len(chunk)
        self._more()

    def drain(self) -> Content:
        """Read to the end and discard the bytes."""
        while self._more():
            self._rest = b""
        return self.content

    def close(self) -> None:
        """Close the connection, whether or not the end was reached."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _more(self) -> bool:
        if not self._rest:
            self._rest = self._next()
        return bool(self._rest)

    def _next(self) -> bytes:
        if self._stop.is_set():
            raise TransferStoppedError
        try:
            chunk = next(self._chunks)
        except StopIteration as end:
            if end.value is not None:
                self._content = end.value
            return b""
        self._progress.add(len(chunk))
        return chunk
