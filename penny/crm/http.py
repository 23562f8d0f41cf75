"""Requests to a CRM: no redirect, no proxy, no address in the house but those named, and no more
often than it lets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import orjson
from pydantic import SecretStr

from penny.crm.crm import CrmUnavailable
from penny.crm.pace import Pace
from penny.trust.public_http import open_public_http
from penny.webhooks.names import OwnThreads
from penny.webhooks.policy import Answer, read_retry_after
from penny.webhooks.sender import word_of


Json = dict[str, Any]

TIMEOUT_S = 15.0
"""Of a request; a look-up is given up before by the call that waits for it."""
MAX_BYTES = 1_000_000
SHOWN = 300
"""Characters of an answer in the delivery log."""
TOO_OFTEN = 429


class CrmHttp:
    """The client of one CRM.

    Args:
        url: without a slash at its end.
        is_inward: whether it may lie in the house's own network.
        clock: monotonic, seconds.
        wall_clock: Unix time in seconds.
    """

    def __init__(
        self,
        url: str,
        key: SecretStr | None,
        pace: Pace,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        *,
        is_inward: bool,
    ) -> None:
        self.url = url.rstrip("/")
        self.pace = pace
        self._key = key
        self._clock = clock
        self._wall_clock = wall_clock
        self._is_inward = is_inward
        self._http: aiohttp.ClientSession | None = None
        self._names: OwnThreads | None = None

    async def aclose(self) -> None:
        """Close its connections."""
        if self._http is not None and self._names is not None:
            await self._http.close()
            await self._names.close()

    def is_busy(self) -> bool:
        """Whether notes have to wait."""
        return not self.pace.may_write(self._clock())

    async def look_up(self, method: str, path: str, body: Json | None = None) -> Any:
        """The JSON of a look-up's answer; None where it has none. Raises CrmUnavailable."""
        if not self.pace.looks_up(self._clock()):
            raise CrmUnavailable("the CRM is asked as often as it lets already")
        answer, told = await self._ask(method, path, body)
        if not answer.is_success:
            raise CrmUnavailable(f"the CRM answered {answer.status or answer.error}")
        return told

    async def write(
        self, method: str, path: str, body: Json, query: Mapping[str, str] | None = None
    ) -> tuple[Answer, Any]:
        """What came of a write, and its JSON; None where it has none, or one that is too long.
        What was taken is taken whatever is said of it. Never raises for the network."""
        self.pace.wrote(self._clock())
        return await self._ask(method, path, body, query)

    async def read(
        self, method: str, path: str, query: Mapping[str, str] | None = None
    ) -> tuple[Answer, Any]:
        """What came of a request that no call waits for. Never raises for the network."""
        self.pace.wrote(self._clock())
        return await self._ask(method, path, None, query)

    async def _ask(
        self,
        method: str,
        path: str,
        body: Json | None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[Answer, Any]:
        began_s = self._clock()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer, told = await self._send(method, path, body, query)
        except TimeoutError:
            answer, told = Answer(error="timeout"), None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            answer, told = Answer(error=word_of(error)), None
        after_s = answer.retry_after_s
        if answer.status == TOO_OFTEN:
            after_s = self.pace.refused(self._clock(), after_s)
        took_ms = round((self._clock() - began_s) * 1000)
        return Answer(answer.status, answer.error, answer.body, after_s, took_ms), told

    async def _send(
        self, method: str, path: str, body: Json | None, query: Mapping[str, str] | None
    ) -> tuple[Answer, Any]:
        if self._http is None:
            self._names = OwnThreads()
            inward = [self.url] if self._is_inward else []
            self._http = open_public_http(inward, inner=self._names)
        headers = {"accept": "application/json"}
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.get_secret_value()}"
        asking = self._http.request(
            method,
            f"{self.url}{path}",
            json=body,
            params=query,
            headers=headers,
            allow_redirects=False,
        )
        async with asking as response:
            after_s = read_retry_after(response.headers.get("Retry-After"), self._wall_clock())
            data = bytearray()
            async for piece in response.content.iter_chunked(MAX_BYTES):
                data += piece
                if len(data) > MAX_BYTES:
                    response.close()
                    break
            error = "redirect" if 300 <= response.status < 400 else ""
            shown = data[:SHOWN].decode("utf-8", "replace")
            answer = Answer(response.status, error, shown, after_s)
            try:
                return answer, orjson.loads(data) if answer.is_success else None
            except orjson.JSONDecodeError:
                return answer, None
