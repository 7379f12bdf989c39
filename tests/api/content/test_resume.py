"""Downloads that break off: taken up again where they broke, and never put together from two versions."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.content import reading
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.requests import DownloadContent
from tests.api.conftest import Server, job
from tests.media import mp4

MP4 = mp4(1000, bytes(index * 7 % 251 for index in range(988)))
OTHER = mp4(1000, bytes(index * 11 % 241 for index in range(988)))
STEP = 100
POLICY = RequestRetryPolicy(attempts=3, base_seconds=2, max_seconds=10)


def plain(status: int, body: bytes = b"", **headers: str) -> httpx.Response:
    """An answer as it comes from the network: its body has not been read."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, stream=httpx.ByteStream(body))


class Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces, for both clients, that may break off at its end."""

    def __init__(self, body: bytes, *, breaks: bool) -> None:
        self.body = body
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from (self.body[at : at + 33] for at in range(0, len(self.body), 33))
        if self.breaks:
            raise httpx.ReadError("connection reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


@dataclass
class Files:
    """A file server.

    :param breaks: where the connection breaks, each once and in order
    :param ranges: whether it hands out parts
    :param retouch: changes an answer, given its number
    """

    body: bytes = MP4
    etag: str | None = '"one"'
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    has_length: bool = True
    retouch: Callable[[int, httpx.Response], httpx.Response] = lambda _, response: response
    requests: list[httpx.Request] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.retouch(len(self.requests), self._answer(request))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        begin = int(found[1]) if found and self.ranges and request.headers["if-range"] == self.etag else 0
        headers = dict(self.headers) | ({"ETag": self.etag} if self.etag else {})
        if begin >= len(self.body):
            return plain(416, b"", **headers, Content_Range=f"bytes */{len(self.body)}")
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(self.body) - 1}/{len(self.body)}"
        if self.has_length:
            headers["Content-Length"] = str(len(self.body) - begin)
        breaks = bool(self.breaks) and self.breaks[0] >= begin
        end = self.breaks.pop(0) if breaks else len(self.body)
        self.sent.append((begin, end))
        stream = Parts(self.body[begin:end], breaks=breaks)
        return httpx.Response(206 if begin else 200, headers=headers, stream=stream)

    @property
    def asked(self) -> list[str | None]:
        """The `Range` of each request."""
        return [request.headers.get("range") for request in self.requests]


Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Reader:
    """Reads with one of the two clients; what came before an error stays in `got`."""

    server: Server
    blocking: bool
    got: bytes = b""

    def read(self, handler: Handler, config: SoraConfig | None = None) -> bytes:
        config = config or SoraConfig("http://server", api_key="secret-key-123", allow_private_urls=True)
        transport = httpx.MockTransport(handler)
        request = DownloadContent(video_id="v")
        self.got = b""
        if self.blocking:
            with SoraClient(
                config, POLICY, transport=transport, sleep=self.server.sleep, jitter=lambda: 0.0
            ) as blocking:
                for chunk in blocking.read_content(request):
                    self.got += chunk
            return self.got

        async def use() -> bytes:
            async with AsyncSoraClient(
                config, POLICY, transport=transport, sleep=self.server.asleep, jitter=lambda: 0.0
            ) as client:
                async for chunk in client.read_content(request):
                    self.got += chunk
            return self.got

        return asyncio.run(use())


@pytest.fixture(params=[True, False], ids=["blocking", "async"])
def reader(request: pytest.FixtureRequest, server: Server) -> Reader:
    return Reader(server, request.param)


def tenths() -> list[int]:
    return list(range(STEP, len(MP4) + 1, STEP))


def test_a_download_that_breaks_at_every_tenth_asks_for_each_byte_once(reader: Reader) -> None:
    files = Files(breaks=[*tenths()[:-1], len(MP4) - 1])
    assert reader.read(files.handle) == MP4
    assert len(files.requests) == 11
    assert [begin for begin, _ in files.sent] == [0, *(end for _, end in files.sent[:-1])]
    assert files.asked == [None, *(f"bytes={begin}-" for begin, _ in files.sent[1:])]
    assert {request.headers.get("if-range") for request in files.requests[1:]} == {'"one"'}
    assert reader.server.slept == [1.0] * 10  # attempts are counted from the last byte that came


def test_a_server_without_parts_is_asked_for_the_whole_each_time(reader: Reader) -> None:
    files = Files(breaks=tenths(), ranges=False)
    assert reader.read(files.handle) == MP4
    assert [begin for begin, _ in files.sent] == [0] * 11


@pytest.mark.parametrize("etag", ['W/"one"', None, '""', '"not finished', "bare", '"\u00e9"'])
def test_without_a_strong_tag_no_part_is_asked_for(reader: Reader, etag: str | None) -> None:
    def retouch(_: int, response: httpx.Response) -> httpx.Response:
        if etag:
            response.headers = httpx.Headers([*response.headers.raw, (b"etag", etag.encode())])
        return response

    files = Files(etag=None, breaks=tenths(), retouch=retouch)
    assert reader.read(files.handle) == MP4
    assert files.asked == [None] * 11


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 399-999/1000"},
        {"Content-Range": "bytes 401-999/1000"},
        {"Content-Range": "bytes 400-1000/1001"},
        {"Content-Range": "bytes 400-499/1000"},
        {"Content-Range": "bytes 400-499/*"},
        {"Content-Range": "elephants 400-999/1000"},
        {"Content-Range": ""},
        {"ETag": '"two"'},
        {"ETag": ""},
    ],
    ids=str,
)
def test_a_part_that_is_not_the_missing_one_is_not_taken(reader: Reader, headers: dict[str, str]) -> None:
    def retouch(number: int, response: httpx.Response) -> httpx.Response:
        if number == 2:
            response.headers.update(headers)
        return response

    files = Files(breaks=[400], retouch=retouch)
    assert reader.read(files.handle) == MP4
    assert files.asked == [None, "bytes=400-", None]


def test_a_part_of_a_body_whose_size_is_not_known_is_taken(reader: Reader) -> None:
    files = Files(breaks=[400, 600], has_length=False)
    assert reader.read(files.handle) == MP4
    assert [begin for begin, _ in files.sent] == [0, 400, 600]


def test_a_server_that_has_no_such_part_is_asked_for_the_whole(reader: Reader) -> None:
    # Everything came, but not the word that this was all.
    files = Files(breaks=[len(MP4)], has_length=False)
    assert reader.read(files.handle) == MP4
    assert files.asked == [None, f"bytes={len(MP4)}-", None]


@pytest.mark.parametrize("etag", ['"one"', None])
@pytest.mark.parametrize("after", [OTHER, MP4[:300], MP4 + b"more", MP4[:999]], ids=["other", "short", "long", "less"])
def test_content_that_changed_meanwhile_is_an_error_that_says_so(
    reader: Reader, etag: str | None, after: bytes
) -> None:
    files = Files(etag=etag, breaks=[400], ranges=bool(etag))

    def handle(request: httpx.Request) -> httpx.Response:
        if files.requests:
            files.body, files.etag = after, etag and '"two"'
        return files.handle(request)

    with pytest.raises(exceptions.SoraContentError, match="video v changed on the server while it was read") as caught:
        reader.read(handle)
    assert caught.value.retryable
    assert reader.got == MP4[:400]
    assert len(files.requests) == 2


def test_versions_with_the_same_beginning_are_not_mixed(reader: Reader) -> None:
    """Two servers behind one name, each with a version of its own: the second takes over, then the first is back."""
    later = MP4[:500] + OTHER[500:]
    first = Files(body=MP4, etag='"one"', breaks=[400])
    second = Files(body=later, etag='"two"', breaks=[700])
    order = [first, second, first, second]
    with pytest.raises(exceptions.SoraContentError, match="changed on the server"):
        reader.read(lambda request: order.pop(0).handle(request))
    assert reader.got == later[:700]
    assert first.asked == [None, "bytes=700-"]

    first, second = Files(body=MP4, breaks=[400]), Files(body=later, etag='"two"', breaks=[700])
    order = [first, second, second]
    assert reader.read(lambda request: order.pop(0).handle(request)) == later


def test_a_break_while_the_known_part_is_read_again_loses_nothing(reader: Reader) -> None:
    """The other version's tag is not taken over before its beginning has been compared."""
    first, second = Files(body=MP4, breaks=[400]), Files(body=OTHER, etag='"two"', breaks=[200])
    order = [first, second, second]
    with pytest.raises(exceptions.SoraContentError, match="changed on the server"):
        reader.read(lambda request: order.pop(0).handle(request))
    assert second.requests[-1].headers["if-range"] == '"one"'
    assert reader.got == MP4[:400]


def test_without_progress_it_gives_up_after_the_policys_attempts(reader: Reader) -> None:
    files = Files(breaks=[400] * 9)
    with pytest.raises(exceptions.SoraConnectionError, match="ReadError: connection reset"):
        reader.read(files.handle)
    assert reader.got == MP4[:400]
    assert len(files.requests) == POLICY.attempts
    assert reader.server.slept == [1.0, 2.0]


def test_a_server_that_is_busy_meanwhile_is_asked_again(reader: Reader) -> None:
    def retouch(number: int, response: httpx.Response) -> httpx.Response:
        return plain(503, Retry_After="7") if number == 2 else response

    files = Files(breaks=[400], retouch=retouch)
    assert reader.read(files.handle) == MP4
    assert reader.server.slept == [1.0, 7.0]


def test_content_that_is_gone_meanwhile_is_not_asked_for_again(reader: Reader) -> None:
    files = Files(breaks=[400], retouch=lambda number, response: plain(410) if number == 2 else response)
    with pytest.raises(exceptions.SoraContentExpiredError):
        reader.read(files.handle)
    assert len(files.requests) == 2


def test_a_download_that_breaks_again_and_again_ends(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MAX_FAILURES", 5)
    files = Files(breaks=[*range(20, 220, 10)])
    with pytest.raises(exceptions.SoraConnectionError, match="connection reset"):
        reader.read(files.handle)
    assert len(files.requests) == 6
    assert reader.got == MP4[:70]


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


DECLARED: list[Callable[[bytes], dict[str, str]]] = [
    lambda body: {"Repr-Digest": f"sha-512=:AAAA:, sha-256=:{digest(body)}:"},
    lambda body: {"Digest": f"SHA-256={digest(body)},md5=AAAA"},
    lambda body: {"x-amz-checksum-sha256": digest(body)},
]


@pytest.mark.parametrize("declared", DECLARED, ids=["Repr-Digest", "Digest", "x-amz-checksum-sha256"])
def test_a_digest_that_the_server_declares_is_checked(
    reader: Reader, declared: Callable[[bytes], dict[str, str]]
) -> None:
    assert reader.read(Files(headers=declared(MP4), breaks=[400, 600]).handle) == MP4
    with pytest.raises(
        exceptions.SoraContentError, match=r"was damaged in transit: its SHA-256 is .*, the server states"
    ):
        reader.read(Files(headers=declared(OTHER)).handle)
    assert reader.read(Files(headers=declared(OTHER) | {"Content-Encoding": "br"}).handle) == MP4


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ({"Digest": f"sha-256={digest(OTHER)}"}, "was damaged in transit"),
        ({"Content-Length": "1001"}, "has 1000 bytes instead of the stated 1001"),
    ],
    ids=["digest", "length"],
)
def test_what_only_the_first_answer_says_holds_for_what_is_read_again(
    reader: Reader, first: dict[str, str], words: str
) -> None:
    def retouch(number: int, response: httpx.Response) -> httpx.Response:
        response.headers.update(first if number == 1 else {})
        return response

    files = Files(breaks=[400], ranges=False, has_length=False, retouch=retouch)
    with pytest.raises(exceptions.SoraContentError, match=words):
        reader.read(files.handle)
    assert len(files.requests) == 2


@pytest.mark.parametrize("value", ["not base64", f"{digest(MP4)}-3", ""])
def test_a_digest_that_is_none_is_not_checked(reader: Reader, value: str) -> None:
    assert reader.read(Files(headers={"x-amz-checksum-sha256": value, "digest": value}).handle) == MP4


def test_the_part_is_asked_for_over_redirects_and_without_the_key(reader: Reader) -> None:
    files = Files(breaks=[400, 600])
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "files":
            return files.handle(request)
        asked.append(request)
        other = "http://files/v.mp4" if request.url.path == "/moved" else "/moved"
        return plain(302, Location=other)

    assert reader.read(handle) == MP4
    ranges = [None, "bytes=400-", "bytes=600-"]
    assert files.asked == ranges
    # The server itself, and where it redirects to on itself, are asked with the key.
    assert [request.headers.get("range") for request in asked] == [each for each in ranges for _ in range(2)]
    assert {request.headers["authorization"] for request in asked} == {"Bearer secret-key-123"}
    assert "secret-key-123" not in str([request.headers.raw for request in files.requests])


def test_the_part_is_asked_for_at_the_videos_own_url_and_without_the_key(reader: Reader) -> None:
    files = Files(breaks=[400, 600])

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "files":
            return files.handle(request)
        if request.url.path.endswith("/content"):
            return plain(400, b'{"error": "stored elsewhere"}')
        return httpx.Response(200, json=job("completed", "v", url="http://files/v.mp4"))

    assert reader.read(handle) == MP4
    assert files.asked == [None, "bytes=400-", "bytes=600-"]
    assert "secret-key-123" not in str([request.headers.raw for request in files.requests])


def test_the_videos_own_url_may_be_gone_while_a_part_is_missing(reader: Reader) -> None:
    files = Files(breaks=[400])

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "files":
            return plain(404) if files.requests else files.handle(request)
        if request.url.path.endswith("/content"):
            return plain(400, b'{"error": "stored elsewhere"}')
        return httpx.Response(200, json=job("completed", "v", url="http://files/v.mp4"))

    with pytest.raises(exceptions.SoraNotFoundError):
        reader.read(handle)


def test_only_the_servers_own_clock_is_compared_with_ours(server: Server) -> None:
    dates = {"server": "Thu, 01 Jan 1970 00:33:20 GMT", "files": "Thu, 01 Jan 1970 10:00:00 GMT"}

    def handle(request: httpx.Request) -> httpx.Response:
        date = dates[request.url.host]
        if request.url.host == "files":
            return plain(200, MP4, Date=date)
        return plain(302, Date=date, Location="http://files/v.mp4")

    config = SoraConfig("http://server", allow_private_urls=True)
    with SoraClient(config, transport=httpx.MockTransport(handle), clock=lambda: server.now) as client:
        assert b"".join(client.read_content(DownloadContent(video_id="v"))) == MP4
        assert client.clock_offset_seconds == 1000
