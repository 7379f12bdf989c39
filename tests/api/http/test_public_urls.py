from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora.api.http.public_urls import is_public, is_same_server, join, resolve_public_url
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
        "http://168.63.129.16/x",
        "http://192.0.0.192/x",
        "http://192.88.99.1/x",
        "http://100.100.100.200/x",
        "http://255.255.255.255/x",
        "http://[fec0::1]/x",
        "http://[fd00:ec2::254]/x",
        "http://[64:ff9b:1::1]/x",
        "http://[::ffff:0:127.0.0.1]/x",
        "http://[::ffff:0:8.8.8.8]/x",
        "http://[2001:0:7f00:1::8.8.8.8]/x",
        "http://[2600::5efe:10.0.0.1]/x",
        "HTTP://127.0.0.1/x",
        "http://0x7f.1/x",
        "http://127.1/x",
    ],
)
def test_addresses_that_only_this_machine_reaches_are_refused(url: str) -> None:
    with pytest.raises(SoraConfigError, match=r"is not fetched: .* local or private address"):
        resolve_public_url(url, allow_private=False)


def resolve_to(*addresses: str) -> Any:
    return lambda _, port, **__: [(2, 1, 6, "", (address, port)) for address in addresses]


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", resolve_to("93.184.215.14"))
    target = resolve_public_url("https://cdn.example.com:8443/x.mp4?s=1", allow_private=False)
    assert str(target.url) == "https://93.184.215.14:8443/x.mp4?s=1"
    assert target.extensions == {"sni_hostname": "cdn.example.com"}


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", resolve_to("93.184.215.14", "10.0.0.1"))
    with pytest.raises(SoraConfigError, match=r"private address 10\.0\.0\.1"):
        resolve_public_url("https://cdn.example.com/x", allow_private=False)


def test_private_addresses_can_be_allowed() -> None:
    assert str(resolve_public_url("http://10.0.0.1/x", allow_private=True).url) == "http://10.0.0.1/x"


def test_what_is_no_url_is_refused_and_on_no_server() -> None:
    with pytest.raises(SoraConfigError, match="is not a valid URL"):
        resolve_public_url("http://host\x00/", allow_private=True)
    assert not is_same_server("http://host\x00/", "https://host/v1")


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "https:///x"])
def test_only_http_is_fetched(url: str) -> None:
    with pytest.raises(SoraConfigError, match="it has to be http"):
        resolve_public_url(url, allow_private=True)


def test_an_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    with pytest.raises(SoraConnectionError, match="its host is unknown"):
        resolve_public_url("https://nowhere.invalid/x", allow_private=False)


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


def test_a_location_that_cannot_be_read_is_an_error_of_ours() -> None:
    assert join("https://host/a/b?c", "../d") == "https://host/d"
    with pytest.raises(SoraConfigError, match=r"https://host/a redirects to 'http://\[', which is not a valid URL"):
        join("https://host/a?token=1", "http://[")


@given(st.text() | st.from_regex(r"\Ahttps?://.*", fullmatch=True))
def test_whatever_the_url_only_our_errors_come_out(url: str) -> None:
    with suppress(SoraConfigError):
        assert resolve_public_url(url, allow_private=True).url.scheme in ("http", "https")
    is_same_server(url, "https://host/v1")


PRIVATE_IPV4 = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
]
PRIVATE_IPV6 = [
    *("::/128", "::1/128", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "2001:2::/48", "2001:10::/28"),
    *("2001:db8::/32", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "4000::/3", "8000::/1"),
]


def addresses(networks: list[str]) -> Any:
    return st.sampled_from(networks).flatmap(lambda network: st.ip_addresses(network=network))


def forms_of(inner: int, rest: int) -> list[IPv6Address]:
    """The addresses that end up at an IPv4 address."""
    return [
        IPv6Address(0xFFFF << 32 | inner),
        IPv6Address(0x64FF9B << 96 | inner),
        IPv6Address(0x2002 << 112 | inner << 80 | rest % 2**80),
        IPv6Address(0x20010000 << 96 | rest % 2**32 << 64 | inner ^ 0xFFFFFFFF),
        IPv6Address(0x20010000 << 96 | inner << 64 | rest % 2**64),
        IPv6Address(0x2600 << 112 | 0x5EFE << 32 | inner),
    ]


@given(addresses(PRIVATE_IPV4), st.integers(0, 2**128))
def test_no_private_ipv4_address_is_public_in_any_form(address: IPv4Address, rest: int) -> None:
    assert not is_public(str(address))
    assert not [form for form in forms_of(int(address), rest) if is_public(str(form))]


@given(addresses(PRIVATE_IPV6))
def test_no_private_ipv6_address_is_public(address: IPv6Address) -> None:
    assert not is_public(str(address))


@given(st.ip_addresses())
def test_what_is_public_is_global_and_not_on_the_list(address: IPv4Address | IPv6Address) -> None:
    networks = [ip_network(text) for text in (*PRIVATE_IPV4, *PRIVATE_IPV6)]
    if is_public(str(address)):
        assert not any(address in network for network in networks)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2001:0:808:808::f7f7:f7f7",
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_an_ipv6_address_that_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", resolve_to("2606:4700::1111"))
    assert str(resolve_public_url("https://host/x", allow_private=False).url) == "https://[2606:4700::1111]/x"


@pytest.mark.parametrize("url", ["http://host:99999/x", "http://host:0/x"])
def test_a_port_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SoraConfigError, match="is not a valid URL"):
        resolve_public_url(url, allow_private=True)
