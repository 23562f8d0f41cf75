"""The listening socket, and how it passes to another gateway without a refused call.

With ``reuse_port`` a second gateway may listen on the same port. When the first is told to stop
it closes its listening socket: if another process still answers on the port, new callers are its
from then on. If none does, it listens again, so that callers are told "draining" in words
instead of meeting a closed port.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from aiohttp import web

from config.schema import Config
from penny.errors import ConfigError


PROBE_TIMEOUT_S = 0.5


class Listener:
    """The listening socket of a gateway, which another gateway may take over.

    Args:
        runner: set up; connections are accepted for it.
        tls: None listens in the clear.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        *,
        reuse_port: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._runner = runner
        self._host = host
        self._reuse_port = reuse_port
        self._site: web.TCPSite | None = None
        self.address: tuple[str, int] = (host, 0)

    async def open(self, port: int) -> None:
        """Listen; ``address`` tells where. Raises OSError."""
        self._site = web.TCPSite(
            self._runner,
            self._host,
            port,
            reuse_port=self._reuse_port or None,
            ssl_context=self._tls,
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


def load_tls(config: Config) -> ssl.SSLContext | None:
    """The certificate that the gateway shows; None where it speaks in the clear.

    Raises:
        ConfigError: a file is missing or unreadable, or the key is another certificate's.
    """
    files = config.gateway.tls
    if files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name in ("cert", "key"):
        path = config.resolve(getattr(files, name))
        try:
            path.read_bytes()
        except OSError as error:
            raise _tls_error(config, name, f"{path}: {error.strerror}") from error
    cert, key = config.resolve(files.cert), config.resolve(files.key)
    try:
        # An empty passphrase: a key that needs one is refused, and none is asked at the terminal.
        context.load_cert_chain(cert, key, password="")
    except (ssl.SSLError, ValueError) as error:
        mismatch = getattr(error, "reason", "") == "KEY_VALUES_MISMATCH"
        reason = "is of another certificate" if mismatch else "is no PEM file that opens so"
        raise _tls_error(config, "key", f"{key}: {reason} (certificate: {cert})") from error
    return context


def _tls_error(config: Config, name: str, reason: str) -> ConfigError:
    key = f"gateway.tls.{name}"
    return ConfigError(f"{config.origin.place(key)}: {reason}", key=key)
