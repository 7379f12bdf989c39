"""The configuration of a client: the server, and how requests are sent to it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

import httpx

from airflow_provider_sora import __version__, masking
from airflow_provider_sora.api.protocol.encoding import Encoding
from airflow_provider_sora.exceptions import SoraConfigError

AuthScheme = Literal["bearer", "api-key", "none"]
_MAX_SECONDS = 86_400  # sockets do not accept any timeout
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2

NO_HOST = (
    "no server is set: put the base URL of a server that speaks the Videos API into the connection's Host, for example "
    "https://videos.example.com/v1. There is no default, because OpenAI ended its hosted Sora API on 2026-09-24."
)


@dataclass(frozen=True)
class LowSpeed:
    """The speed below which content is too slow, like curl's ``--speed-limit`` and ``--speed-time``.

    :param bytes_per_second: the minimum; 0: no limit
    :param seconds: over how long it is measured
    """

    bytes_per_second: float
    seconds: float


@dataclass(frozen=True)
class SoraConfig:
    """A server, and how requests are sent to it.

    :param base_url: scheme, host and path up to and including the version, for example ``https://host/v1``
    :param api_key: sent to this server and to no other
    :param auth: ``bearer`` (``Authorization: Bearer``), ``api-key`` (the header of that name, as Azure wants), ``none``
    :param headers: sent with every request
    :param query: query parameters sent with every request, for example ``api-version``
    :param timeout_seconds: read/write timeout; limits each pause in a transfer, not the duration of a download
    :param connect_timeout_seconds: connect timeout
    :param total_timeout_seconds: limit for a whole request and response; not for a video's content
    :param low_speed_limit: bytes per second; slower content counts as a broken connection. 0: no limit
    :param low_speed_seconds: over how long the speed is measured
    :param encoding: how bodies are sent: ``auto`` (JSON, or a form for files, and the other one if the server
        cannot parse that), ``json`` or ``multipart``
    :param allow_private_urls: fetch URLs with local or private addresses
    :param allowed_paths: files and folders of this machine that a video may start from; None: all
    :param requests_per_minute: limit for the status checks of one triggerer; None: no limit
    :param verify: check the server's certificate; or the path of a CA bundle to check it against
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    auth: AuthScheme = "bearer"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 60.0
    connect_timeout_seconds: float = 10.0
    total_timeout_seconds: float = 300.0
    low_speed_limit: float = 1024.0
    low_speed_seconds: float = 60.0
    verify: bool | str = True
    encoding: Encoding = "auto"
    allow_private_urls: bool = False
    requests_per_minute: float | None = None
    allowed_paths: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", (self.api_key or "").strip() or None)
        # Space around a value is not part of it (RFC 9110, 5.5), and the error of h11 would repeat the value.
        object.__setattr__(self, "headers", {name: value.strip() for name, value in self.headers.items()})
        masking.remember(self.api_key, [*self.headers.items(), *self.query.items()])
        object.__setattr__(self, "base_url", normalize_base_url(self.base_url))
        self._check_characters()
        for name, choices in (("auth", AuthScheme), ("encoding", Encoding)):
            if getattr(self, name) not in get_args(choices):
                allowed = ", ".join(get_args(choices))
                raise SoraConfigError(f"{name} is {getattr(self, name)!r}; it has to be one of {allowed}")
        if self.requests_per_minute is not None and not 0 < self.requests_per_minute < math.inf:
            raise SoraConfigError(f"requests_per_minute is {self.requests_per_minute!r}; it has to be more than 0")
        for name in ("timeout_seconds", "connect_timeout_seconds", "total_timeout_seconds", "low_speed_seconds"):
            if not 0 < getattr(self, name) <= _MAX_SECONDS:
                raise SoraConfigError(
                    f"{name} is {getattr(self, name)!r}; it has to be more than 0 seconds and at most {_MAX_SECONDS}"
                )
        if self.low_speed_limit < 0:
            raise SoraConfigError(f"low_speed_limit is {self.low_speed_limit!r}; it has to be 0 or more")
        for path in self.allowed_paths or ():
            if not os.path.isabs(path) or "\0" in path:
                raise SoraConfigError(f"allowed_paths has {masking.quoted(path)}; each has to be an absolute path")

    def _check_characters(self) -> None:
        for name, value in (("the API key", self.api_key), *((f"header {n}", v) for n, v in self.headers.items())):
            if value and not (value.isascii() and value.isprintable()):
                raise SoraConfigError(
                    f"{name} has characters that no HTTP header can hold; it has to be printable ASCII"
                )
        for header in self.headers:
            if not _TOKEN.fullmatch(header):
                raise SoraConfigError(f"headers has {masking.quoted(header)}, which is not a valid header name")
        for parameter in (*self.query, *self.query.values()):
            if any("\ud800" <= character <= "\udfff" for character in parameter):
                raise SoraConfigError(f"query has {masking.quoted(parameter)}, which cannot be part of a URL")

    @property
    def low_speed(self) -> LowSpeed:
        """The speed below which content is too slow."""
        return LowSpeed(self.low_speed_limit, self.low_speed_seconds)

    @property
    def timeout(self) -> httpx.Timeout:
        """The timeouts, for httpx."""
        return httpx.Timeout(self.timeout_seconds, connect=self.connect_timeout_seconds)

    def all_headers(self) -> dict[str, str]:
        """The headers of every request to this server, including the key."""
        headers = {"Accept": "application/json", "User-Agent": f"airflow-provider-sora/{__version__}", **self.headers}
        if self.api_key and self.auth == "bearer":
            headers["Authorization"] = f"Bearer {self.api_key}"
        elif self.api_key and self.auth == "api-key":
            headers["api-key"] = self.api_key
        return headers


def normalize_base_url(text: str) -> str:
    """The base URL with scheme and version: ``host:8000`` is ``https://host:8000/v1``, ``http://host/v1/`` stays.

    :raises SoraConfigError: it is not a base URL
    """
    text = (text or "").strip()
    if not text:
        raise SoraConfigError(NO_HOST)
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        _ = httpx.URL(text).host
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable or parts.query or parts.fragment or "@" in text:
        raise SoraConfigError(
            f"{_shown(text)} is not a base URL: it has to be http:// or https://, a host, perhaps a port and a path, "
            "without user, query and fragment (put the key into Password, query parameters into Extra)"
        )
    path = parts.path.rstrip("/")
    if not re.search(r"/v\d+\w*$", path):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _shown(text: str) -> str:
    """The given base URL, without everything before its last ``@``: a key may have any character."""
    scheme, _, rest = text.partition("://")
    return masking.quoted(masking.bare_url(f"{scheme}://{rest.rpartition('@')[2]}"))
