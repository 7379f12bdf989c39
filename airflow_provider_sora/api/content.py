"""Reading the bytes of a video: what arrives is checked before it is called whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin

import httpx

from airflow_provider_sora.api.decisions import RetryPolicy, retry_pause
from airflow_provider_sora.api.errors import connection_error, status_error
from airflow_provider_sora.api.flows import Jitter, exchange
from airflow_provider_sora.api.foreign import shown
from airflow_provider_sora.api.media_types import HEAD_BYTES, TYPES_OF_VARIANT, sniff
from airflow_provider_sora.api.models import find_failed_video, shorten
from airflow_provider_sora.api.requests import DownloadContent, RetrieveVideo, Variant
from airflow_provider_sora.api.steps import Emit, Flow, Open, OpenUrl, Read, Reply, Sleep
from airflow_provider_sora.exceptions import (
    SoraConfigError,
    SoraConnectionError,
    SoraContentError,
    SoraContentExpiredError,
    SoraContentNotReadyError,
    SoraError,
    SoraStatusError,
)

_MAX_REDIRECTS = 5
MAX_FETCH_BYTES = 20_971_520  # what the API allows an image_url to hold
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Content:
    """What was read: size in bytes, type by its first bytes, SHA-256 in hex."""

    video_id: str
    variant: Variant
    size_bytes: int
    content_type: str
    sha256: str


class ContentCheck:
    """Watches bytes go by and says at the end whether they are the whole thing."""

    def __init__(self, request: DownloadContent, expected_bytes: int | None) -> None:
        self._request = request
        self._expected = expected_bytes
        self._size = 0
        self._head = b""
        self._digest = hashlib.sha256()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        :raises SoraContentError: they cannot be what was asked for
        """
        known = len(self._head) >= HEAD_BYTES
        if not known:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
        self._size += len(chunk)
        self._digest.update(chunk)
        if not known and len(self._head) >= HEAD_BYTES:
            self.content_type()

    def content_type(self) -> str:
        """The type of what has come.

        :raises SoraContentError: it is not a type of the variant that was asked for
        """
        found = sniff(self._head)
        if found in TYPES_OF_VARIANT[self._request.variant]:
            return str(found)
        wanted = " or ".join(TYPES_OF_VARIANT[self._request.variant])
        hint = "; perhaps this server has no such variant" if found else ""
        raise SoraContentError(
            f"{self._describe()} is no {self._request.variant}: it begins like {found or self._head!r}, "
            f"{wanted} was expected{hint}"
        )

    def finish(self) -> Content:
        """Say that no more comes.

        :raises SoraContentError: bytes are missing, too many, or of the wrong type
        """
        if self._expected is not None and self._size != self._expected:
            raise SoraContentError(f"{self._describe()} broke off: {self._size} of {self._expected} bytes came")
        content_type = self.content_type()
        return Content(
            self._request.video_id, self._request.variant, self._size, content_type, self._digest.hexdigest()
        )

    def _describe(self) -> str:
        return f"content of video {self._request.video_id}"


def read(request: DownloadContent, policy: RetryPolicy, jitter: Jitter) -> Flow[Content]:
    """Read a video's content, checking it on the way. Until the first byte came it is asked for again as any call is.

    :raises SoraContentError: what came is not whole or not of the variant's type
    :raises SoraStatusError: the server refuses
    :raises SoraConnectionError: the connection broke
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            reply, chunk = yield from _locate(request)
            break
        except SoraError as error:
            pause = retry_pause(policy, error, attempt, paid=False, jitter=jitter())
            if pause is None:
                raise
        yield Sleep(pause)
    check = ContentCheck(request, _length(reply.headers))
    while chunk:
        check.feed(chunk)
        yield Emit(chunk)
        chunk = yield from _next_chunk(request)
    return check.finish()


def _locate(request: DownloadContent) -> Flow[tuple[Reply, bytes]]:
    """Open the content where it is: at the server, where it redirects to, or at the video's own `url`."""
    reply, chunk = yield from _open(request, Open(request))
    if reply.status_code == 200:
        return reply, chunk
    if reply.status_code == 400 and request.variant == "video":
        url = yield from _own_url(request)
        if url is not None:
            reply, chunk = yield from _open(request, OpenUrl(url, trusted=True))
            if reply.status_code == 200:
                return reply, chunk
    raise _refusal(request, reply, chunk)


def _own_url(request: DownloadContent) -> Flow[str | None]:
    """SGLang with storage in a cloud answers 400 to `content`: the video says where it is."""
    try:
        video, _ = yield from exchange(RetrieveVideo(video_id=request.video_id))
    except SoraError:
        return None
    extra = video.model_extra or {}
    several = extra.get("urls")
    urls = [extra.get("url"), *(several if isinstance(several, list) else ())]
    return next((url for url in urls if isinstance(url, str) and url.startswith("http")), None)


def _open(request: DownloadContent, step: Open | OpenUrl) -> Flow[tuple[Reply, bytes]]:
    for _ in range(_MAX_REDIRECTS):
        try:
            reply = yield step
        except httpx.RequestError as error:
            raise connection_error(str(request), error, paid=False) from error
        if reply.status_code not in _REDIRECTS or "location" not in reply.headers:
            chunk = yield from _next_chunk(request)
            if reply.status_code == 200 and _is_json(reply.headers, chunk):
                raise SoraContentNotReadyError(f"{request} answered JSON instead of content: {shorten(chunk)}")
            return reply, chunk
        step = OpenUrl(urljoin(reply.url, reply.headers["location"]), trusted=True)
    raise SoraContentError(f"{request} was redirected {_MAX_REDIRECTS} times")


def _next_chunk(request: DownloadContent) -> Flow[bytes]:
    try:
        return (yield Read()).body
    except httpx.RequestError as error:
        raise connection_error(str(request), error, paid=False) from error


def _length(headers: Mapping[str, str]) -> int | None:
    value = headers.get("content-length", "")
    return int(value) if value.isdigit() and "content-encoding" not in headers else None


def _is_json(headers: Mapping[str, str], chunk: bytes) -> bool:
    return "json" in headers.get("content-type", "") and chunk.lstrip()[:1] in (b"{", b"[")


def _refusal(request: DownloadContent, reply: Reply, body: bytes) -> SoraContentError | SoraStatusError:
    error = status_error(request, replace(reply, body=body))
    words = f"{error.code or ''} {error.detail}".lower()
    if "expired" in words or reply.status_code == 410:
        return SoraContentExpiredError(f"{error}. The content of video {request.video_id} is no longer kept")
    if "progress" in words or "not ready" in words or "not completed" in words:
        return SoraContentNotReadyError(str(error))
    failed = find_failed_video(body)
    return SoraContentError(f"{error} (the job {failed.status})") if failed else error


def fetch(url: str) -> Flow[bytes]:
    """The whole of what a URL holds, following redirects; for pictures that a user names.

    :raises SoraConfigError: the URL is not to be fetched, or answers anything but 200
    """
    named = url
    for _ in range(_MAX_REDIRECTS):
        try:
            reply = yield OpenUrl(url)
            content = bytearray()
            while chunk := (yield Read()).body:
                content += chunk
                if len(content) > MAX_FETCH_BYTES:
                    raise SoraConfigError(f"{shown(named)} is larger than the API's limit of {MAX_FETCH_BYTES} bytes")
        except httpx.RequestError as error:
            raise connection_error(f"GET {shown(named)}", error, paid=False) from error
        if reply.status_code == 200:
            return bytes(content)
        if reply.status_code == 429 or reply.status_code >= 500:
            raise SoraConnectionError(f"{shown(named)} answered HTTP {reply.status_code}")
        if reply.status_code not in _REDIRECTS or "location" not in reply.headers:
            break
        url = urljoin(url, reply.headers["location"])
    raise SoraConfigError(f"{shown(named)} answered HTTP {reply.status_code} instead of a picture")
