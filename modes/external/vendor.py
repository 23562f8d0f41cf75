"""OpenAI's servers: address, credentials and what is common to their two kinds of session.

Address and credentials are the SDK's. Its own connection is not used: a task and a future for every
frame cost more than a bare relay does, its parsing validates nothing, and its reconnection would go
on silently in an empty session.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import openai

from config.credentials import OPENAI_API_KEY, read_secret
from modes.external.speaker import Json
from modes.realtime import CONNECT_TIMEOUT_S, SEND_LIMIT_S, RealtimeSpeaker
from penny.aio.dial import HandshakeError, dial
from penny.errors import ModeUnavailable, SpeakerLost


TERMINAL_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "invalid_api_key",
        "account_deactivated",
        "billing_hard_limit_reached",
        "beta_api_shape_disabled",
        "model_not_found",
    }
)
"""Errors that no second attempt mends."""


def end_if_terminal(fault: Json) -> None:
    """Raises SpeakerLost, not retryable, for an error that no second attempt mends."""
    code = fault.get("code")
    if code in TERMINAL_CODES:
        lost = SpeakerLost(fault.get("message") or code, code=code, retryable=False)
        raise lost


class VendorProvider:
    """What opens OpenAI's upstreams. ``base_url``: another server; then no key is needed."""

    name = "openai"

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url
        self._client: openai.AsyncOpenAI | None = None

    async def connect(self, path: str, query: Mapping[str, str], model: str) -> RealtimeSpeaker:
        """Open the WebSocket at ``path`` below the base URL. Raises ModeUnavailable."""
        if self._client is None:
            key = read_secret(OPENAI_API_KEY, os.environ)
            secret = key.get_secret_value() if key is not None else "none"
            self._client = openai.AsyncOpenAI(api_key=secret, base_url=self._base_url)
        base = urlsplit(str(self._client.base_url))
        scheme, host = "ws" if base.scheme == "http" else "wss", base.hostname or ""
        url = f"{scheme}://{base.netloc}{base.path.rstrip('/')}/{path}"
        proxies = {} if proxy_bypass(host) else getproxies()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connection = await dial(
                    f"{url}?{urlencode(query)}" if query else url,
                    self._client.auth_headers,
                    proxy=proxies.get("https" if scheme == "wss" else "http"),
                    send_limit_s=SEND_LIMIT_S,
                )
        except (OSError, TimeoutError) as error:
            raise _unreachable(error) from error
        return RealtimeSpeaker(connection, {"model": model, "provider": self.name})

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()


def _unreachable(error: Exception) -> ModeUnavailable:
    status = error.status if isinstance(error, HandshakeError) else None
    if status is None:
        return ModeUnavailable(
            f"the speaker cannot be reached: {type(error).__name__}",
            remedy="see whether it runs and listens at the configured address",
            retryable=True,
        )
    final = status in (401, 403, 404)
    return ModeUnavailable(
        f"the speaker refused the connection: HTTP {status}",
        remedy="check the key and the model" if final else "try again in a moment",
        retryable=not final,
    )
