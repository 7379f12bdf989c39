"""Range requests for content, and content that is truncated, changes, or does not support ranges."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

import av
import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.requests import DownloadContent
from airflow_provider_sora.emulator import Clock, Emulator, Fault, media


class Files:
    """The content of one finished job, over HTTP."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.job = emulator.jobs.create({"prompt": "a cat", "size": "64x64", "seconds": "1"})
        emulator.clock.advance(60)

    def get(self, variant: str | None = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(
            f"{self.emulator.base_url}/videos/{self.job.id}/content",
            params={"variant": variant} if variant else {},
            headers={"Authorization": f"Bearer {self.emulator.api_key}", **named},
        )


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(clock=Clock(running=False)) as server:
        yield server


@pytest.fixture
def files(emulator: Emulator) -> Files:
    return Files(emulator)


def test_content_has_a_strong_etag_that_does_not_change(files: Files) -> None:
    tags = {variant: files.get(variant).headers["etag"] for variant in ("video", "thumbnail", "spritesheet")}
    assert len(set(tags.values())) == 3
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags.values())
    for render in (media.mp4, media.thumbnail, media.spritesheet):
        render.cache_clear()
    assert tags == {variant: files.get(variant).headers["etag"] for variant in tags}
    assert files.get().headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("requested", "part"),
    [
        ("bytes=0-", slice(0, None)),
        ("bytes=100-", slice(100, None)),
        ("bytes=100-199", slice(100, 200)),
        ("bytes=7-7", slice(7, 8)),
        ("bytes=100-9999999999", slice(100, None)),
        ("bytes=-50", slice(-50, None)),
        ("bytes=-9999999999", slice(0, None)),
    ],
)
def test_a_requested_part_is_sent(files: Files, requested: str, part: slice) -> None:
    whole = files.get()
    begin, end, _ = part.indices(len(whole.content))
    for headers in ({}, {"If_Range": whole.headers["etag"]}):
        response = files.get(Range=requested, **headers)
        assert (response.status_code, response.content) == (206, whole.content[part])
        assert response.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(whole.content)}"
        assert response.headers["content-length"] == str(end - begin)
        for name in ("etag", "content-type", "accept-ranges"):
            assert response.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    "requested",
    [
        "bytes=",
        "bytes=-",
        "bytes=5",
        "bytes=a-b",
        "bytes=9-5",
        "bytes=0-1,5-6",
        "lines=0-5",
        "0-5",
        f"bytes={'9' * 30}-",
    ],
)
def test_an_invalid_range_is_ignored(files: Files, requested: str) -> None:
    response = files.get(Range=requested)
    assert (response.status_code, response.content) == (200, files.get().content)
    assert "content-range" not in response.headers


@pytest.mark.parametrize("tag", ['"other"', 'W/"other"', "Thu, 01 Jan 1970 00:33:20 GMT", "weak"])
def test_a_range_of_another_version_is_answered_with_the_whole_content(files: Files, tag: str) -> None:
    whole = files.get()
    response = files.get(Range="bytes=5-", If_Range=f"W/{whole.headers['etag']}" if tag == "weak" else tag)
    assert (response.status_code, response.content) == (200, whole.content)


def test_a_range_behind_the_end_cannot_be_satisfied(files: Files) -> None:
    size = len(files.get().content)
    for requested in (f"bytes={size}-", f"bytes={size}-{size + 5}", "bytes=-0"):
        response = files.get(Range=requested)
        assert (response.status_code, response.content) == (416, b"")
        assert response.headers["content-range"] == f"bytes */{size}"


def test_the_request_log_distinguishes_parts_and_whole_contents(files: Files) -> None:
    for headers in ({}, {"Range": "bytes=5-"}, {"Range": "bytes=99999999-"}):
        files.get(**headers)
    assert [entry["status"] for entry in files.emulator.requests] == [200, 206, 416]


def test_support_for_ranges_can_be_turned_off(files: Files) -> None:
    whole = files.get().content
    files.emulator.faults.add(Fault("content", "no_range", times=2))
    for _ in range(2):
        response = files.get(Range="bytes=5-")
        assert (response.status_code, response.content) == (200, whole)
        assert not {"etag", "accept-ranges"} & set(response.headers)
    assert files.get(Range="bytes=5-").status_code == 206


def test_a_dialect_without_ranges_sends_the_whole_content() -> None:
    with Emulator(clock=Clock(running=False), dialect="litellm", api_key="k") as emulator:
        assert Files(emulator).get(Range="bytes=5-").status_code == 200


@pytest.mark.parametrize("variant", ["video", "thumbnail", "spritesheet"])
def test_content_can_be_another_version(files: Files, variant: str) -> None:
    before = files.get(variant)
    files.emulator.faults.add(Fault("content", "changed", times=2))
    after = files.get(variant, Range="bytes=50-", If_Range=before.headers["etag"])
    assert after.status_code == 200
    assert after.content != before.content
    assert after.headers["etag"] != before.headers["etag"]
    part = files.get(variant, Range="bytes=50-", If_Range=after.headers["etag"])
    assert (part.status_code, part.content) == (206, after.content[50:])
    assert files.get(variant).content == before.content


def test_another_version_is_a_playable_video_too(files: Files) -> None:
    files.emulator.faults.add(Fault("content", "changed"))
    with av.open(io.BytesIO(files.get().content), "r") as container:
        assert len(list(container.decode(container.streams.video[0]))) == media.FRAMES_PER_SECOND


def truncated(files: Files, **headers: str) -> tuple[httpx.Response, bytes]:
    """A response that is truncated, and the bytes that were received."""
    url = f"{files.emulator.base_url}/videos/{files.job.id}/content"
    headers = {"Authorization": f"Bearer {files.emulator.api_key}", **headers}
    received: list[bytes] = []
    with httpx.stream("GET", url, headers=headers) as response, pytest.raises(httpx.RemoteProtocolError):
        received.extend(response.iter_raw())
    return response, b"".join(received)


def test_a_requested_part_is_truncated_too(files: Files) -> None:
    whole = files.get()
    size = len(whole.content)
    files.emulator.faults.add(Fault("content", "truncate", fraction=0.25, times=2))
    response, received = truncated(files)
    assert (response.status_code, received) == (200, whole.content[: size // 4])
    assert (response.headers["content-length"], response.headers["etag"]) == (str(size), whole.headers["etag"])
    response, received = truncated(files, Range="bytes=200-")
    assert (response.status_code, received) == (206, whole.content[200 : 200 + (size - 200) // 4])
    assert response.headers["content-length"] == str(size - 200)
    assert response.headers["content-range"] == f"bytes 200-{size - 1}/{size}"


def test_changes_of_the_content_combine_with_another_fault(files: Files) -> None:
    whole = files.get().content
    faults = files.emulator.faults
    faults.add(Fault("content", "no_range", times=-1))
    faults.add(Fault("content", "truncate"))
    faults.add(Fault("content", "changed", skip=1))
    response, received = truncated(files, Range="bytes=200-")
    assert (response.status_code, received) == (200, whole[: len(whole) // 2])
    assert "etag" not in response.headers
    assert files.get().content != whole
    assert files.get().content == whole
    assert [fault["effect"] for fault in faults.to_json()] == ["no_range"]


def test_a_lost_response_counts_for_changes_of_the_content(files: Files) -> None:
    whole = files.get().content
    files.emulator.faults.add(Fault("content", "drop"))
    files.emulator.faults.add(Fault("content", "changed"))
    with pytest.raises(httpx.RemoteProtocolError):
        files.get()
    assert files.get().content == whole


def download(files: Files) -> bytes:
    """The content, by this package's own client."""
    config = SoraConfig(files.emulator.base_url, api_key=files.emulator.api_key)
    with SoraClient(config, RequestRetryPolicy(attempts=2, base_seconds=0)) as client:
        return b"".join(client.read_content(DownloadContent(video_id=files.job.id)))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_ten_times_is_complete_in_the_end(files: Files, ranges: bool) -> None:
    whole = files.get().content
    if not ranges:
        files.emulator.faults.add(Fault("content", "no_range", times=-1))
    for tenth in range(1, 11):
        left = 1 / (11 - tenth) if ranges else tenth / 10
        files.emulator.faults.add(Fault("content", "truncate", fraction=min(left, 0.99)))
    assert hashlib.sha256(download(files)).digest() == hashlib.sha256(whole).digest()
    assert [entry["status"] for entry in files.emulator.requests[1:]] == [200, *[206 if ranges else 200] * 10]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_is_never_joined_from_two_versions(files: Files, ranges: bool) -> None:
    if not ranges:
        files.emulator.faults.add(Fault("content", "no_range", times=-1))
    files.emulator.faults.add(Fault("content", "truncate"))
    files.emulator.faults.add(Fault("content", "changed", skip=1, times=-1))
    with pytest.raises(exceptions.SoraContentError, match="changed on the server while it was read"):
        download(files)
