"""Twilio's REST API for calls: place, put through, end."""

from __future__ import annotations

from typing import Any

import aiohttp
import structlog

from penny.edges.telephone.wire import CarrierRefused


log = structlog.get_logger()

Json = dict[str, Any]

VERSION = "2010-04-01"
TIMEOUT_S = 8.0


class TwilioApi:
    """The calls of one account.

    Args:
        url: of the API, without a path.
    """

    def __init__(self, url: str, account_sid: str, auth_token: str) -> None:
        self._calls = f"{url.rstrip('/')}/{VERSION}/Accounts/{account_sid}/Calls"
        self._head = {"Authorization": aiohttp.encode_basic_auth(account_sid, auth_token)}
        self._http: aiohttp.ClientSession | None = None

    async def place(self, fields: list[tuple[str, str]]) -> str:
        """Place a call; its SID. Raises CarrierRefused."""
        answer = await self._post(f"{self._calls}.json", fields)
        if not answer.get("sid"):
            raise CarrierRefused("Twilio's answer names no call", retryable=True, is_open=True)
        return str(answer["sid"])

    async def update(self, call_sid: str, **fields: str) -> None:
        """Change a live call (``Twiml``, ``Status``). Raises CarrierRefused."""
        await self._post(f"{self._calls}/{call_sid}.json", list(fields.items()))

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def _post(self, url: str, fields: list[tuple[str, str]]) -> Json:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._http = aiohttp.ClientSession(headers=self._head, timeout=timeout)
        try:
            async with self._http.post(url, data=aiohttp.FormData(fields)) as answer:
                body = await answer.json(content_type=None)
                if answer.status < 300 and isinstance(body, dict):
                    return body
                number = body.get("code") if isinstance(body, dict) else None
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("twilio_unreachable", error=type(error).__name__)
            raise CarrierRefused(
                "Twilio does not answer; try again", retryable=True, is_open=True
            ) from error
        log.warning("twilio_refused", status=status, twilio_code=number)
        raise CarrierRefused(
            f"Twilio refused it (HTTP {status}, error {number}); see twilio.com/docs/api/errors",
            retryable=status == 429 or status >= 500,
            is_open=status >= 500,
        )
