"""What every engine behind an OpenAI-compatible HTTP server shares: address, key, clear errors.

A server's own error text is never passed on: some repeat the request, and a request holds what a
caller said. Its status and its machine code are enough to act on.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from penny.errors import EngineError


Json = dict[str, Any]

ERROR_BODY_BYTES = 64 * 1024
_RETRYABLE = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
_CODES = {400: "rejected", 401: "unauthorized", 403: "unauthorized", 404: "not_found"}
_CODES |= {408: "timeout", 413: "too_large", 422: "rejected", 429: "overloaded", 503: "overloaded"}


class HttpServer:
    """A client of one server for one stage; its connections are kept and reused.

    Args:
        base_url: up to and with ``/v1``.
        key_variable: environment variable of the bearer token; '' sends none.
        connect_s: time to open a connection; the stage's own deadlines bound the rest.
    """

    def __init__(
        self, stage: str, base_url: str, *, key_variable: str = "", connect_s: float = 3.0
    ) -> None:
        self.stage = stage
        self.base_url = base_url.rstrip("/")
        self._key_variable = key_variable
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
        self._http: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def post(self, path: str, **body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request (``json=`` or ``data=``) and check the status of its answer.

        Leaving the context early closes the connection: that is what makes a server stop.

        Raises:
            EngineError: unreachable, refused, or cut in the middle; ``retryable`` tells apart
                what may pass from what a person has to mend.
        """
        http = self._session()
        try:
            response = await self._request(http, path, body)
            try:
                if response.status >= 400:
                    raise await self._refusal(response)
                yield response
            finally:
                # Not release(): an unread answer must end where it is made, not be drained.
                response.close()
        except aiohttp.ClientConnectorError as error:
            raise self.failure("unreachable", f"{self.base_url} cannot be reached") from error
        except TimeoutError as error:
            if not isinstance(error, aiohttp.ServerTimeoutError):
                raise  # a deadline of the stage's own
            raise self.failure("unreachable", f"{self.base_url} does not answer") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise self.failure("cut", f"{self.base_url} broke the connection off") from error

    def failure(self, code: str, message: str, *, retryable: bool = True) -> EngineError:
        return EngineError(
            f"the {self.stage} server: {message}",
            stage=self.stage,
            code=f"{self.stage}_{code}",
            retryable=retryable,
        )

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            # No limit here: the worker's slots bound the calls, and a caller must not queue.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
            self._http = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, headers=self._headers()
            )
        return self._http

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self._key_variable, "") if self._key_variable else ""
        return {"Authorization": f"Bearer {key}"} if key else {}

    async def _request(
        self, http: aiohttp.ClientSession, path: str, body: Json
    ) -> aiohttp.ClientResponse:
        url = f"{self.base_url}{path}"
        try:
            return await http.post(url, **body)
        except aiohttp.ServerDisconnectedError:
            # A kept connection that the server had closed meanwhile: nothing was answered yet.
            if not isinstance(body.get("json"), dict):
                raise  # a form's body is read once and cannot be sent again
            return await http.post(url, **body)

    async def _refusal(self, response: aiohttp.ClientResponse) -> EngineError:
        status = response.status
        code = _CODES.get(status, "failed")
        told = _error_code(await response.content.read(ERROR_BODY_BYTES))
        if "context_length" in told:
            code = "context_exceeded"
        remedy = {
            "unauthorized": f" (set {self._key_variable or 'api_key_variable and its key'})",
            "not_found": " (check base_url and the model's name)",
        }.get(code, "")
        said = f"{status} {told}".strip()
        return self.failure(code, f"it answered {said}{remedy}", retryable=status in _RETRYABLE)


def _error_code(body: bytes) -> str:
    """The machine code of an error body in OpenAI's form, without its free text."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return ""
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    if not isinstance(error, dict):
        return ""
    code = error.get("code") or error.get("type") or ""
    if "maximum context length" in str(error.get("message", "")):
        return "context_length_exceeded"  # vLLM names it only in the text
    return str(code)[:64] if isinstance(code, str) else ""
