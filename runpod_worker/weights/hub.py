"""A model hub over HTTP: which commit a revision is, which files it has, and their bytes.

Routes (the ones that model hubs share): ``GET {hub}/api/models/{repo}/revision/{revision}``,
``GET {hub}/api/models/{repo}/tree/{commit}?recursive=true``,
``GET {hub}/{repo}/resolve/{commit}/{file}`` with ``Range``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr

from penny.errors import PennyError


CONNECT_TIMEOUT_S = 20.0
SILENCE_TIMEOUT_S = 60.0
"""A download may last hours; what it may not do is say nothing for so long."""


class HubError(PennyError):
    """The hub did not give what was asked; ``retryable`` when it may later."""

    code = "hub_failed"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository.

    ``sha256`` is what the hub says of a large file; None when it says nothing.
    """

    name: str
    bytes: int
    sha256: str | None = None


class Hub:
    """One hub. Every method raises HubError."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, token: SecretStr | None = None
    ) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token.get_secret_value()}"

    async def commit_of(self, repo: str, revision: str) -> str:
        at = f"{self._url}/api/models/{repo}/revision/{quote(revision, safe='')}"
        commit = (await self._json(at)).get("sha")
        if not isinstance(commit, str):
            raise HubError(f"{repo}: the hub names no commit for revision {revision}")
        return commit

    async def files_of(self, repo: str, commit: str, patterns: tuple[str, ...]) -> list[HubFile]:
        """The files that match ``patterns``; a pattern that matches nothing is an error."""
        listing = await self._json(
            f"{self._url}/api/models/{repo}/tree/{commit}?recursive=true", of=list
        )
        files = [
            HubFile(entry["path"], int(entry["size"]), (entry.get("lfs") or {}).get("oid"))
            for entry in listing
            if entry.get("type") == "file"
        ]
        for file in files:
            if file.name.startswith("/") or ".." in file.name.split("/"):
                raise HubError(f"{repo}: a file that leads out of its folder: {file.name}")
        chosen = [f for f in files if any(fnmatch(f.name, pattern) for pattern in patterns)]
        for pattern in patterns:
            if not any(fnmatch(file.name, pattern) for file in chosen):
                raise HubError(f"{repo}: no file is called {pattern} at {commit[:12]}")
        return chosen

    @asynccontextmanager
    async def open(
        self, repo: str, commit: str, name: str, offset: int
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """The bytes of a file from ``offset`` on; yields where they really begin (0 or offset)."""
        headers = {**self._headers, **({"Range": f"bytes={offset}-"} if offset else {})}
        async with self._get(f"{self._url}/{repo}/resolve/{commit}/{quote(name)}", headers) as got:
            yield (offset if got.status == 206 else 0), got.content.iter_chunked(1 << 20)

    async def _json(self, url: str, of: type = dict) -> Any:
        async with self._get(url, self._headers) as response:
            try:
                answer = await response.json(content_type=None)
            except ValueError:
                answer = None
        if not isinstance(answer, of):
            raise HubError(f"{url}: the answer is not what a model hub sends")
        return answer

    @asynccontextmanager
    async def _get(
        self, url: str, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        limit = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S
        )
        try:
            async with self._http.get(url, headers=headers, timeout=limit) as response:
                if response.status >= 400:
                    raise _refusal(url, response.status)
                yield response
        except (TimeoutError, aiohttp.ClientError) as error:
            raise HubError(f"{url}: {type(error).__name__}", retryable=True) from error


def _refusal(url: str, status: int) -> HubError:
    if status in (401, 403):
        return HubError(
            f"{url}: HTTP {status}: the hub wants a key for these weights; accept their licence "
            "there and export PENNY_HUB_TOKEN=…"
        )
    return HubError(f"{url}: HTTP {status}", retryable=status == 429 or status >= 500)
