"""URLs that somebody else names: a server's redirect or `url` field, a user's picture.

They are fetched without any key, and only from public addresses: otherwise whoever chooses the URL could read what only
this machine can reach. The address that was checked is the one connected to, so a name cannot change in between.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.parse import urljoin

import httpx

from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError
from airflow_provider_sora.masking import bare_url, quoted


@dataclass(frozen=True)
class PublicUrl:
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
        one, other = _parse(url), _parse(base_url)
    except SoraConfigError:
        return False
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def join(base: str, location: str) -> str:
    """Where a redirect leads.

    :raises SoraConfigError: the location cannot be read as a URL
    """
    try:
        return urljoin(base, location)
    except ValueError:
        raise SoraConfigError(
            f"{bare_url(base)} redirects to {quoted(location)}, which cannot be read as a URL"
        ) from None


def resolve_public_url(url: str, *, allow_private: bool) -> PublicUrl:
    """Where a URL leads; looks its name up, so not for an event loop.

    :raises SoraConfigError: it is not http(s), is unknown, or leads to an address that is not public
    """
    parsed = _parse(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SoraConfigError(f"{bare_url(url)} cannot be fetched: it has to be http:// or https:// and have a host")
    if allow_private:
        return PublicUrl(parsed, parsed.host)
    address = _public_address(parsed)
    return PublicUrl(parsed.copy_with(host=address), parsed.host)


def _parse(url: str) -> httpx.URL:
    """A URL whose parts can all be read: httpx leaves the port's range and the host's punycode to whoever uses them."""
    try:
        parsed = httpx.URL(url)
        _ = parsed.host
        if parsed.port is None or 0 < parsed.port < 65536:
            return parsed
    except (httpx.InvalidURL, ValueError):
        pass
    raise SoraConfigError(f"{bare_url(url)!r} cannot be fetched: it cannot be read as a URL")


def _public_address(url: httpx.URL) -> str:
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise SoraConnectionError(f"{bare_url(url)} cannot be fetched: its host is unknown ({error})") from None
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_public(address.partition("%")[0]):
            raise SoraConfigError(
                f"{bare_url(url)} is not fetched: {url.host} is the local or private address {address}. "
                "If that is meant, set allow_private_urls in the connection's Extra"
            )
    return addresses[0]


# Addresses that Python's `is_global` takes for public in one version or another, and that lead to this machine's own
# network, to its cloud or nowhere. Source: IANA's special-purpose address registries, unless another one is named.
_NOT_PUBLIC = (
    ip_network("168.63.129.16/32"),  # Azure's host: learn.microsoft.com, "What is IP address 168.63.129.16?"
    ip_network("192.0.0.0/24"),  # IETF protocol assignments; 192.0.0.192 is Oracle Cloud's metadata
    ip_network("192.88.99.0/24"),  # 6to4 relay anycast, withdrawn
    ip_network("240.0.0.0/4"),
)
# The only range that IPv6 addresses of the public internet are from: what is outside is never public (RFC 4291).
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)  # the third quarter of an address that ends with an IPv4 address (RFC 5214)


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet; one that embeds IPv4 addresses is what these are."""
    address = ipaddress.ip_address(text)
    if isinstance(address, IPv4Address):
        return _is_public_ipv4(address)
    embedded, decides = _embedded(address)
    if not all(map(_is_public_ipv4, embedded)):
        return False
    return decides or (address in _GLOBAL_UNICAST and address.is_global)


def _is_public_ipv4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC)


def _embedded(address: IPv6Address) -> tuple[list[IPv4Address], bool]:
    """The IPv4 addresses inside, and whether packets go to them alone."""
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped or address in _NAT64:
        return [last], True
    if address.sixtofour:
        return [address.sixtofour], True
    if address.teredo:
        return list(address.teredo), True
    return ([last], False) if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP else ([], False)
