"""Names of receivers, looked up in threads of their own.

A name server that hangs holds a thread long after the attempt has been given up: not one of those
that the rest of the gateway works with, and two for a name at most.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult


THREADS = 16
OF_A_NAME = 2
"""Look-ups of one name at a time: the others wait, and give up in time."""


class OwnThreads(AbstractResolver):
    """Resolver that asks the system, in threads of its own. Raises OSError."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook names")
        self._places: dict[str, asyncio.Semaphore] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        place = self._places.setdefault(host, asyncio.Semaphore(OF_A_NAME))
        await place.acquire()
        asked = asyncio.get_running_loop().run_in_executor(
            self._threads, _look_up, host, port, family
        )
        # Given up or not, its place is free when the thread is.
        asked.add_done_callback(lambda done: _release(place, done))
        return await asyncio.shield(asked)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _release(place: asyncio.Semaphore, done: asyncio.Future[list[ResolveResult]]) -> None:
    place.release()
    if not done.cancelled():
        done.exception()  # of a look-up that was given up, whose attempt is over


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]
