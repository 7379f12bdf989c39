"""Uploading parts: how many at once, in which order, and with how much memory."""

from __future__ import annotations

import io
import logging
import threading
import tracemalloc
from collections.abc import Callable, Generator
from typing import Any

import pytest

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.exceptions import SoraContentError
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.pipeline import PartPool, upload
from airflow_provider_sora.transfers.progress import Progress
from airflow_provider_sora.transfers.store import ObjectInfo, Store, Target, Upload
from airflow_provider_sora.transfers.stream import ContentStream, TransferStoppedError

LOG = logging.getLogger(__name__)
HEAD = b"\x00\x00\x00\x20ftypisom"  # all that is read of it here
TARGET = Target("x", "video_1", "video", "video/mp4", create_only=False)


def video(size: int, on_open: Callable[[int | None], None]) -> Generator[bytes, None, Content]:
    on_open(size)
    left = size - len(HEAD)
    yield HEAD
    while left:
        yield bytes(min(left, 100_000))
        left -= min(left, 100_000)
    return Content("video_1", "video", size, "video/mp4", "0" * 64, end_verified=True)


def stream_of(size: int, stop: threading.Event | None = None) -> ContentStream:
    return ContentStream(lambda on_open: video(size, on_open), Progress("x", LOG), stop or threading.Event())


class Recording(Store, Upload):
    """A store that records what it receives.

    :ivar hold: called before each part is accepted
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.sent: dict[int, int] = {}
        self.ended: list[str] = []
        self.hold: Callable[[int], None] = lambda _: None

    def uri(self, key: str) -> str:
        return key

    def find(self, key: str) -> ObjectInfo | None:
        return None

    def begin(self, target: Target) -> Upload:
        return self

    def put(self, target: Target, content: Content, part: Part) -> bool:
        self.ended.append("put")
        return True

    def send(self, number: int, part: Part) -> None:
        self.hold(number)
        self.sent[number] = part.size_bytes

    def complete(self, content: Content) -> bool:
        self.ended.append("completed")
        return True

    def abort(self) -> None:
        self.ended.append("aborted")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1_000_000, {1: 400_000, 2: 400_000, 3: 200_000}),
        (800_000, {1: 400_000, 2: 400_000}),
        (400_001, {1: 400_000, 2: 1}),
    ],
)
def test_all_parts_but_the_last_are_full(size: int, expected: dict[int, int]) -> None:
    store = Recording()
    assert upload(stream_of(size), lambda: store, TARGET, PartPool(3, 400_000)).content.size_bytes == size
    assert (store.sent, store.ended) == (expected, ["completed"])


def test_the_upload_of_a_long_video_begins_with_a_small_part() -> None:
    store = Recording()
    upload(stream_of(70_000_000), lambda: store, TARGET, PartPool(2, 8_000_000))
    assert list(store.sent.values()) == [5_242_880, *[8_000_000] * 8, 757_120]


@pytest.mark.parametrize("size", [len(HEAD), 400_000])
def test_content_that_fits_into_one_part_is_written_with_put(size: int) -> None:
    store = Recording()
    upload(stream_of(size), lambda: store, TARGET, PartPool(1, 400_000))
    assert store.ended == ["put"]


def test_parts_are_uploaded_while_bytes_are_downloaded() -> None:
    store = Recording(workers=2)
    both = threading.Barrier(2, timeout=30)

    def wait_for_both(number: int) -> None:
        if number <= 2:
            both.wait()  # returns only once two parts are held

    store.hold = wait_for_both
    upload(stream_of(1_200_000), lambda: store, TARGET, PartPool(3, 400_000))
    assert store.ended == ["completed"]


def test_with_one_worker_parts_arrive_in_order() -> None:
    store = Recording()
    upload(stream_of(4_000_000), lambda: store, TARGET, PartPool(4, 400_000))
    assert list(store.sent) == list(range(1, 11))


def test_the_error_of_a_part_stops_the_others_and_is_raised_after_all_have_ended() -> None:
    store = Recording(workers=2)

    def fail(number: int) -> None:
        if number == 2:
            raise OSError("disk full")

    store.hold = fail
    parts = PartPool(3, 400_000)
    with pytest.raises(OSError, match="disk full"):
        upload(stream_of(40_000_000), lambda: store, TARGET, parts)
    assert store.ended == ["aborted"]
    assert len(store.sent) < 20
    assert parts._free.qsize() == 3


def test_a_broken_stream_aborts_the_upload_and_releases_all_parts() -> None:
    def broken(on_open: Callable[[int | None], None]) -> Generator[bytes, None, Content]:
        yield from video(1_000_000, on_open)
        raise SoraContentError("broke off")

    store, parts = Recording(workers=2), PartPool(3, 400_000)
    with pytest.raises(SoraContentError, match="broke off"):
        upload(ContentStream(broken, Progress("x", LOG), threading.Event()), lambda: store, TARGET, parts)
    assert store.ended == ["aborted"]
    assert parts._free.qsize() == 3


@pytest.mark.parametrize("name", ["begin", "put"])
def test_an_error_at_the_beginning_of_an_upload_releases_the_part(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("no")

    store, parts = Recording(), PartPool(2, 400_000)
    monkeypatch.setattr(store, name, fail)
    with pytest.raises(OSError, match="no"):
        upload(stream_of(1_000_000 if name == "begin" else 100), lambda: store, TARGET, parts)
    assert parts._free.qsize() == 2


@pytest.mark.parametrize("size", [20_000_000, 80_000_000])
def test_memory_is_bounded_by_the_parts_whatever_the_size(size: int) -> None:
    tracemalloc.start()
    upload(stream_of(size), lambda: Recording(workers=2), TARGET, PartPool(3, 1_048_576))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 1_048_576 * 1.4 + 500_000


def test_setting_stop_ends_reading() -> None:
    stop = threading.Event()
    stream = stream_of(10_000_000, stop)
    stop.set()
    store = Recording()
    with pytest.raises(TransferStoppedError):
        upload(stream, lambda: store, TARGET, PartPool(2, 400_000))
    assert store.ended == []


def test_a_stream_that_was_not_read_to_its_end_has_no_content() -> None:
    with stream_of(1000) as stream:
        assert stream.content_type == "video/mp4"
        with pytest.raises(SoraContentError, match="not read to its end"):
            _ = stream.content
        assert stream.drain().size_bytes == 1000


def test_a_part_can_be_read_again() -> None:
    part = Part()
    for chunk in (b"abc", b"de", b"f"):
        part.add(chunk)
    assert [part.read(1) for _ in range(4)] == [b"abc", b"de", b"f", b""]
    assert part.seek(0, io.SEEK_END) == part.size_bytes == part.tell() == 6
    assert (part.seek(3), part.tell(), part.read(), part.read()) == (3, 3, b"def", b"")
    with pytest.raises(io.UnsupportedOperation, match="no chunk begins at byte 4"):
        part.seek(4)
    part.clear()
    assert (part.seek(0), part.read(), part.size_bytes) == (0, b"", 0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("total", "line"),
    [(100 * 2**20, "v: 30.0 of 100.0 MiB, 3.0 MiB/s, about 23 s left"), (None, "v: 30.0 MiB, 3.0 MiB/s")],
)
def test_a_long_transfer_logs_its_progress_at_most_every_ten_seconds(
    total: int | None, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    progress = Progress("v", LOG, clock)
    with caplog.at_level(logging.INFO):
        progress.begin(total)
        for second in range(1, 20):
            clock.now = second
            progress.add(3 * 2**20)
    assert [record.getMessage() for record in caplog.records] == [line]
