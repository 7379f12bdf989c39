"""Uploads parts while the next bytes are downloaded; a fixed number of parts bounds the memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple, Self

from airflow_provider_sora import masking
from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.store import Store, Target, Upload
from airflow_provider_sora.transfers.stream import ContentStream

log = masking.logger(__name__)

FIRST_PART_BYTES = 5 * 1024 * 1024  # S3 accepts no smaller ones
_LONG_PARTS = 4


class PartPool:
    """The parts that all files of a task share: a caller that needs one waits until one is free.

    :param count: the number of parts
    :param size_bytes: the largest size of each
    """

    def __init__(self, count: int, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._free: SimpleQueue[Part] = SimpleQueue()
        for _ in range(count):
            self._free.put(Part())

    def read_first(self, stream: ContentStream) -> Part:
        """The first part of an upload: a small one for a long stream, so that the upload begins early."""
        long = (stream.expected_bytes or 0) > _LONG_PARTS * self._size_bytes
        return self.read(stream, min(self._size_bytes, FIRST_PART_BYTES) if long else self._size_bytes)

    def read(self, stream: ContentStream, size_bytes: int | None = None) -> Part:
        """A part with the next bytes of the stream; the caller has to release it."""
        part = self._free.get()
        try:
            stream.fill(part, size_bytes or self._size_bytes)
        except BaseException:
            self.release(part)
            raise
        return part

    def release(self, part: Part) -> None:
        """Make a part free again."""
        part.clear()
        self._free.put(part)


class Uploaded(NamedTuple):
    """What was uploaded, and whether the store's response proves that it has it."""

    content: Content
    confirmed: bool


def upload(stream: ContentStream, open_store: Callable[[], Store], target: Target, parts: PartPool) -> Uploaded:
    """Upload a stream to its target, which becomes visible once stream and store confirm that it is complete.

    :param open_store: returns the store; called once the first part is there
    :raises Exception: the upload failed; nothing of it is left in the store
    """
    first = parts.read_first(stream)
    begun: Upload | None = None
    try:
        store = open_store()
        if stream.at_end():
            return Uploaded(stream.content, store.put(target, stream.content, first))
        begun = store.begin(target)
    finally:
        if begun is None:
            parts.release(first)
    try:
        with PartUploader(begun, store.workers, parts) as uploader:
            uploader.submit(first)
            while not stream.at_end():
                uploader.submit(parts.read(stream))
        return Uploaded(stream.content, begun.complete(stream.content))
    except BaseException:
        _abort(begun, store.uri(target.key))
        raise


class PartUploader:
    """Sends parts on threads of its own; once one has failed it sends no more.

    Leaving its context waits for the parts that are being sent: one that arrives after an abort would stay in the
    store, and be billed.
    """

    def __init__(self, upload: Upload, workers: int, parts: PartPool) -> None:
        self._upload = upload
        self._parts = parts
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="sora-part")
        self._submitted = 0
        self._error: BaseException | None = None  # set by any of the threads

    def submit(self, part: Part) -> None:
        """Send a part as soon as a thread is free.

        :raises Exception: the error of an earlier part
        """
        self._submitted += 1
        self._pool.submit(self._run, self._submitted, part)
        self._raise()

    def _run(self, number: int, part: Part) -> None:
        try:
            if self._error is None:
                self._upload.send(number, part)
        except BaseException as error:  # noqa: BLE001 - raised again where the stream is read
            self._error = error
        finally:
            self._parts.release(part)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._error = self._error or error
        self._pool.shutdown(wait=True)
        if error is None:
            self._raise()


def _abort(begun: Upload, uri: str) -> None:
    try:
        begun.abort()
    except Exception as error:  # noqa: BLE001 - the error of the upload is the one to raise
        log.warning("Could not abort the upload to %s, parts of it may remain: %s", uri, error)
