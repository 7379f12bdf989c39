"""Opens content: at the server, at the target of its redirect, or at the video's own URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import httpx

from airflow_provider_sora.api.content.throughput import ThroughputMeter
from airflow_provider_sora.api.http.flows import exchange
from airflow_provider_sora.api.http.public_urls import join
from airflow_provider_sora.api.http.steps import Flow, Now, Open, OpenUrl, Read
from airflow_provider_sora.api.protocol.error_mapping import connection_error, status_error
from airflow_provider_sora.api.protocol.models import find_failed_video, shorten
from airflow_provider_sora.api.protocol.requests import DownloadContent, RetrieveVideo
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import (
    SoraConfigError,
    SoraConnectionError,
    SoraContentError,
    SoraContentExpiredError,
    SoraContentNotReadyError,
    SoraError,
    SoraStatusError,
)
from airflow_provider_sora.masking import bare_url

_MAX_REDIRECTS = 5
MAX_FETCH_BYTES = 20_971_520  # the API's limit for an image_url
MAX_FETCH_SECONDS = 300.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WHOLE = frozenset({200})
_PART = frozenset({200, 206, 416})


def open_content(
    request: DownloadContent, part: Mapping[str, str], meter: ThroughputMeter
) -> Flow[tuple[Response, bytes]]:
    """Open a video's content; returns the response and its first bytes.

    :param part: the headers that request a part of the content; empty for the whole
    :raises SoraError: the content cannot be opened
    """
    good = _PART if part else _WHOLE
    response, chunk = yield from _open(request, Open(request, part), meter)
    if response.status_code in good:
        return response, chunk
    if response.status_code == 400 and request.variant == "video":
        url = yield from _video_url(request)
        if url is not None:
            response, chunk = yield from _open(request, OpenUrl(url, trusted=True, headers=part), meter)
            if response.status_code in good:
                return response, chunk
    raise _error(request, response, chunk)


def next_chunk(request: DownloadContent, meter: ThroughputMeter) -> Flow[bytes]:
    """The next bytes of the open body; empty at its end.

    :raises SoraConnectionError: the connection broke, or is too slow
    :raises SoraContentError: it was too slow too often
    """
    try:
        response = yield Read()
    except httpx.RequestError as error:
        raise connection_error(str(request), error, paid=False) from error
    meter.add(response.monotonic, len(response.body))
    return response.body


def _video_url(request: DownloadContent) -> Flow[str | None]:
    """The URL in the video itself: SGLang with cloud storage answers 400 to a request for content."""
    try:
        video, _ = yield from exchange(RetrieveVideo(video_id=request.video_id))
    except SoraError:
        return None
    extra = video.model_extra or {}
    more = extra.get("urls")
    urls = [extra.get("url"), *(more if isinstance(more, list) else ())]
    return next((url for url in urls if isinstance(url, str) and url.startswith("http")), None)


def _open(request: DownloadContent, step: Open | OpenUrl, meter: ThroughputMeter) -> Flow[tuple[Response, bytes]]:
    for _ in range(_MAX_REDIRECTS):
        try:
            response = yield step
        except httpx.RequestError as error:
            raise connection_error(str(request), error, paid=False) from error
        if response.status_code not in _REDIRECTS or "location" not in response.headers:
            meter.start(response.monotonic)
            chunk = yield from next_chunk(request, meter)
            if response.status_code == 200 and _is_json(response.headers, chunk):
                raise SoraContentNotReadyError(f"the response to {request} is JSON, not content: {shorten(chunk)}")
            return response, chunk
        step = OpenUrl(join(response.url, response.headers["location"]), trusted=True, headers=step.headers)
    raise SoraContentError(f"{request} was redirected {_MAX_REDIRECTS} times")


def _is_json(headers: Mapping[str, str], chunk: bytes) -> bool:
    return "json" in headers.get("content-type", "") and chunk.lstrip()[:1] in (b"{", b"[")


def _error(request: DownloadContent, response: Response, body: bytes) -> SoraContentError | SoraStatusError:
    error = status_error(request, replace(response, body=body))
    message = f"{error.code or ''} {error.detail}".lower()
    if "expired" in message or response.status_code == 410:
        return SoraContentExpiredError(f"{error}. The server no longer keeps the content of video {request.video_id}")
    if "progress" in message or "not ready" in message or "not completed" in message:
        return SoraContentNotReadyError(str(error))
    failed = find_failed_video(body)
    return SoraContentError(f"{error} (the job {failed.status})") if failed else error


def fetch(url: str) -> Flow[bytes]:
    """The whole content of a URL, following redirects; for the URL of an image.

    :raises SoraConfigError: the URL may not be fetched, or answers anything but 200
    """
    given = url
    started = (yield Now()).monotonic
    for _ in range(_MAX_REDIRECTS):
        try:
            response = yield OpenUrl(url)
            content = bytearray()
            while chunk := (read := (yield Read())).body:
                content += chunk
                if read.monotonic - started > MAX_FETCH_SECONDS:
                    raise SoraConnectionError(f"{bare_url(given)} was not complete within {MAX_FETCH_SECONDS:g} s")
                if len(content) > MAX_FETCH_BYTES:
                    raise SoraConfigError(
                        f"{bare_url(given)} is larger than the API's limit of {MAX_FETCH_BYTES} bytes"
                    )
        except httpx.RequestError as error:
            raise connection_error(f"GET {bare_url(given)}", error, paid=False) from error
        if response.status_code == 200:
            return bytes(content)
        if response.status_code == 429 or response.status_code >= 500:
            raise SoraConnectionError(f"{bare_url(given)} answered HTTP {response.status_code}")
        if response.status_code not in _REDIRECTS or "location" not in response.headers:
            break
        url = join(url, response.headers["location"])
    raise SoraConfigError(f"{bare_url(given)} answered HTTP {response.status_code} instead of an image")
