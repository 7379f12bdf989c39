from __future__ import annotations

import ssl
from typing import Any

import pytest

from airflow_provider_sora.api.http.config import SoraConfig, normalize_base_url
from airflow_provider_sora.api.http.http_codec import ssl_context
from airflow_provider_sora.exceptions import SoraConfigError


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        ("https://host", "https://host/v1"),
        ("https://host/", "https://host/v1"),
        ("https://host/v1", "https://host/v1"),
        ("https://host/v1/", "https://host/v1"),
        (" http://host:8000 ", "http://host:8000/v1"),
        ("host:8000", "https://host:8000/v1"),
        ("https://x.openai.azure.com/openai/v1", "https://x.openai.azure.com/openai/v1"),
        ("https://gateway/team", "https://gateway/team/v1"),
        ("https://host/api/v3", "https://host/api/v3"),
        ("http://[::1]:9", "http://[::1]:9/v1"),
    ],
)
def test_the_base_url_is_taken_with_or_without_its_version(given: str, base_url: str) -> None:
    assert normalize_base_url(given) == base_url


@pytest.mark.parametrize("given", ["", "  "])
def test_without_a_host_the_error_says_what_to_set_and_why_there_is_no_default(given: str) -> None:
    with pytest.raises(SoraConfigError, match=r"base URL .* into the connection's Host, .* ended .* 2026-09-24"):
        SoraConfig(given)


@pytest.mark.parametrize(
    "given",
    [
        "ftp://host",
        "https://",
        "https://user:pass@host",
        "https://host?x=1",
        "https://host#x",
        "http://host:99999",
        "http://[::1",
    ],
)
def test_what_is_no_base_url_is_refused(given: str) -> None:
    with pytest.raises(SoraConfigError, match="not a base URL") as caught:
        normalize_base_url(given)
    assert "pass" not in str(caught.value).replace("Password", "")


@pytest.mark.parametrize(
    ("auth", "header"),
    [("bearer", ("Authorization", "Bearer k")), ("api-key", ("api-key", "k")), ("none", None)],
)
def test_the_key_is_sent_as_the_scheme_says(auth: Any, header: tuple[str, str] | None) -> None:
    headers = SoraConfig("https://host", api_key="k", auth=auth).all_headers()
    found = {name: headers[name] for name in ("Authorization", "api-key") if name in headers}
    assert found == ({header[0]: header[1]} if header else {})


@pytest.mark.parametrize("fields", [{"api_key": "k\u2026y"}, {"api_key": "a\nb"}, {"headers": {"X": "sec\nret"}}])
def test_what_no_header_can_hold_is_refused_without_being_shown(fields: Any) -> None:
    with pytest.raises(SoraConfigError, match="has to be printable ASCII") as caught:
        SoraConfig("https://host", **fields)
    assert "ret" not in str(caught.value)


def test_a_key_loses_the_line_end_of_its_file() -> None:
    assert SoraConfig("https://host", api_key="key \n").api_key == "key"


def test_without_a_key_no_scheme_sends_one() -> None:
    assert "Authorization" not in SoraConfig("https://host").all_headers()


def test_the_configured_headers_are_sent() -> None:
    assert SoraConfig("https://host", headers={"X-Team": "a"}).all_headers()["X-Team"] == "a"


def test_no_secret_is_in_the_repr() -> None:
    config = SoraConfig("https://host", api_key="key-1234", headers={"X": "key-5678"}, query={"k": "key-9012"})
    assert "key-" not in repr(config)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("auth", "basic"),
        ("encoding", "xml"),
        ("timeout_seconds", 0),
        ("connect_timeout_seconds", -1),
        ("low_speed_limit", -1),
        ("low_speed_seconds", 0),
        ("requests_per_minute", 0),
    ],
)
def test_a_value_that_will_not_do_is_named(field: str, value: Any) -> None:
    with pytest.raises(SoraConfigError, match=f"{field} is {value!r}; it has to be"):
        SoraConfig("https://host", **{field: value})


def test_how_slow_content_may_be_is_handed_on() -> None:
    low = SoraConfig("https://host", low_speed_limit=0, low_speed_seconds=3).low_speed
    assert (low.bytes_per_second, low.seconds) == (0, 3)


def test_the_timeouts_are_handed_on() -> None:
    timeout = SoraConfig("https://host", timeout_seconds=7, connect_timeout_seconds=3).timeout
    assert (timeout.read, timeout.write, timeout.connect) == (7, 7, 3)


def test_certificates_are_checked_unless_told_otherwise_also_behind_a_plain_http_server(tmp_path: Any) -> None:
    assert ssl_context(SoraConfig("https://host", verify=False)) is False
    context = ssl_context(SoraConfig("http://host"))
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(SoraConfigError, match="which is no CA bundle"):
        ssl_context(SoraConfig("https://host", verify=str(tmp_path / "missing.pem")))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"headers": {"X Y": "v"}}, "headers has 'X Y', which is not a valid header name"),
        ({"headers": {"X:": "v"}}, "which is not a valid header name"),
        ({"query": {"k": "\ud800"}}, "query has .*, which cannot be part of a URL"),
        ({"query": {"\udfff": "v"}}, "which cannot be part of a URL"),
        ({"allowed_paths": ("a",)}, "allowed_paths has 'a'; each has to be an absolute path"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds is nan"),
        ({"connect_timeout_seconds": 1e300}, "at most 86400"),
        ({"requests_per_minute": float("inf")}, "requests_per_minute is inf"),
    ],
)
def test_what_no_request_can_hold_is_refused(fields: Any, words: str) -> None:
    with pytest.raises(SoraConfigError, match=words):
        SoraConfig("https://host", **fields)
