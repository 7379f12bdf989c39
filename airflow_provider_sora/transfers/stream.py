"""A video's content, taken part by part."""

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
    """The task is being ended while other threads still move files."""


class ContentStream:
    """Reads a checked content; its end is reached only by content that is whole, otherwise reading raises.

    Its first bytes are read at once, so that the type is known.

    :param read: begins to read, told whom to tell the size (`SoraClient.read_content`)
    :param progress: told what comes
    :param stop: ends reading once it is set
    """

    def __init__(
        self, read: Callable[[OnOpen], Generator[bytes, None, Content]], progress: Progress, stop: threading.Event
    ) -> None:
        self._progress = progress
        self._stop = stop
        self.expected_bytes: int | None = None  # by the server's own word
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
        """Whether everything has been taken, and was whole."""
        return self._content is not None and not self._rest

    @property
    def content(self) -> Content:
        """What was read.

        :raises SoraContentError: the end has not been reached
        """
        if self._content is None:
            raise SoraContentError("the content was not read to its end")
        return self._content

    def fill(self, part: Part, size: int) -> None:
        """Put the next `size` bytes into `part`, fewer only at the end, which is known afterwards.

        :raises SoraError: the content broke off or is not what was asked for
        """
        while size and self._more():
            taken, self._rest = self._rest[:size], self._rest[size:]  # the chunk itself where it fits, not a copy
            part.add(taken)
            size -= len(taken)
        self._more()

    def drain(self) -> Content:
        """Read to the end, keeping nothing."""
        while self._more():
            self._rest = b""
        return self.content

    def close(self) -> None:
        """Let go of the connection, wherever reading stands."""
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
