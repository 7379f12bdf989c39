"""Reading the bytes of a video: what breaks off is taken up again, and all is checked before it is called whole."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from airflow_provider_sora.api.content.containers import Container, Outcome, container_of
from airflow_provider_sora.api.content.opening import next_chunk, open_content
from airflow_provider_sora.api.content.throughput import ThroughputMeter
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy, retry_pause
from airflow_provider_sora.api.http.config import LowSpeed
from airflow_provider_sora.api.http.flows import Jitter
from airflow_provider_sora.api.http.steps import Emit, Flow, Sleep
from airflow_provider_sora.api.protocol.media_types import HEAD_BYTES, TYPES_OF_VARIANT, sniff
from airflow_provider_sora.api.protocol.requests import DownloadContent, Variant
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraConnectionError, SoraContentError, SoraError, SoraVariantError
from airflow_provider_sora.masking import masked_start

OnOpen = Callable[[int | None], None]

# Longer than any film: a body without end has to end somewhere before the storage is full.
MAX_CONTENT_BYTES = 64 * 1024**3
# A server that hands out a few bytes at a time between two breaks has to end somewhere.
_MAX_BREAKS = 100


@dataclass(frozen=True)
class Content:
    """What was read: size in bytes, type by its first bytes, SHA-256 in hex.

    :param end_verified: a length, a digest or the file's own container says that nothing is missing. Without any, a
        connection that broke off looks like one that ended
    """

    video_id: str
    variant: Variant
    size_bytes: int
    content_type: str
    sha256: str
    end_verified: bool


class ContentCheck:
    """Watches bytes go by and says at the end whether they are the whole thing.

    :param headers: of the answer that began to hand them out: length, version (strong ``ETag``), digest
    """

    def __init__(self, request: DownloadContent, headers: Mapping[str, str]) -> None:
        self._request = request
        self.expected_bytes, self._declared = _measures(headers)
        self.version = _strong_tag(headers)
        self.size = 0
        self._head = b""
        self._container: Container | None = None
        self._digest = hashlib.sha256()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        :raises SoraContentError: they cannot be what was asked for
        """
        self.size += len(chunk)
        if self.size > MAX_CONTENT_BYTES:
            raise SoraContentError(f"{self._describe()} has more than {MAX_CONTENT_BYTES} bytes")
        self._digest.update(chunk)
        if self._container is not None:
            self._container.feed(chunk)
            return
        self._head += chunk
        if len(self._head) >= HEAD_BYTES:
            self._container = self._begin_container()

    def content_type(self) -> str:
        """The type of what has come.

        :raises SoraContentError: it is not a type of the variant that was asked for
        """
        found = sniff(self._head)
        if found in TYPES_OF_VARIANT[self._request.variant]:
            return str(found)
        wanted = " or ".join(TYPES_OF_VARIANT[self._request.variant])
        hint = "; perhaps this server has no such variant" if found else ""
        begin = found or masked_start(self._head[:HEAD_BYTES].decode("latin-1"))
        kind = SoraVariantError if found and self._request.variant != "video" else SoraContentError
        raise kind(
            f"{self._describe()} is no {self._request.variant}: it begins like {begin!r}, {wanted} was expected{hint}"
        )

    def finish(self) -> Content:
        """Say that no more comes.

        :raises SoraContentError: bytes are missing, too many, of the wrong type, or not those of the server's digest
        :raises SoraConnectionError: bytes are missing, by the file's own container: what comes next may be the rest
        """
        if self.expected_bytes is not None and self.size != self.expected_bytes:
            raise SoraContentError(f"{self._describe()} broke off: {self.size} of {self.expected_bytes} bytes came")
        content_type = self.content_type()
        if self._declared is not None and self._declared != self._digest.digest():
            raise SoraContentError(
                f"{self._describe()} was damaged on the way: its SHA-256 is {self._digest.hexdigest()}, "
                f"the server says {self._declared.hex()}"
            )
        verified = self._check_end(content_type)
        digest = self._digest.hexdigest()
        return Content(self._request.video_id, self._request.variant, self.size, content_type, digest, verified)

    def _check_end(self, content_type: str) -> bool:
        """Whether it is proved that this was all."""
        outcome, why = (self._container or self._begin_container()).verdict()
        stated = self.expected_bytes is not None or self._declared is not None
        if outcome is not Outcome.BROKEN:
            return stated or outcome is Outcome.WHOLE
        words = f"of {self._describe()} {self.size} bytes came, which are no whole {content_type}: {why}"
        if stated:
            raise SoraContentError(f"{words}. The server itself has no more of it")
        raise SoraConnectionError(f"{words}. The server did not say how long it is")

    def _begin_container(self) -> Container:
        container = container_of(self.content_type())
        container.feed(self._head)
        self._head = self._head[:HEAD_BYTES]
        return container

    def part(self) -> dict[str, str]:
        """The headers that ask for what is missing; none where nothing could tell another version apart."""
        return {"Range": f"bytes={self.size}-", "If-Range": self.version} if self.version else {}

    def is_continued_by(self, response: Response) -> bool:
        """Whether an answer holds what is missing, and of this version."""
        found = re.fullmatch(
            r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", response.headers.get("content-range", "")
        )
        if response.status_code != 206 or not found or response.headers.get("etag") != self.version:
            return False
        # A server may send less than was asked for: then its end is not that of the whole.
        ends = {int(found[2]) + 1, _number(found[3]), self.expected_bytes} - {None}
        return int(found[1]) == self.size and len(ends) == 1

    def go_on_as(self, headers: Mapping[str, str]) -> None:
        """Be the version of another answer, which began with what has come so far.

        Should this break too, its tag has to ask for what is missing: with the tag of the first answer, the middle of
        one version and the end of another would be put together.

        :raises SoraContentError: its size is another
        """
        expected, declared = _measures(headers)
        if None not in (expected, self.expected_bytes) and expected != self.expected_bytes:
            raise self.changed()
        self.expected_bytes, self._declared = expected or self.expected_bytes, declared or self._declared
        self.version = _strong_tag(headers)

    def begins_with(self, digest: bytes) -> bool:
        """Whether what has come so far has this SHA-256."""
        return self._digest.digest() == digest

    def changed(self) -> SoraContentError:
        """The error for content that is no longer what its beginning was."""
        return SoraContentError(f"{self._describe()} changed on the server while it was read")

    def _describe(self) -> str:
        return f"content of video {self._request.video_id}"


def read(
    request: DownloadContent, policy: RequestRetryPolicy, jitter: Jitter, on_open: OnOpen, low_speed: LowSpeed
) -> Flow[Content]:
    """Read a video's content, checking it on the way. Whatever breaks, opening or reading, is taken up again.

    Attempts are counted from the last byte that came. What was handed on stays handed on: it is continued by a part of
    the same version (``Range`` with ``If-Range``) or by the whole once more, whose beginning has to be the same.

    :param on_open: told the size in bytes, where the server says it, once there is content
    :param low_speed: content that comes slower is taken for broken
    :raises SoraContentError: what came is not whole or not of the variant's type, changed meanwhile, or is too slow
    :raises SoraStatusError: the server refuses
    :raises SoraConnectionError: the connection broke too often
    """
    check: ContentCheck | None = None
    meter = ThroughputMeter(low_speed, policy.attempts)
    attempt = breaks = 0
    while True:
        attempt += 1
        try:
            if check is None:
                response, chunk = yield from open_content(request, {}, meter)
                check = ContentCheck(request, response.headers)
                on_open(check.expected_bytes)
            else:
                chunk = yield from _resume(request, check, meter)
            while chunk:
                check.feed(chunk)
                attempt = 1
                meter.resume((yield Emit(chunk)).monotonic)
                chunk = yield from next_chunk(request, meter)
            return check.finish()
        except SoraError as error:
            breaks += 1
            pause = retry_pause(policy, error, attempt, paid=False, jitter=jitter())
            if pause is None or breaks > _MAX_BREAKS:
                raise
        yield Sleep(pause)


def _resume(request: DownloadContent, check: ContentCheck, meter: ThroughputMeter) -> Flow[bytes]:
    """The first bytes behind those that have come."""
    response, chunk = yield from open_content(request, check.part(), meter)
    if check.is_continued_by(response):
        return chunk
    if response.status_code != 200:
        response, chunk = yield from open_content(request, {}, meter)
    chunk = yield from _skip(request, check, chunk, meter)
    check.go_on_as(response.headers)
    return chunk


def _skip(request: DownloadContent, check: ContentCheck, chunk: bytes, meter: ThroughputMeter) -> Flow[bytes]:
    """Read again what has been handed on already; the first bytes behind it."""
    left = check.size
    digest = hashlib.sha256()
    while left and chunk:
        known, chunk = chunk[:left], chunk[left:]
        digest.update(known)
        left -= len(known)
        chunk = chunk or (yield from next_chunk(request, meter))
    if left or not check.begins_with(digest.digest()):
        raise check.changed()
    return chunk


def _measures(headers: Mapping[str, str]) -> tuple[int | None, bytes | None]:
    """Size and SHA-256 that an answer states of its body; neither is that of the bytes where these are encoded."""
    if "content-encoding" in headers:
        return None, None
    return _number(headers.get("content-length", "")), _declared_sha256(headers)


def _strong_tag(headers: Mapping[str, str]) -> str | None:
    """The ``ETag``, where it tells versions apart byte by byte and can be sent back."""
    etag = headers.get("etag", "")
    return etag if re.fullmatch(r'"[!-~]+"', etag) else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _declared_sha256(headers: Mapping[str, str]) -> bytes | None:
    """The digest that a server (RFC 9530, RFC 3230) or the object store behind it states."""
    named = ", ".join(headers.get(name, "") for name in ("repr-digest", "digest"))
    found = re.search(r"sha-256=:?([A-Za-z0-9+/]{43}=)", named, re.IGNORECASE)
    plain = re.fullmatch(r"([A-Za-z0-9+/]{43}=)", headers.get("x-amz-checksum-sha256", ""))
    match = found or plain
    return base64.b64decode(match[1]) if match else None
