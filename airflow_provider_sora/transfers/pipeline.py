"""Parts go up while bytes come down; memory is bounded by a fixed number of parts."""

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

FIRST_PART_BYTES = 5 * 1024 * 1024  # S3 allows no smaller ones
_LONG_PARTS = 4


class Parts:
    """The parts that all files of a task share: whoever needs one waits until one is free.

    :param count: how many there are
    :param size_bytes: how large each may be
    """

    def __init__(self, count: int, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._free: SimpleQueue[Part] = SimpleQueue()
        for _ in range(count):
            self._free.put(Part())

    def take_first(self, stream: ContentStream) -> Part:
        """The part that the upload begins with: a small one for a long stream, so that it begins early."""
        long = (stream.expected_bytes or 0) > _LONG_PARTS * self._size_bytes
        return self.take(stream, min(self._size_bytes, FIRST_PART_BYTES) if long else self._size_bytes)

    def take(self, stream: ContentStream, size_bytes: int | None = None) -> Part:
        """A part with the stream's next bytes; whoever has it gives it back."""
        part = self._free.get()
        try:
            stream.fill(part, size_bytes or self._size_bytes)
        except BaseException:
            self.give_back(part)
            raise
        return part

    def give_back(self, part: Part) -> None:
        """Make a part free."""
        part.clear()
        self._free.put(part)


class Moved(NamedTuple):
    """What was moved, and whether the store's own answer proves that it has got it."""

    content: Content
    confirmed: bool


def move(stream: ContentStream, open_store: Callable[[], Store], target: Target, parts: Parts) -> Moved:
    """Bring a stream to its target, which is visible only once the stream was whole and the store has said so too.

    :param open_store: the store, asked for when the first part is there
    :raises Exception: it did not come there; nothing of it is left behind
    """
    first = parts.take_first(stream)
    upload: Upload | None = None
    try:
        store = open_store()
        if stream.at_end():
            return Moved(stream.content, store.put(target, stream.content, first))
        upload = store.begin(target)
    finally:
        if upload is None:
            parts.give_back(first)
    try:
        with PartUploader(upload, store.workers, parts) as courier:
            courier.bring(first)
            while not stream.at_end():
                courier.bring(parts.take(stream))
        return Moved(stream.content, upload.complete(stream.content))
    except BaseException:
        _abort(upload, store.uri(target.key))
        raise


class PartUploader:
    """Brings parts to an upload on threads of its own; once one has failed it brings no more.

    Leaving it waits for what is on its way: a part that arrives behind an abort would stay, and be paid for.
    """

    def __init__(self, upload: Upload, workers: int, parts: Parts) -> None:
        self._upload = upload
        self._parts = parts
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="sora-part")
        self._brought = 0
        self._error: BaseException | None = None  # set by any of the threads

    def bring(self, part: Part) -> None:
        """Send a part as soon as a thread is free.

        :raises Exception: what an earlier part has failed with
        """
        self._brought += 1
        self._pool.submit(self._run, self._brought, part)
        self._raise()

    def _run(self, number: int, part: Part) -> None:
        try:
            if self._error is None:
                self._upload.send(number, part)
        except BaseException as error:  # noqa: BLE001 - raised again where the stream is read
            self._error = error
        finally:
            self._parts.give_back(part)

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


def _abort(upload: Upload, uri: str) -> None:
    try:
        upload.abort()
    except Exception as error:  # noqa: BLE001 - the error that led here is the one to raise
        log.warning("What was uploaded of %s may be left behind in parts: %s", uri, error)
