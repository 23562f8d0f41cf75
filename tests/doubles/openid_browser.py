"""A browser that signs in at an OpenID provider, step by step, so that each step may be spoilt."""

from __future__ import annotations

from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp


Json = dict[str, Any]


class OpenIdBrowser:
    """One browser with its cookies, before the Penny at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url
        jar = aiohttp.CookieJar(unsafe=True)  # which takes cookies of addresses without a name
        self.http = aiohttp.ClientSession(cookie_jar=jar)

    async def __aenter__(self) -> OpenIdBrowser:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.http.close()

    async def begin(self, to: str = "/calls") -> str:
        """Penny's answer to who wants to sign in: the provider's address."""
        start = f"{self._url}/v1/sign-in/openid"
        async with self.http.get(start, params={"to": to}, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
            return answer.headers["Location"]

    async def at_provider(self, address: str) -> str:
        """The provider's answer: Penny's address, with a code."""
        async with self.http.get(address, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
            return answer.headers["Location"]

    async def back(self, address: str, **changed: str) -> tuple[int, str]:
        """Status of Penny's answer to who comes back, and where it leads, or its error's code."""
        parts = urlsplit(address)
        query = {**dict(parse_qsl(parts.query)), **changed}
        there = parts._replace(query=urlencode(query)).geturl()
        async with self.http.get(there, allow_redirects=False) as answer:
            if answer.status == 303:
                return 303, answer.headers["Location"]
            return answer.status, str((await answer.json())["error"]["code"])

    async def sign_in(self, to: str = "/calls") -> tuple[int, str]:
        """All steps, as ``back`` ends them."""
        return await self.back(await self.at_provider(await self.begin(to)))

    async def whoami(self) -> Json:
        """``GET /v1/sign-in``; empty where it is refused."""
        async with self.http.get(f"{self._url}/v1/sign-in") as answer:
            return await answer.json() if answer.status == 200 else {}
