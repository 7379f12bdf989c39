"""Builds httpx requests from steps, and parses httpx responses."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import httpx

from airflow_provider_sora import masking
from airflow_provider_sora.api.http import negotiation, public_urls
from airflow_provider_sora.api.http.certificates import LazyTLSContext, tls_context
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.steps import Open, OpenUrl, Read, Send, Step
from airflow_provider_sora.api.protocol.encoding import Encoding, encode, sent_encoding
from airflow_provider_sora.api.protocol.error_mapping import date_seconds
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraConfigError

# A compressed body may decompress to any size, and a compressed file would have another length than the file.
_UNCOMPRESSED = {"Accept-Encoding": "identity"}
_CONTENT_HEADERS: dict[str, str] = {"Accept": "*/*", **_UNCOMPRESSED}


def ssl_context(config: SoraConfig) -> ssl.SSLContext | bool:
    """What httpx checks certificates with. The first call for a CA bundle takes about 0.1 s: not on an event loop.

    :raises SoraConfigError: `verify` is no CA bundle
    """
    if config.verify is False:
        return False
    if config.base_url.startswith("http://"):  # what is encrypted nevertheless is content on other hosts
        return LazyTLSContext(config.verify)
    return tls_context(config.verify)


class HttpCodec:
    """Builds httpx requests from steps, and parses httpx responses, without any I/O."""

    def __init__(self, config: SoraConfig, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.config = config
        self.clock = clock
        self.monotonic = monotonic
        self.clock_offset_seconds = 0.0
        self.knows_server_clock = False
        masking.install()

    def build_request(self, step: Send | Open) -> httpx.Request:
        request = step.request
        try:
            return httpx.Request(
                request.method,
                f"{self.config.base_url}{request.path()}",
                params=httpx.QueryParams({**self.config.query, **request.query()}),
                headers=self.config.all_headers()
                | _UNCOMPRESSED
                | (_CONTENT_HEADERS | dict(step.headers) if isinstance(step, Open) else {}),
                extensions=self._extensions(self.limit(step) if isinstance(step, Send) else None),
                **encode(request, self._encoding(step)),
            )
        except httpx.InvalidURL as error:  # longer than httpx allows
            raise SoraConfigError(
                f"{request.method} {masking.quoted(request.path())} cannot be sent: {error}"
            ) from None

    def _encoding(self, step: Send | Open) -> Encoding:
        forced = step.encoding if isinstance(step, Send) else None
        if forced is not None or self.config.encoding != "auto":
            return forced or self.config.encoding
        return negotiation.learned(step.request, self.config.base_url)

    def build_public_request(self, step: OpenUrl) -> httpx.Request:
        """The request for a URL on any host; resolves its name, so it must not be called on an event loop."""
        if step.trusted and public_urls.is_same_server(step.url, self.config.base_url):
            headers = self.config.all_headers() | _CONTENT_HEADERS | dict(step.headers)
            return httpx.Request("GET", step.url, headers=headers, extensions=self._extensions())
        target = public_urls.resolve_public_url(step.url, allow_private=self.config.allow_private_urls)
        headers = {"User-Agent": self.config.all_headers()["User-Agent"], "Host": _host_header(step.url)}
        extensions = self._extensions() | target.extensions
        return httpx.Request(
            "GET", target.url, headers=headers | _CONTENT_HEADERS | dict(step.headers), extensions=extensions
        )

    def parse_response(self, response: httpx.Response, body: bytes, url: str = "") -> Response:
        server_time = date_seconds(response.headers.get("date", ""))
        if server_time is not None and not url:  # the clock of another host is not the server's
            self.clock_offset_seconds = server_time - self.clock()
            self.knows_server_clock = True
        url = url or str(response.request.url)
        sent_as = sent_encoding(response.request) if self.config.encoding == "auto" else None
        return Response(self.clock(), response.status_code, response.headers, body, url, self.monotonic(), sent_as)

    def now(self) -> Response:
        """The times only."""
        return Response(self.clock(), monotonic=self.monotonic())

    def limit(self, step: Send) -> float:
        """The total time limit of a step, in seconds."""
        allowed = self.config.total_timeout_seconds
        return allowed if step.limit_seconds is None else min(allowed, step.limit_seconds)

    def step_limit(self, step: Step) -> float | None:
        """The total time limit of a step, in seconds, even if the server keeps sending; None: no limit."""
        match step:
            case Send():
                return self.limit(step)
            case Open() | OpenUrl():
                return self.config.total_timeout_seconds
            case Read():
                return max(self.config.timeout_seconds, self.config.low_speed_seconds)
        return None

    def parse_chunk(self, body: bytes) -> Response:
        """The next bytes of an open body."""
        return Response(self.clock(), body=body, monotonic=self.monotonic())

    def _extensions(self, limit: float | None = None) -> dict[str, Any]:
        timeouts = self.config.timeout.as_dict()
        if limit is not None:  # no timeout has to be longer than the total
            timeouts = {name: min(limit, seconds or limit) for name, seconds in timeouts.items()}
        return {"timeout": timeouts}


def _host_header(url: str) -> str:
    return httpx.URL(url).netloc.decode()
