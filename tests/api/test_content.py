from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.content import Content
from airflow_provider_sora.api.decisions import RetryPolicy
from airflow_provider_sora.api.media_types import sniff
from airflow_provider_sora.api.requests import DownloadContent, Variant
from tests.api.conftest import CONFIG, Server, answer, job

MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(range(256)) * 8
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"


def read(server: Server, variant: Variant = "video") -> tuple[bytes, Content]:
    client = SoraClient(
        CONFIG, RetryPolicy(attempts=2), transport=httpx.MockTransport(server.handle), sleep=server.sleep
    )
    chunks = client.read_content(DownloadContent(video_id="v", variant=variant))
    parts: list[bytes] = []
    try:
        while True:
            parts.append(next(chunks))
    except StopIteration as stop:
        return b"".join(parts), stop.value


def body(content: bytes, **headers: str) -> httpx.Response:
    return httpx.Response(200, content=content, headers=headers)


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (MP4, "video/mp4"),
        (WEBP, "image/webp"),
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_the_type_is_told_by_the_first_bytes(head: bytes, content_type: str | None) -> None:
    assert sniff(head) == content_type


@pytest.mark.parametrize(
    ("variant", "content", "content_type"),
    [("video", MP4, "video/mp4"), ("thumbnail", WEBP, "image/webp"), ("spritesheet", JPEG, "image/jpeg")],
)
def test_whole_content_is_handed_on_with_size_type_and_digest(
    server: Server, variant: Variant, content: bytes, content_type: str
) -> None:
    server.will(body(content))
    found, about = read(server, variant)
    assert found == content
    assert about == Content("v", variant, len(content), content_type, hashlib.sha256(content).hexdigest())


def test_content_without_a_length_is_read_to_its_end(server: Server) -> None:
    server.will(httpx.Response(200, content=iter([MP4[:5], MP4[5:50], MP4[50:]])))
    assert read(server)[0] == MP4


@pytest.mark.parametrize("length", [len(MP4) - 1, len(MP4) + 1])
def test_a_wrong_length_is_an_error(server: Server, length: int) -> None:
    server.will(httpx.Response(200, content=iter([MP4]), headers={"content-length": str(length)}))
    with pytest.raises(exceptions.SoraContentError, match=f"broke off: {len(MP4)} of {length} bytes"):
        read(server)


@pytest.mark.parametrize("content", [b"<html><body>Sorry</body></html>", WEBP, b"tiny", b""])
def test_what_is_no_video_is_refused(server: Server, content: bytes) -> None:
    server.will(body(content))
    with pytest.raises(exceptions.SoraContentError, match="is no video: it begins like"):
        read(server)


def test_a_video_sent_for_a_thumbnail_is_refused(server: Server) -> None:
    server.will(body(MP4))
    with pytest.raises(exceptions.SoraVariantError, match=r"no thumbnail: it begins like 'video/mp4'.*no such variant"):
        read(server, "thumbnail")


def test_json_with_status_200_is_not_content(server: Server) -> None:
    server.will(answer(job("in_progress")))
    with pytest.raises(exceptions.SoraContentNotReadyError, match="JSON instead of content"):
        read(server)


@pytest.mark.parametrize(
    ("status", "payload", "name"),
    [
        (404, {"error": {"message": "Generation is still in-progress."}}, "SoraContentNotReadyError"),
        (409, {"detail": "Video is not ready"}, "SoraContentNotReadyError"),
        (404, {"error": {"message": "gone", "code": "video_expired"}}, "SoraContentExpiredError"),
        (410, None, "SoraContentExpiredError"),
        (422, job("failed"), "SoraContentError"),
        (404, {"error": "no such video"}, "SoraNotFoundError"),
        (401, {"error": "key"}, "SoraAuthError"),
        (302, None, "SoraBadRequestError"),
    ],
)
def test_each_refusal_has_its_meaning(server: Server, status: int, payload: Any, name: str) -> None:
    server.will(answer(payload, status))
    with pytest.raises(exceptions.SoraError) as caught:
        read(server)
    assert type(caught.value).__name__ == name


def test_opening_is_tried_again_and_so_is_reading(server: Server) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        def parts() -> Iterator[bytes]:
            yield MP4[:20]
            raise httpx.ReadError("gone")

        return httpx.Response(200, content=parts())

    server.will(httpx.ConnectError("down"), broken, body(MP4))
    assert read(server)[0] == MP4
    assert len(server.slept) == 2
    server.will(broken, httpx.ConnectError("down"))
    with pytest.raises(exceptions.SoraConnectionError, match="ConnectError: down"):
        read(server)
    assert len(server.requests) == 5


def test_a_body_of_another_encoding_is_not_measured(server: Server) -> None:
    server.will(httpx.Response(200, content=iter([MP4]), headers={"content-length": "5", "content-encoding": "br"}))
    assert read(server)[1].size_bytes == len(MP4)


def test_a_refusal_stands_where_the_video_itself_cannot_be_seen(server: Server) -> None:
    server.will(answer({"error": "stored elsewhere"}, 400), answer(None, 404))
    with pytest.raises(exceptions.SoraBadRequestError, match="stored elsewhere"):
        read(server)


@pytest.mark.parametrize("urls", [[None, "file:///etc/passwd"], 5, None])
def test_a_refusal_stands_where_the_video_names_no_other_place(server: Server, urls: Any) -> None:
    server.will(answer({"error": "no"}, 400), answer(job("completed", "v", urls=urls)))
    with pytest.raises(exceptions.SoraBadRequestError, match="400: no"):
        read(server)
