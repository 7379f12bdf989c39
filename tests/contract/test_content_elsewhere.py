"""Content that a server keeps on another host: fetched without the key, and only from where it may be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.emulator import Clock, Emulator, Fault
from airflow_provider_sora.hooks.sora import SoraHook
from tests.http_server import LoopbackServer
from tests.media import mp4
from tests.pictures import png

MP4 = mp4(1012)


class Elsewhere:
    """Another host, which remembers the headers it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, body, headers = outer.answers[self.path]
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = LoopbackServer(Handler)
        self.url = f"http://localhost:{self.server.server_port}"


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    host = Elsewhere()
    with host.server:
        yield host


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(clock=Clock(running=False)) as server:
        yield server


def connect(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, **extra: Any) -> SoraHook:
    connection = json.loads(emulator.connection()) | {"extra": {"headers": {"X-Team": "secret-team"}, **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", json.dumps(connection))
    return SoraHook()


def finished(hook: SoraHook, emulator: Emulator) -> str:
    video_id = hook.create_video("a cat", seconds=1, size="64x64").id
    emulator.clock.advance(60)
    return video_id


def no_secret_in(elsewhere: Elsewhere) -> bool:
    return not any("secret-team" in str(sent) or "sora-emulator" in str(sent) for sent in elsewhere.headers)


def place(emulator: Emulator, elsewhere: Elsewhere, how: str) -> None:
    elsewhere.answers["/x.mp4?signature=s"] = (200, MP4, {})
    elsewhere.answers["/moved"] = (302, b"", {"Location": "/x.mp4?signature=s"})
    if how == "redirect":
        emulator.faults.add(Fault("content", "redirect", url=f"{elsewhere.url}/moved"))
    else:
        emulator.faults.add(Fault("create", "elsewhere", url=f"{elsewhere.url}/x.mp4?signature=s"))


@pytest.mark.parametrize("how", ["redirect", "elsewhere"])
def test_content_on_another_host_is_fetched_without_the_key(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere, how: str
) -> None:
    place(emulator, elsewhere, how)
    with connect(monkeypatch, emulator, allow_private_urls=True) as hook:
        assert b"".join(hook.download_content(finished(hook, emulator))) == MP4
    assert elsewhere.headers
    assert no_secret_in(elsewhere)
    assert elsewhere.headers[0]["host"] == elsewhere.url.removeprefix("http://")


@pytest.mark.parametrize("how", ["redirect", "elsewhere"])
def test_a_local_address_is_refused_unless_allowed(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere, how: str
) -> None:
    place(emulator, elsewhere, how)
    with connect(monkeypatch, emulator) as hook:
        video_id = finished(hook, emulator)
        with pytest.raises(
            exceptions.SoraConfigError, match=r"local or private address .*allow_private_urls"
        ) as caught:
            b"".join(hook.download_content(video_id))
    assert elsewhere.headers == []
    assert "signature" not in str(caught.value)


def test_a_redirect_to_the_same_server_keeps_the_key(monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    with connect(monkeypatch, emulator) as hook:
        video_id = finished(hook, emulator)
        emulator.faults.add(Fault("content", "redirect", url=f"/v1/videos/{video_id}/content"))
        assert b"".join(hook.download_content(video_id))[4:8] == b"ftyp"


def test_redirects_in_a_circle_end(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere) -> None:
    elsewhere.answers["/a"] = (302, b"", {"Location": "/a"})
    emulator.faults.add(Fault("content", "redirect", url=f"{elsewhere.url}/a"))
    with connect(monkeypatch, emulator, allow_private_urls=True) as hook:
        video_id = finished(hook, emulator)
        with pytest.raises(exceptions.SoraContentError, match="was redirected 5 times"):
            b"".join(hook.download_content(video_id))


def test_a_picture_is_fetched_without_the_key_and_uploaded(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere
) -> None:
    content = png((64, 64))
    elsewhere.answers["/cat"] = (302, b"", {"Location": "/cat.png"})
    elsewhere.answers["/cat.png"] = (200, content, {})
    with connect(monkeypatch, emulator, allow_private_urls=True) as hook:
        hook.create_video("a cat", size="64x64", input_reference=f"{elsewhere.url}/cat")
    assert emulator.jobs.all()[0].fields["input_reference"] == ("image/png", len(content))
    assert no_secret_in(elsewhere)


def test_a_picture_on_a_local_address_is_refused_before_anything_is_paid(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere
) -> None:
    with connect(monkeypatch, emulator) as hook, pytest.raises(exceptions.SoraConfigError, match="local or private"):
        hook.create_video("a cat", input_reference=f"{elsewhere.url}/cat.png")
    assert (emulator.creates, elsewhere.headers) == (0, [])


def test_a_picture_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere
) -> None:
    elsewhere.answers["/cat.png?token=t"] = (404, b"", {})
    with (
        connect(monkeypatch, emulator, allow_private_urls=True) as hook,
        pytest.raises(exceptions.SoraConfigError, match=r"/cat\.png answered HTTP 404 instead of an image") as caught,
    ):
        hook.create_video("a cat", input_reference=f"{elsewhere.url}/cat.png?token=t")
    assert "token" not in str(caught.value)


def test_an_event_loop_follows_too_and_without_the_key(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere
) -> None:
    async def use() -> bytes:
        async with connect(monkeypatch, emulator, allow_private_urls=True) as hook:
            return b"".join([chunk async for chunk in hook.download_content.aio(video_id)])

    place(emulator, elsewhere, "redirect")
    with connect(monkeypatch, emulator) as hook:
        video_id = finished(hook, emulator)
    assert asyncio.run(use()) == MP4
    assert no_secret_in(elsewhere)


def test_content_that_is_not_there_either_is_an_error(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere
) -> None:
    elsewhere.answers["/gone"] = (403, b"expired", {})
    emulator.faults.add(Fault("create", "elsewhere", url=f"{elsewhere.url}/gone"))
    with connect(monkeypatch, emulator, allow_private_urls=True) as hook:
        video_id = finished(hook, emulator)
        with pytest.raises(exceptions.SoraContentExpiredError):
            b"".join(hook.download_content(video_id))


def test_a_picture_that_is_sent_round_in_circles_or_breaks_off_is_named(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere
) -> None:
    elsewhere.answers["/a.png"] = (302, b"", {"Location": "/a.png"})
    elsewhere.answers["/short.png"] = (200, b"abc", {"Content-Length": "100"})
    with connect(monkeypatch, emulator, allow_private_urls=True) as hook:
        with pytest.raises(exceptions.SoraConfigError, match="answered HTTP 302 instead of an image"):
            hook.create_video("a cat", input_reference=f"{elsewhere.url}/a.png")
        with pytest.raises(exceptions.SoraConnectionError, match=r"GET .*/short\.png got no response"):
            hook.create_video("a cat", input_reference=f"{elsewhere.url}/short.png")
    assert emulator.creates == 0


def test_a_picture_beyond_the_limit_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere
) -> None:
    monkeypatch.setattr("airflow_provider_sora.api.content.opening.MAX_FETCH_BYTES", 10)
    elsewhere.answers["/big.png"] = (200, png((64, 64)), {})
    with (
        connect(monkeypatch, emulator, allow_private_urls=True) as hook,
        pytest.raises(exceptions.SoraConfigError, match="larger than the API's limit of 10 bytes"),
    ):
        hook.create_video("a cat", input_reference=f"{elsewhere.url}/big.png")


def test_a_picture_on_the_videos_own_server_is_asked_for_without_the_key_too(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator
) -> None:
    with (
        connect(monkeypatch, emulator, allow_private_urls=True) as hook,
        pytest.raises(exceptions.SoraConfigError, match="answered HTTP 401 instead of an image"),
    ):
        hook.create_video("a cat", input_reference=f"{emulator.base_url}/videos")


def test_a_picture_whose_host_is_busy_may_be_there_later(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, elsewhere: Elsewhere
) -> None:
    elsewhere.answers["/cat.png"] = (503, b"", {})
    with (
        connect(monkeypatch, emulator, allow_private_urls=True) as hook,
        pytest.raises(exceptions.SoraConnectionError, match=r"/cat\.png answered HTTP 503"),
    ):
        hook.create_video("a cat", input_reference=f"{elsewhere.url}/cat.png")
