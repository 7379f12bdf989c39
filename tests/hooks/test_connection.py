from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_sora.compat import Connection
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.connection import read_config


def config_of(**fields: Any) -> Any:
    extra = fields.pop("extra", {})
    connection = Connection(conn_id="c", conn_type="sora", extra=json.dumps(extra), **fields)
    return read_config(connection, connection.extra_dejson)


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "https://host"}, "https://host/v1"),
        ({"host": "host"}, "https://host/v1"),
        ({"host": "host", "schema": "http", "port": 8000}, "http://host:8000/v1"),
        ({"host": "http://gpu01", "port": 8000}, "http://gpu01:8000/v1"),
        ({"host": "http://gpu01:9000/v1", "port": 8000}, "http://gpu01:9000/v1"),
        ({"host": "http://[::1]", "port": 8000}, "http://[::1]:8000/v1"),
        ({"host": "host/team/v1", "port": 8000}, "https://host:8000/team/v1"),
    ],
)
def test_the_host_is_the_base_url(fields: dict[str, Any], base_url: str) -> None:
    assert config_of(**fields).base_url == base_url


def test_without_a_host_the_connection_is_named() -> None:
    with pytest.raises(SoraConfigError, match="connection 'c': no server is set"):
        config_of(password="k")


def test_everything_in_extra_arrives() -> None:
    extra = {
        "auth": "api-key",
        "headers": {"X": "1"},
        "query": '{"api-version": "2"}',
        "timeout": "9",
        "connect_timeout": 3,
        "low_speed_limit": "5",
        "low_speed_time": 7,
        "verify": "/ca.pem",
        "encoding": "multipart",
        "allow_private_urls": "true",
    }
    config = config_of(host="https://h", password="k", extra=extra)
    assert (config.auth, config.headers, config.query) == ("api-key", {"X": "1"}, {"api-version": "2"})
    assert (config.timeout_seconds, config.connect_timeout_seconds, config.verify) == (9.0, 3.0, "/ca.pem")
    assert (config.low_speed.bytes_per_second, config.low_speed.seconds) == (5.0, 7.0)
    assert (config.encoding, config.allow_private_urls) == ("multipart", True)
    assert config.api_key == "k"


def test_a_key_that_would_not_be_sent_is_a_contradiction() -> None:
    with pytest.raises(SoraConfigError, match="connection 'c': auth in Extra is none, but Password has a key"):
        config_of(host="https://h", password="secret-key-1", extra={"auth": "none"})
    for password in (None, "", " "):
        assert config_of(host="https://h", password=password, extra={"auth": "none"}).api_key is None


@pytest.mark.parametrize(
    ("given", "meaning"), [(None, True), ("", True), (True, True), (False, False), ("False", False), ("/x", "/x")]
)
def test_verify_may_come_from_a_form_or_from_json(given: Any, meaning: bool | str) -> None:
    assert config_of(host="h", extra={"verify": given}).verify == meaning


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"authentication": "bearer"}, "Extra has authentication; it may have auth, headers"),
        ({"auth": "basic"}, "auth is 'basic'"),
        ({"headers": "X: 1"}, "headers in Extra has to be a JSON object"),
        ({"headers": [1]}, "headers in Extra has to be a JSON object"),
        ({"timeout": "soon"}, "timeout in Extra is 'soon'"),
        ({"allow_private_urls": "maybe"}, "allow_private_urls in Extra is 'maybe'"),
    ],
)
def test_a_wrong_extra_is_named(extra: dict[str, Any], words: str) -> None:
    with pytest.raises(SoraConfigError, match=words):
        config_of(host="https://h", extra=extra)


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (None, None),
        ("", None),
        (["/a", "/b c"], ("/a", "/b c")),
        ('["/a"]', ("/a",)),
        ("/a, /b", ("/a", "/b")),
        ([], ()),
        ("[]", ()),
    ],
)
def test_allowed_paths_may_come_from_a_form_or_from_json(given: Any, paths: Any) -> None:
    assert config_of(host="h", extra={"allowed_paths": given}).allowed_paths == paths


@pytest.mark.parametrize("given", ["relative", "[1]", "[", {"a": 1}, ["/a", "b"], 7])
def test_allowed_paths_that_are_none_are_named(given: Any) -> None:
    with pytest.raises(SoraConfigError, match=r"allowed_paths (is|has) .*absolute path"):
        config_of(host="h", extra={"allowed_paths": given})


def test_allowed_paths_are_airflows_where_the_connection_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SORA__ALLOWED_PATHS", "/a,/b")
    assert config_of(host="h").allowed_paths == ("/a", "/b")
    assert config_of(host="h", extra={"allowed_paths": "/c"}).allowed_paths == ("/c",)
