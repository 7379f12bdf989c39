"""Reading the bytes of a video: what arrives is checked before it is called whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from airflow_provider_sora.api.decisions import RetryPolicy, retry_pause
from airflow_provider_sora.api.encoding import encode
from airflow_provider_sora.api.errors import connection_error, status_error
from airflow_provider_sora.api.flows import Jitter
from airflow_provider_sora.api.media_types import HEAD_BYTES, TYPES_OF_VARIANT, sniff
from airflow_provider_sora.api.models import find_failed_video, shorten
from airflow_provider_sora.api.requests import DownloadContent, Variant
from airflow_provider_sora.api.steps import Emit, Flow, Open, Read, Reply, Sleep
from airflow_provider_sora.exceptions import (
    SoraContentError,
    SoraContentExpiredError,
    SoraContentNotReadyError,
    SoraError,
    SoraStatusError,
)


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
            reply, chunk = yield from _open(request)
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


def _open(request: DownloadContent) -> Flow[tuple[Reply, bytes]]:
    try:
        reply = yield Open(encode(request))
    except httpx.RequestError as error:
        raise connection_error(str(request), error, paid=False) from error
    chunk = yield from _next_chunk(request)
    if reply.status_code != 200:
        raise _refusal(request, reply, chunk)
    if _is_json(reply.headers, chunk):
        raise SoraContentNotReadyError(f"{request} answered JSON instead of content: {shorten(chunk)}")
    return reply, chunk


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
    error = status_error(str(request), reply.status_code, reply.headers, body, now=reply.at)
    words = f"{error.code or ''} {error.detail}".lower()
    if "expired" in words or reply.status_code == 410:
        return SoraContentExpiredError(f"{error}. The content of video {request.video_id} is no longer kept")
    if "progress" in words or "not ready" in words or "not completed" in words:
        return SoraContentNotReadyError(str(error))
    failed = find_failed_video(body)
    return SoraContentError(f"{error} (the job {failed.status})") if failed else error
