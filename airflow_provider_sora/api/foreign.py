"""URLs that somebody else names: a server's redirect or `url` field, a user's picture.

They are fetched without any key, and only from public addresses: otherwise whoever chooses the URL could read what only
this machine can reach. The address that was checked is the one connected to, so a name cannot change in between.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

import httpx

from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError


@dataclass(frozen=True)
class Target:
    """Where to connect to for a URL, and under which name."""

    url: httpx.URL
    host: str

    @property
    def extensions(self) -> dict[str, str]:
        """For httpx: check the certificate for the name, not for the address."""
        return {"sni_hostname": self.host}


def is_same_server(url: str, base_url: str) -> bool:
    """Whether a URL has the scheme, host and port of the base URL."""
    try:
        one, other = httpx.URL(url), httpx.URL(base_url)
    except (httpx.InvalidURL, ValueError):
        return False
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def locate(url: str, *, allow_private: bool) -> Target:
    """Where a URL leads; looks its name up, so not for an event loop.

    :raises SoraConfigError: it is not http(s), is unknown, or leads to an address that is not public
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise SoraConfigError("a URL cannot be fetched: it cannot be read as one") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SoraConfigError(f"{shown(parsed)} cannot be fetched: it has to be http:// or https:// and have a host")
    if allow_private:
        return Target(parsed, parsed.host)
    address = _public_address(parsed)
    return Target(parsed.copy_with(host=address), parsed.host)


def _public_address(url: httpx.URL) -> str:
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SoraConnectionError(f"{shown(url)} cannot be fetched: its host is unknown ({error})") from None
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not _is_public(address.partition("%")[0]):
            raise SoraConfigError(
                f"{shown(url)} is not fetched: {url.host} is the local or private address {address}. "
                "If that is meant, set allow_private_urls in the connection's Extra"
            )
    return addresses[0]


# Addresses that hold an IPv4 address in their last or their second and third groups.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and (address in _NAT64 or address in _COMPATIBLE):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
    return address.is_global and not address.is_multicast


def shown(url: httpx.URL | str) -> str:
    """A URL without its query, where signatures are."""
    return str(httpx.URL(url).copy_with(query=None, username=None, password=None))
