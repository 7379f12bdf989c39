"""Reads the bytes of a video: resumes after a broken connection, and checks all before they count as complete."""

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

# Larger than any video: a body without end must not fill the storage.
MAX_CONTENT_BYTES = 64 * 1024**3
# Attempts are counted from the last byte that came, so a server that sends a few bytes each time needs a limit, too.
_MAX_FAILURES = 100


@dataclass(frozen=True)
class Content:
    """A description of what was read: size in bytes, type by its first bytes, SHA-256 in hex.

    :param end_verified: a length, a digest or the file's container proves that nothing is missing. Without any of them,
        a broken connection cannot be distinguished from the end
    """

    video_id: str
    variant: Variant
    size_bytes: int
    content_type: str
    sha256: str
    end_verified: bool


class ContentCheck:
    """Checks the bytes of a video while they are streamed.

    :param headers: of the first response: length, version (strong ``ETag``), digest
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
        """Check the next bytes.

        :raises SoraContentError: they cannot be the requested variant
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
            self._container = self._start_container()

    def content_type(self) -> str:
        """The type of the bytes so far.

        :raises SoraContentError: it is not a type of the requested variant
        """
        found = sniff(self._head)
        if found in TYPES_OF_VARIANT[self._request.variant]:
            return str(found)
        wanted = " or ".join(TYPES_OF_VARIANT[self._request.variant])
        hint = "; this server may not have this variant" if found else ""
        start = found or masked_start(self._head[:HEAD_BYTES].decode("latin-1"))
        kind = SoraVariantError if found and self._request.variant != "video" else SoraContentError
        raise kind(
            f"{self._describe()} is not a {self._request.variant}: it starts with {start!r}, expected {wanted}{hint}"
        )

    def finish(self) -> Content:
        """Check the end.

        :raises SoraContentError: bytes are missing, too many, of the wrong type, or do not have the server's digest
        :raises SoraConnectionError: bytes are missing according to the file's container; a retry may get them
        """
        if self.expected_bytes is not None and self.size != self.expected_bytes:
            raise SoraContentError(
                f"{self._describe()} has {self.size} bytes instead of the stated {self.expected_bytes}"
            )
        content_type = self.content_type()
        if self._declared is not None and self._declared != self._digest.digest():
            raise SoraContentError(
                f"{self._describe()} was damaged in transit: its SHA-256 is {self._digest.hexdigest()}, "
                f"the server states {self._declared.hex()}"
            )
        verified = self._check_end(content_type)
        digest = self._digest.hexdigest()
        return Content(self._request.video_id, self._request.variant, self.size, content_type, digest, verified)

    def _check_end(self, content_type: str) -> bool:
        """Whether it is certain that nothing is missing."""
        outcome, reason = (self._container or self._start_container()).verdict()
        stated = self.expected_bytes is not None or self._declared is not None
        if outcome is not Outcome.BROKEN:
            return stated or outcome is Outcome.WHOLE
        message = f"{self._describe()} is not a complete {content_type} after {self.size} bytes: {reason}"
        if stated:
            raise SoraContentError(f"{message}. The file on the server is incomplete itself")
        raise SoraConnectionError(f"{message}. The server did not state its length")

    def _start_container(self) -> Container:
        container = container_of(self.content_type())
        container.feed(self._head)
        self._head = self._head[:HEAD_BYTES]
        return container

    def part(self) -> dict[str, str]:
        """The headers that request the missing part; empty where another version could not be recognized."""
        return {"Range": f"bytes={self.size}-", "If-Range": self.version} if self.version else {}

    def is_continued_by(self, response: Response) -> bool:
        """Whether a response has the missing part, of this version."""
        found = re.fullmatch(
            r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", response.headers.get("content-range", "")
        )
        if response.status_code != 206 or not found or response.headers.get("etag") != self.version:
            return False
        # A server may send less than requested: then its end is not the end of the content.
        ends = {int(found[2]) + 1, _number(found[3]), self.expected_bytes} - {None}
        return int(found[1]) == self.size and len(ends) == 1

    def continue_as(self, headers: Mapping[str, str]) -> None:
        """Continue with the version of another response, which starts with the bytes so far.

        If that breaks, too, the missing part has to be requested by its tag: with the tag of the first response, the
        middle of one version and the end of another could be combined.

        :raises SoraContentError: its size differs
        """
        expected, declared = _measures(headers)
        if None not in (expected, self.expected_bytes) and expected != self.expected_bytes:
            raise self.changed()
        self.expected_bytes, self._declared = expected or self.expected_bytes, declared or self._declared
        self.version = _strong_tag(headers)

    def starts_with(self, digest: bytes) -> bool:
        """Whether the bytes so far have this SHA-256."""
        return self._digest.digest() == digest

    def changed(self) -> SoraContentError:
        """The error for content that is another version than its beginning."""
        return SoraContentError(f"{self._describe()} changed on the server while it was read")

    def _describe(self) -> str:
        return f"content of video {self._request.video_id}"


def read(
    request: DownloadContent, policy: RequestRetryPolicy, jitter: Jitter, on_open: OnOpen, low_speed: LowSpeed
) -> Flow[Content]:
    """Read and check a video's content. After a failure, of opening or of reading, it is resumed.

    Attempts are counted from the last byte that came. Emitted bytes are never emitted again: the rest is requested as a
    part of the same version (``Range`` with ``If-Range``), or the whole is read again, and its beginning must be equal.

    :param on_open: called with the size in bytes, or None where the server does not state it, once content is open
    :param low_speed: slower content counts as a broken connection
    :raises SoraContentError: the content is incomplete, not of the variant's type, changed meanwhile, or is too slow
    :raises SoraStatusError: the server rejects the request
    :raises SoraConnectionError: the connection broke too often
    """
    check: ContentCheck | None = None
    meter = ThroughputMeter(low_speed, policy.attempts)
    attempt = failures = 0
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
            failures += 1
            pause = retry_pause(policy, error, attempt, paid=False, jitter=jitter())
            if pause is None or failures > _MAX_FAILURES:
                raise
        yield Sleep(pause)


def _resume(request: DownloadContent, check: ContentCheck, meter: ThroughputMeter) -> Flow[bytes]:
    """The first bytes after those that have come."""
    response, chunk = yield from open_content(request, check.part(), meter)
    if check.is_continued_by(response):
        return chunk
    if response.status_code != 200:
        response, chunk = yield from open_content(request, {}, meter)
    chunk = yield from _skip(request, check, chunk, meter)
    check.continue_as(response.headers)
    return chunk


def _skip(request: DownloadContent, check: ContentCheck, chunk: bytes, meter: ThroughputMeter) -> Flow[bytes]:
    """Read the emitted bytes again and compare them; returns the first bytes after them."""
    left = check.size
    digest = hashlib.sha256()
    while left and chunk:
        known, chunk = chunk[:left], chunk[left:]
        digest.update(known)
        left -= len(known)
        chunk = chunk or (yield from next_chunk(request, meter))
    if left or not check.starts_with(digest.digest()):
        raise check.changed()
    return chunk


def _measures(headers: Mapping[str, str]) -> tuple[int | None, bytes | None]:
    """The size and SHA-256 that a response states; None for an encoded body, to which they do not apply."""
    if "content-encoding" in headers:
        return None, None
    return _number(headers.get("content-length", "")), _declared_sha256(headers)


def _strong_tag(headers: Mapping[str, str]) -> str | None:
    """The ``ETag``, if it is a strong validator and can be sent back."""
    etag = headers.get("etag", "")
    return etag if re.fullmatch(r'"[!-~]+"', etag) else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _declared_sha256(headers: Mapping[str, str]) -> bytes | None:
    """The digest that a server (RFC 9530, RFC 3230), or the object store behind it, states."""
    named = ", ".join(headers.get(name, "") for name in ("repr-digest", "digest"))
    found = re.search(r"sha-256=:?([A-Za-z0-9+/]{43}=)", named, re.IGNORECASE)
    plain = re.fullmatch(r"([A-Za-z0-9+/]{43}=)", headers.get("x-amz-checksum-sha256", ""))
    match = found or plain
    return base64.b64decode(match[1]) if match else None
