"""HTTP client for addresses from a configuration or a caller: the open internet, and of the
house's own network only what was named to it.

Every connection is judged twice, by the name that is asked for and by the very address that is
connected to: a name that leads inward, or changes its address in between, gains nothing, and an
address that needs no resolving (decimal, IPv4 inside IPv6) is judged all the same.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from penny.trust.addresses import InwardAddress, PublicResolver, is_public, leads_inward


log = structlog.get_logger()

Named = tuple[str, int]
"""A host, as it is written, and a port."""
REMEDY = "if it is your own, say so in penny.yaml: private_network: true"
PORTS = {"http": 80, "https": 443}


def name_of(url: str) -> Named:
    """The host and port of a URL."""
    parts = urlsplit(url)
    return (parts.hostname or "").rstrip("."), parts.port or PORTS.get(parts.scheme, 0)


def is_inward_as_written(url: str) -> bool:
    """Whether the text itself shows an address of this machine or its network."""
    return leads_inward(name_of(url)[0])


class NamedOrPublicResolver(AbstractResolver):
    """Resolver of public names, and of those an operator named; raises InwardAddress otherwise."""

    def __init__(self, inner: AbstractResolver, named: frozenset[Named]) -> None:
        self._inner = inner
        self._public = PublicResolver(inner)
        self._named = named
        self.learnt: set[Named] = {named_one for named_one in named if _is_literal(named_one[0])}
        """Addresses, with ports, that those of ``named`` had when last asked for."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if (host.rstrip("."), port) not in self._named:
            try:
                return await self._public.resolve(host, port, family)
            except InwardAddress:
                log.warning("inward_name_refused", host=host, remedy=REMEDY)
                raise
        found = await self._inner.resolve(host, port, family)
        self.learnt |= {(result["host"], port) for result in found}
        return found

    async def close(self) -> None:
        await self._inner.close()


def open_public_http(
    inward_urls: Iterable[str] = (), *, inner: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    """A client for which ``inward_urls`` alone may lie in the house's own network.

    No proxy is asked. Users of it follow no redirects: their target was not checked.
    """
    named = frozenset(name_of(url) for url in inward_urls)
    resolver = NamedOrPublicResolver(inner or aiohttp.ThreadedResolver(), named)

    def make_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        host, port = str(address[0]), int(address[1])
        if not is_public(host) and (host, port) not in resolver.learnt:
            log.warning("inward_address_refused", address=host, remedy=REMEDY)
            raise InwardAddress("the address leads into the house's own network")
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        limit=0,
        resolver=resolver,
        socket_factory=make_socket,
        # A cached address would be connected to after its name had changed hands.
        use_dns_cache=False,
    )
    # All callers share this client: no cookie of one's answer goes out with another's request.
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=False)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
