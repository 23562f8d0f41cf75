"""The listening socket, and how it passes to another gateway without a refused call.

With ``reuse_port`` a second gateway may listen on the same port. When the first is told to stop
it closes its listening socket: if another process still answers on the port, new callers are its
from then on. If none does, it listens again, so that callers are told "draining" in words
instead of meeting a closed port.
"""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web


PROBE_TIMEOUT_S = 0.5


class Listener:
    """The listening socket of a gateway, which another gateway may take over.

    Args:
        runner: set up; connections are accepted for it.
    """

    def __init__(self, runner: web.AppRunner, host: str, *, reuse_port: bool) -> None:
        self._runner = runner
        self._host = host
        self._reuse_port = reuse_port
        self._site: web.TCPSite | None = None
        self.address: tuple[str, int] = (host, 0)

    async def open(self, port: int) -> None:
        """Listen; ``address`` tells where. Raises OSError."""
        self._site = web.TCPSite(
            self._runner, self._host, port, reuse_port=self._reuse_port or None
        )
        await self._site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = (host, port)

    async def hand_over(self) -> bool:
        """Stop listening if another gateway answers on the port; whether one does."""
        if not self._reuse_port or self._site is None:
            return False
        # What the kernel has queued for us is accepted first: closing would reset it.
        for _ in range(3):
            await asyncio.sleep(0)
        await self._site.stop()
        self._site = None
        if await self._is_answered():
            return True
        await self.open(self.address[1])
        return False

    async def _is_answered(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address[0], self.address[0])
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                _reader, writer = await asyncio.open_connection(host, self.address[1])
        except (OSError, TimeoutError, socket.gaierror):
            return False
        writer.close()
        return True
