"""Which hosts a private session may reach; every other attempt is refused, logged and counted."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

import structlog


log = structlog.get_logger()

MAX_COUNTED_HOSTS = 100
"""Refused hosts counted by name; past that they are counted together."""
OTHERS = "(others)"
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443, "redis": 6379, "rediss": 6379}


class EgressRefused(PermissionError):
    """A connection to a host that the configuration does not name."""

    def __init__(self, host: str, port: int | None) -> None:
        super().__init__(f"{host}:{port or ''} is not a configured host of the private mode")
        self.host = host
        self.port = port


class AllowList:
    """Hosts by name or address, with a port or with every port. Loopback is always allowed.

    Args:
        hosts: ``name``, ``name:port``, ``[v6]:port`` or a URL, whose port counts.

    Addresses of an allowed name are allowed once they are learned from its resolution.
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._ports: dict[str, set[int | None]] = {}
        self.refused: dict[str, int] = {}
        """Attempts refused, by host."""
        for host in hosts:
            self.add(host)

    def add(self, host: str) -> None:
        """Allow one more host. Raises ValueError when it is none."""
        name, port = split_address(host)
        self._ports.setdefault(_plain(name), set()).add(port)

    def allows(self, host: str, port: int | None) -> bool:
        """Whether ``host`` (a name or an address) may be reached at ``port`` (None: any)."""
        plain = _plain(host)
        if _is_loopback(plain):
            return True
        ports = self._ports.get(plain)
        return ports is not None and (None in ports or port is None or port in ports)

    def learn(self, name: str, addresses: Iterable[str]) -> None:
        """``addresses`` are what an allowed ``name`` resolved to."""
        ports = self._ports.get(_plain(name))
        if ports is None:
            return
        for address in addresses:
            self._ports.setdefault(_plain(address), set()).update(ports)

    def check(self, host: str, port: int | None) -> None:
        """Raises EgressRefused, after logging and counting the attempt."""
        if self.allows(host, port):
            return
        known = host in self.refused or len(self.refused) < MAX_COUNTED_HOSTS
        counted = host if known else OTHERS
        self.refused[counted] = self.refused.get(counted, 0) + 1
        log.error("egress_refused", host=host, port=port)
        raise EgressRefused(host, port)


def split_address(host: str) -> tuple[str, int | None]:
    """Name and port of ``host``, ``host:port``, ``[v6]:port`` or a URL; a port of None is any.

    Raises ValueError when it is none of these.
    """
    url = urlsplit(host if "://" in host else f"//{host}")
    if not url.hostname:
        raise ValueError(f"'{host}' is not a host, a host:port, or a URL")
    return url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)


def _plain(host: str) -> str:
    """Lower case, no brackets, no zone, no final dot; an IPv4 address inside IPv6 as itself."""
    name = host.strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        address = ip_address(name)
    except ValueError:
        return name
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _is_loopback(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
