"""One POST to a receiver. No proxy, no redirect, and no address in the house but those named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import aiohttp
from aiohttp.abc import AbstractResolver

from penny.trust.addresses import InwardAddress
from penny.trust.public_http import open_public_http
from penny.webhooks.names import OwnThreads
from penny.webhooks.policy import Answer, read_retry_after


TIMEOUT_S = 15.0
"""An endpoint that has not answered by then has failed."""
BODY_S = 2.0
"""What of the answer's text has not come by then is not read."""
KEPT_BYTES = 500
"""Of an answer's text, in the log."""


class Sender:
    """Sends deliveries of one process.

    Args:
        inward: URLs that may lie in the house's own network.
        wall_clock: Unix time in seconds.
        timeout_s: of one attempt, up to the answer's status.
        resolver: of names; None for the system's, in threads of its own.
    """

    def __init__(
        self,
        inward: Iterable[str],
        wall_clock: Callable[[], float],
        timeout_s: float = TIMEOUT_S,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._inward = list(inward)
        self._wall_clock = wall_clock
        self._timeout_s = timeout_s
        self._resolver = resolver
        self._http: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close its connections."""
        if self._http is not None:
            await self._http.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """What came of it; never raises for the network or the receiver."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        answer = await self._post(url, body, headers)
        took_ms = round((loop.time() - began_s) * 1000)
        return Answer(answer.status, answer.error, answer.body, answer.retry_after_s, took_ms)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self._http is None:
            self._resolver = self._resolver or OwnThreads()
            self._http = open_public_http(self._inward, inner=self._resolver)
        # A compressed answer could be far longer than it is on the wire.
        sent = {**headers, "accept-encoding": "identity"}
        try:
            async with asyncio.timeout(self._timeout_s) as patience:
                asking = self._http.post(url, data=body, headers=sent, allow_redirects=False)
                async with asking as response:
                    patience.reschedule(None)
                    after = read_retry_after(
                        response.headers.get("Retry-After"), self._wall_clock()
                    )
                    text = await _read_some(response)
                    error = "redirect" if 300 <= response.status < 400 else ""
                    return Answer(response.status, error, text, after)
        except TimeoutError:
            return Answer(error="timeout")
        except aiohttp.ClientError as error:
            return Answer(error=word_of(error))
        except (OSError, ValueError) as error:
            return Answer(error=word_of(error))


async def _read_some(response: aiohttp.ClientResponse) -> str:
    """The beginning of the answer's text; what does not come in time is left out."""
    kept = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while len(kept) < KEPT_BYTES:
                piece = await response.content.read(KEPT_BYTES - len(kept))
                if not piece:
                    break
                kept += piece
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass  # the status is the answer
    if not response.content.at_eof():
        response.close()  # the rest may be endless
    text = kept.decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def word_of(error: BaseException) -> str:
    """What went wrong, in a word; an error's text may name addresses of the house."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, InwardAddress):
            return "address_not_allowed"
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "tls"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name_not_found"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no_connection"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError):
        return "connection_lost"
    return "no_http"
