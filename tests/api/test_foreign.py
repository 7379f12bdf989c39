from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.api.foreign import is_same_server, locate, shown
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost/x",
        "http://[::1]/x",
        "http://10.1.2.3/x",
        "http://192.168.0.1:8080/x",
        "http://169.254.169.254/latest/meta-data",
        "http://0.0.0.0/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://2130706433/x",
        "http://[64:ff9b::a9fe:a9fe]/x",
        "http://[2002:7f00:1::]/x",
        "http://[::127.0.0.1]/x",
        "http://224.0.0.1/x",
        "http://[ff02::1]/x",
    ],
)
def test_addresses_that_only_this_machine_reaches_are_refused(url: str) -> None:
    with pytest.raises(SoraConfigError, match=r"is not fetched: .* local or private address"):
        locate(url, allow_private=False)


def resolve_to(*addresses: str) -> Any:
    return lambda _, port, **__: [(2, 1, 6, "", (address, port)) for address in addresses]


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", resolve_to("93.184.215.14"))
    target = locate("https://cdn.example.com:8443/x.mp4?s=1", allow_private=False)
    assert str(target.url) == "https://93.184.215.14:8443/x.mp4?s=1"
    assert target.extensions == {"sni_hostname": "cdn.example.com"}


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", resolve_to("93.184.215.14", "10.0.0.1"))
    with pytest.raises(SoraConfigError, match=r"private address 10\.0\.0\.1"):
        locate("https://cdn.example.com/x", allow_private=False)


def test_private_addresses_can_be_allowed() -> None:
    assert str(locate("http://10.0.0.1/x", allow_private=True).url) == "http://10.0.0.1/x"


def test_what_is_no_url_is_refused_and_on_no_server() -> None:
    with pytest.raises(SoraConfigError, match="cannot be read as one"):
        locate("http://host\x00/", allow_private=True)
    assert not is_same_server("http://host\x00/", "https://host/v1")


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "https:///x"])
def test_only_http_is_fetched(url: str) -> None:
    with pytest.raises(SoraConfigError, match="it has to be http"):
        locate(url, allow_private=True)


def test_an_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    with pytest.raises(SoraConnectionError, match="its host is unknown"):
        locate("https://nowhere.invalid/x", allow_private=False)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://host/v1/x", True),
        ("https://host:443/x", True),
        ("http://host/x", False),
        ("https://host:8443/x", False),
        ("https://host.evil/x", False),
    ],
)
def test_the_same_server_is_scheme_host_and_port(url: str, same: bool) -> None:
    assert is_same_server(url, "https://host/v1") is same


def test_a_url_is_shown_without_what_may_be_secret() -> None:
    assert shown("https://user:pass@host/x?signature=1") == "https://host/x"
