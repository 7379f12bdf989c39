"""Guards against server-side request forgery by URLs from a server (a redirect, a `url` field) or a user (an image).

They are fetched without any key, and only from public addresses: otherwise the author of the URL could read what only
this machine can reach. The address that was checked is the one connected to, so that a name cannot change in between.
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
    """A URL with its checked address, and the name of its host."""

    url: httpx.URL
    host: str

    @property
    def extensions(self) -> dict[str, str]:
        """For httpx: verify the certificate for the name, not for the address."""
        return {"sni_hostname": self.host}


def is_same_server(url: str, base_url: str) -> bool:
    """Whether a URL has the scheme, host and port of the base URL."""
    try:
        one, other = _parse(url), _parse(base_url)
    except SoraConfigError:
        return False
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def join(base: str, location: str) -> str:
    """The target of a redirect.

    :raises SoraConfigError: the location is not a valid URL
    """
    try:
        return urljoin(base, location)
    except ValueError:
        raise SoraConfigError(f"{bare_url(base)} redirects to {quoted(location)}, which is not a valid URL") from None


def resolve_public_url(url: str, *, allow_private: bool) -> PublicUrl:
    """Resolve and check a URL; must not be called on an event loop.

    :raises SoraConfigError: it is not http(s), its host is unknown, or an address of its host is not public
    """
    parsed = _parse(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SoraConfigError(f"{bare_url(url)} cannot be fetched: it has to be http:// or https:// and have a host")
    if allow_private:
        return PublicUrl(parsed, parsed.host)
    address = _public_address(parsed)
    return PublicUrl(parsed.copy_with(host=address), parsed.host)


def _parse(url: str) -> httpx.URL:
    """A URL with all parts checked: httpx parses one without checking the port's range and the host's punycode."""
    try:
        parsed = httpx.URL(url)
        _ = parsed.host
        if parsed.port is None or 0 < parsed.port < 65536:
            return parsed
    except (httpx.InvalidURL, ValueError):
        pass
    raise SoraConfigError(f"{bare_url(url)!r} cannot be fetched: it is not a valid URL")


def _public_address(url: httpx.URL) -> str:
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise SoraConnectionError(f"{bare_url(url)} cannot be fetched: its host is unknown ({error})") from None
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_public(address.partition("%")[0]):
            raise SoraConfigError(
                f"{bare_url(url)} is not fetched: {url.host} has the local or private address {address}. "
                "To fetch it anyway, set allow_private_urls in the connection's Extra"
            )
    return addresses[0]


# Addresses that `is_global` of some Python versions counts as public, but that belong to this machine's network or
# cloud, or are unused. Source: IANA's special-purpose address registries, unless another one is named.
_NOT_PUBLIC = (
    ip_network("168.63.129.16/32"),  # Azure's host: learn.microsoft.com, "What is IP address 168.63.129.16?"
    ip_network("192.0.0.0/24"),  # IETF protocol assignments; 192.0.0.192 is Oracle Cloud's metadata
    ip_network("192.88.99.0/24"),  # 6to4 relay anycast, withdrawn
    ip_network("240.0.0.0/4"),
)
# The range of all public IPv6 addresses (RFC 4291).
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)  # the third quarter of an address that ends with an IPv4 address (RFC 5214)


def is_public(text: str) -> bool:
    """Whether an address is public; one that embeds IPv4 addresses is public if these are."""
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
    """The embedded IPv4 addresses, and whether packets go only to them."""
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped or address in _NAT64:
        return [last], True
    if address.sixtofour:
        return [address.sixtofour], True
    if address.teredo:
        return list(address.teredo), True
    return ([last], False) if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP else ([], False)
