"""From steps to HTTP requests, and from responses to replies."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import httpx

from airflow_provider_sora.api import foreign, negotiation
from airflow_provider_sora.api.config import SoraConfig
from airflow_provider_sora.api.encoding import Encoding, encode, sent_encoding
from airflow_provider_sora.api.errors import date_seconds
from airflow_provider_sora.api.steps import Open, OpenUrl, Reply, Send
from airflow_provider_sora.exceptions import SoraConfigError

# A body compressed on the way would have another length than the file.
_CONTENT_HEADERS: dict[str, str] = {"Accept": "*/*", "Accept-Encoding": "identity"}


def ssl_context(config: SoraConfig) -> ssl.SSLContext | bool:
    """What httpx is to check certificates with. Reading the CA bundle takes about 0.1 s: not on an event loop."""
    if config.verify is False:
        return False
    try:
        return ssl.create_default_context(cafile=config.verify if isinstance(config.verify, str) else None)
    except OSError as error:
        raise SoraConfigError(f"verify is {config.verify!r}, which is no CA bundle: {error}") from None


class Wire:
    """From steps to HTTP and back, as far as nobody has to wait for it."""

    def __init__(self, config: SoraConfig, clock: Callable[[], float]) -> None:
        self.config = config
        self.clock = clock
        self.clock_offset_seconds = 0.0
        self.knows_server_clock = False

    def request(self, step: Send | Open) -> httpx.Request:
        request = step.request
        return httpx.Request(
            request.method,
            f"{self.config.base_url}{request.path()}",
            params=httpx.QueryParams({**self.config.query, **request.query()}),
            headers=self.config.all_headers()
            | (_CONTENT_HEADERS | dict(step.headers) if isinstance(step, Open) else {}),
            extensions=self._extensions(),
            **encode(request, self._encoding(step)),
        )

    def _encoding(self, step: Send | Open) -> Encoding:
        asked = step.encoding if isinstance(step, Send) else None
        if asked is not None or self.config.encoding != "auto":
            return asked or self.config.encoding
        return negotiation.learned(step.request, self.config.base_url)

    def foreign_request(self, step: OpenUrl) -> httpx.Request:
        """For a URL that was named by somebody else; looks a name up, so not for an event loop."""
        if step.trusted and foreign.is_same_server(step.url, self.config.base_url):
            headers = self.config.all_headers() | _CONTENT_HEADERS | dict(step.headers)
            return httpx.Request("GET", step.url, headers=headers, extensions=self._extensions())
        target = foreign.locate(step.url, allow_private=self.config.allow_private_urls)
        headers = {"User-Agent": self.config.all_headers()["User-Agent"], "Host": _host_header(step.url)}
        extensions = self._extensions() | target.extensions
        return httpx.Request(
            "GET", target.url, headers=headers | _CONTENT_HEADERS | dict(step.headers), extensions=extensions
        )

    def reply(self, response: httpx.Response, body: bytes, url: str = "") -> Reply:
        server_time = date_seconds(response.headers.get("date", ""))
        if server_time is not None and not url:  # another host's clock is no matter
            self.clock_offset_seconds = server_time - self.clock()
            self.knows_server_clock = True
        body = self._masked(response, body)
        sent_as = sent_encoding(response.request) if self.config.encoding == "auto" else None
        asked = url or str(response.request.url)
        return Reply(self.clock(), response.status_code, response.headers, body, asked, sent_as)

    def chunk(self, response: httpx.Response, body: bytes) -> Reply:
        """The next bytes of an open body."""
        return Reply(self.clock(), body=self._masked(response, body))

    def _masked(self, response: httpx.Response, body: bytes) -> bytes:
        """A server's refusal may repeat the key that it refuses."""
        if response.status_code >= 300:
            for secret in self.config.secrets():
                body = body.replace(secret.encode(), b"***")
        return body

    def _extensions(self) -> dict[str, Any]:
        return {"timeout": self.config.timeout.as_dict()}


def _host_header(url: str) -> str:
    return httpx.URL(url).netloc.decode()
