"""Which addresses a caller may make Penny, or a vendor for it, connect to: public ones only.

A URL that a tenant sets must never reach this machine, its network or a cloud's metadata service.
``check_address`` judges what the text shows. A name is judged again by what it resolves to, at
the moment of connecting, on the very address that is connected to (``PublicResolver``): a name
that changes its address between the two gains nothing.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from penny.errors import ProtocolError


MAX_URL_CHARACTERS = 2_000
_NUMBERS = re.compile(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}", re.IGNORECASE)
"""Every way inet_aton reads an IPv4 address: 2130706433, 0x7f.1, 127.1, 0177.0.0.1."""
_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def check_image(url: object, field: str) -> None:
    """As ``check_address``, for an image, which may also be in the text itself (``data:``)."""
    if not (isinstance(url, str) and url.startswith("data:image/")):
        check_address(url, field)


def check_address(url: object, field: str) -> None:
    """Refuse a URL that is not a public https address.

    Raises:
        ProtocolError: ``address_not_allowed``, naming ``field`` and the reason.
    """
    reason = _why_not(url)
    if reason:
        raise ProtocolError(
            f"{field}: {reason}; use a public https:// address",
            code="address_not_allowed",
            field=field,
        )


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if ip.sixtofour or ip.teredo:
            return False  # tunnels that no service uses, and Python's releases judge differently
        inner = ip.ipv4_mapped
        if inner is None and ip.exploded.startswith("0064:ff9b:0000:0000:0000:0000:"):
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def leads_inward(host: str) -> bool:
    """Whether a host's own text shows that it is no name or address of the open internet."""
    return bool(_why_not_host(host.rstrip(".").lower()))


class InwardAddress(OSError):
    """A name or an address that leads into the house's own network."""


class PublicResolver(AbstractResolver):
    """Resolves names for an ``aiohttp.TCPConnector`` that carries tenants' URLs.

    Raises InwardAddress for a name that leads anywhere but to the open internet.
    """

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise InwardAddress(f"{host} leads to no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def _why_not(url: Any) -> str:
    if not isinstance(url, str) or not url or len(url) > MAX_URL_CHARACTERS:
        return f"is not an address of at most {MAX_URL_CHARACTERS} characters"
    if any(character <= " " or character in "\\\x7f" for character in url):
        return "has characters that no address has"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme != "https":
        return "is not https"
    if parts.username is not None or parts.password is not None:
        return "carries a user or a password"
    if not host:
        return "names no host"
    return _why_not_host(host.rstrip(".").lower())


def _why_not_host(host: str) -> str:
    if host == "localhost" or host.endswith(_LOCAL_ENDINGS):
        return "leads into the local network"
    if _NUMBERS.fullmatch(host):
        try:
            host = socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return "is not an address"
    if ":" in host or _NUMBERS.fullmatch(host):
        return "" if is_public(host) else "leads into a private network"
    if "." not in host:
        return "leads into the local network"
    if not host.isascii():
        return "is not written in ASCII"
    return ""
