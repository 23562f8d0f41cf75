"""The HTTP client of private sessions: it reaches the hosts of an allow-list and no others."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from config.schema import Config
from penny.aio.allow_list import AllowList


class AllowedResolver(AbstractResolver):
    """Resolves allowed names only: not even the name of another host leaves this machine."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self._allowed.check(host, port or None)
        found = await self._resolver.resolve(host, port, family)
        self._allowed.learn(host, [entry["host"] for entry in found])
        return found

    async def close(self) -> None:
        await self._resolver.close()


def open_private_http(allowed: AllowList) -> aiohttp.ClientSession:
    """A client whose every connection is checked, by name and by address. No proxy is asked."""

    def make_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        allowed.check(str(address[0]), int(address[1]))
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        limit=0, resolver=AllowedResolver(allowed), socket_factory=make_socket
    )
    # All callers share this client: no cookie of one's answer goes out with another's request.
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=False)


def hosts_of(config: Config) -> AllowList:
    """What the configuration names for private sessions: worker, Redis, RunPod if it rents, more.

    A Redis on a Unix socket is no host.
    """
    hosts: list[Any] = [config.penny.modes.SELF_HOSTED.endpoint, *config.privacy.allowed_hosts]
    if config.redis.url is not None and not config.redis.url.startswith("unix://"):
        hosts.append(config.redis.url)
    if config.runpod.endpoint_id is not None:
        hosts += [config.runpod.api_url, config.runpod.rest_url]
    return AllowList(host for host in hosts if host and "${" not in host)
