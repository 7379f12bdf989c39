from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.content import reading as content_module
from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.protocol.media_types import sniff
from airflow_provider_sora.api.protocol.requests import DownloadContent, Variant
from tests.api.conftest import CONFIG, Server, answer, job
from tests.media import FTYP, JPEG, PNG, WEBP, box, mp4

MP4 = mp4(2000)


def read(server: Server, variant: Variant = "video") -> tuple[bytes, Content]:
    client = SoraClient(
        CONFIG, RequestRetryPolicy(attempts=2), transport=httpx.MockTransport(server.handle), sleep=server.sleep
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
    assert about == Content(
        "v", variant, len(content), content_type, hashlib.sha256(content).hexdigest(), end_verified=True
    )


def test_content_without_a_length_is_read_to_its_end(server: Server) -> None:
    server.will(httpx.Response(200, content=iter([MP4[:5], MP4[5:50], MP4[50:]])))
    assert read(server)[0] == MP4


@pytest.mark.parametrize("length", [len(MP4) - 1, len(MP4) + 1])
def test_a_wrong_length_is_an_error(server: Server, length: int) -> None:
    server.will(httpx.Response(200, content=iter([MP4]), headers={"content-length": str(length)}))
    with pytest.raises(exceptions.SoraContentError, match=f"has {len(MP4)} bytes instead of the stated {length}"):
        read(server)


@pytest.mark.parametrize("content", [b"<html><body>Sorry</body></html>", WEBP, b"tiny", b""])
def test_what_is_no_video_is_refused(server: Server, content: bytes) -> None:
    server.will(body(content))
    with pytest.raises(exceptions.SoraContentError, match="is not a video: it starts with"):
        read(server)


def test_a_video_sent_for_a_thumbnail_is_refused(server: Server) -> None:
    server.will(body(MP4))
    with pytest.raises(
        exceptions.SoraVariantError, match=r"not a thumbnail: it starts with 'video/mp4'.*may not have this variant"
    ):
        read(server, "thumbnail")


def test_json_with_status_200_is_not_content(server: Server) -> None:
    server.will(answer(job("in_progress")))
    with pytest.raises(exceptions.SoraContentNotReadyError, match="is JSON, not content"):
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


TYPES: list[tuple[Variant, bytes]] = [
    ("video", MP4),
    ("thumbnail", WEBP),
    ("thumbnail", PNG),
    ("spritesheet", JPEG),
]


def unmeasured(content: bytes) -> httpx.Response:
    """An answer that ends with its connection."""
    return httpx.Response(200, content=iter([content]))


@pytest.mark.parametrize(("variant", "content"), TYPES)
def test_the_end_of_content_without_a_length_is_proved_by_its_container(
    server: Server, variant: Variant, content: bytes
) -> None:
    server.will(unmeasured(content))
    assert read(server, variant)[1].end_verified


@pytest.mark.parametrize(("variant", "content"), TYPES)
def test_content_without_a_length_that_breaks_off_is_asked_for_again(
    server: Server, variant: Variant, content: bytes
) -> None:
    server.will(unmeasured(content[:-3]), unmeasured(content))
    found, about = read(server, variant)
    assert found == content
    assert about.end_verified


@pytest.mark.parametrize(("variant", "content"), TYPES)
def test_content_without_a_length_that_never_comes_whole_is_an_error(
    server: Server, variant: Variant, content: bytes
) -> None:
    server.will(*(unmeasured(content[:-3]) for _ in range(2)))
    with pytest.raises(exceptions.SoraConnectionError, match=r"did not state its length") as caught:
        read(server, variant)
    assert f"after {len(content) - 3} bytes: " in str(caught.value)
    assert len(server.requests) == 2


@pytest.mark.parametrize("content", [MP4[:12], MP4[:-1], FTYP + box(b"moov")])
def test_a_video_that_is_broken_on_the_server_is_an_error_at_once(server: Server, content: bytes) -> None:
    server.will(body(content))
    with pytest.raises(exceptions.SoraContentError, match="The file on the server is incomplete itself") as caught:
        read(server)
    assert caught.value.retryable
    assert len(server.requests) == 1


OPEN_ENDED = FTYP + box(b"moov") + b"\x00\x00\x00\x00mdat" + bytes(100)


def test_an_end_that_nothing_proves_is_said_to_be_so(server: Server) -> None:
    server.will(unmeasured(OPEN_ENDED))
    assert not read(server)[1].end_verified


@pytest.mark.parametrize("stated", ["length", "digest"])
def test_an_end_that_only_the_server_proves_is_enough(server: Server, stated: str) -> None:
    digest = base64.b64encode(hashlib.sha256(OPEN_ENDED).digest()).decode()
    headers = {"content-length": str(len(OPEN_ENDED))} if stated == "length" else {"digest": f"sha-256={digest}"}
    server.will(httpx.Response(200, content=iter([OPEN_ENDED]), headers=headers))
    assert read(server)[1].end_verified


@pytest.mark.parametrize("content", [MP4, OPEN_ENDED])
def test_bytes_that_come_one_by_one_are_judged_alike(server: Server, content: bytes) -> None:
    server.will(httpx.Response(200, content=(content[at : at + 1] for at in range(len(content)))))
    found, about = read(server)
    assert found == content
    assert about.end_verified is (content is MP4)


def test_the_limits_are_what_the_documents_say() -> None:
    assert (content_module.MAX_CONTENT_BYTES, content_module._MAX_FAILURES) == (64 * 2**30, 100)


@pytest.mark.parametrize("measured", [True, False])
def test_the_size_is_told_before_the_first_bytes_come(server: Server, *, measured: bool) -> None:
    server.will(body(MP4) if measured else unmeasured(MP4))
    told: list[int | None] = []
    with SoraClient(CONFIG, transport=httpx.MockTransport(server.handle)) as client:
        next(client.read_content(DownloadContent(video_id="v"), told.append))
    assert told == [len(MP4) if measured else None]


def test_what_is_no_video_is_refused_with_its_twelfth_byte() -> None:
    check = content_module.ContentCheck(DownloadContent(video_id="v"), {})
    check.feed(b"<html><body")
    with pytest.raises(exceptions.SoraContentError, match="is not a video"):
        check.feed(b">")
