"""A client of one MCP server over streamable HTTP: lists its tools, and calls one.

What a server says is taken within limits of size and time, and a redirect is not followed: where it
leads was not checked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp

from penny.realtime.fields import is_deeper


Json = dict[str, Any]

PROTOCOL: Final = "2025-06-18"
CLIENT: Final = {"name": "penny", "version": "1"}
SESSION: Final = "Mcp-Session-Id"
VERSION: Final = "MCP-Protocol-Version"
LIST_LIMIT_S: Final = 10.0
CALL_LIMIT_S: Final = 30.0
END_LIMIT_S: Final = 2.0
MAX_ANSWER_BYTES: Final = 1024 * 1024
MAX_ANSWER_DEPTH: Final = 100
MAX_PAGES: Final = 8
"""Of a list of tools; one that goes on is cut there."""
UNREACHABLE: Final = 502
NO_SESSION: Final = 404
"""Of a request in a session: the server has ended it, and did nothing."""
NO_ARGUMENTS: Final[Json] = {"type": "object", "properties": {}}


class McpFailed(Exception):
    """A server did not do what it was asked to.

    Args:
        kind: of GA's ``mcp_call.error``: ``protocol_error``, ``tool_execution_error`` or
            ``http_error``.
        code: JSON-RPC's or HTTP's; None for a tool's own error, which has none.
    """

    def __init__(self, kind: str, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.error: Json = {"type": kind, "message": message}
        if code is not None:
            self.error["code"] = code


class McpClient:
    """One connection's worth of one server, which may keep a session of its own for it.

    Args:
        http: reaches what may be reached, and nothing else.
        headers: the caller's, with a key of theirs perhaps; never logged.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self._url = url
        self._headers = dict(headers)
        self._serial = 0
        self._greeting = asyncio.Lock()

    async def list_tools(self) -> list[Json]:
        """Greet the server and read its tools: ``name``, ``description``, ``inputSchema``.

        Raises:
            McpFailed: it is not there, or speaks otherwise.
        """
        await self._greet()
        tools: list[Json] = []
        cursor: object = None
        for _ in range(MAX_PAGES):
            page = await self._ask("tools/list", {"cursor": cursor} if cursor else {}, LIST_LIMIT_S)
            tools += [_read_tool(tool) for tool in _list(page.get("tools")) if _is_tool(tool)]
            cursor = page.get("nextCursor")
            if not cursor:
                break
        return tools

    async def call(self, name: str, arguments: Json) -> str:
        """Run a tool; its output as text.

        Raises:
            McpFailed: it was not run, or failed.
        """
        result = await self._ask("tools/call", {"name": name, "arguments": arguments}, CALL_LIMIT_S)
        text = "\n".join(map(_read_content, _list(result.get("content"))))
        if not text and result.get("structuredContent") is not None:
            text = json.dumps(result["structuredContent"], ensure_ascii=False)
        if result.get("isError"):
            raise McpFailed("tool_execution_error", text or "the tool failed")
        return text

    async def aclose(self) -> None:
        """End the server's session, where it keeps one; what it answers does not matter."""
        if SESSION not in self._headers:
            return
        limit = aiohttp.ClientTimeout(total=END_LIMIT_S)
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._http.delete(
                self._url, headers=self._headers, allow_redirects=False, timeout=limit
            ):
                del self._headers[SESSION]

    async def _greet(self) -> None:
        """Begin a session, a new one where there was one."""
        hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": CLIENT}
        before = self._headers.pop(SESSION, None)
        try:
            await self._say("initialize", hello, LIST_LIMIT_S)
            self._headers[VERSION] = PROTOCOL
            await self._post({"method": "notifications/initialized"}, LIST_LIMIT_S)
        except McpFailed:
            if before is not None:  # the next request finds it ended, and begins another
                self._headers[SESSION] = before
            raise

    async def _ask(self, method: str, params: Json, limit_s: float) -> Json:
        """The result of a request; one that found its session ended is made once more."""
        session = self._headers.get(SESSION)
        try:
            return await self._say(method, params, limit_s)
        except McpFailed as failure:
            is_ended = failure.error["type"] == "http_error" and failure.error["code"] == NO_SESSION
            if session is None or not is_ended:
                raise
        async with self._greeting:
            if self._headers.get(SESSION) == session:
                await self._greet()
        return await self._say(method, params, limit_s)

    async def _say(self, method: str, params: Json, limit_s: float) -> Json:
        self._serial += 1
        request = {"id": self._serial, "method": method, "params": params}
        answer = await self._post(request, limit_s)
        if "error" in answer:
            fault = answer["error"] if isinstance(answer["error"], dict) else {}
            code = fault.get("code")
            message = str(fault.get("message") or "the server refused")
            raise McpFailed("protocol_error", message, code if isinstance(code, int) else -32603)
        if not isinstance(answer.get("result"), dict):
            raise McpFailed("protocol_error", f"no answer to {method}", -32603)
        result: Json = answer["result"]
        return result

    async def _post(self, message: Json, limit_s: float) -> Json:
        """The server's answer to a message; {} where it gives none."""
        headers = {"Accept": "application/json, text/event-stream", **self._headers}
        try:
            async with self._http.post(
                self._url,
                json={"jsonrpc": "2.0", **message},
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=limit_s),
            ) as response:
                if response.status >= 300:
                    said = f"the server answered {response.status}"
                    raise McpFailed("http_error", said, response.status)
                if SESSION in response.headers:
                    self._headers[SESSION] = response.headers[SESSION]
                async for answer in _messages(response):
                    if "id" in message and answer.get("id") == message["id"]:
                        return answer
                return {}
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            said = "no answer in time" if isinstance(error, TimeoutError) else "it is not reachable"
            raise McpFailed("http_error", said, UNREACHABLE) from error
        except (ValueError, RecursionError) as error:
            raise McpFailed(
                "protocol_error", "the server's answer cannot be read", -32700
            ) from error


async def _messages(response: aiohttp.ClientResponse) -> AsyncIterator[Json]:
    """The JSON-RPC messages of an answer: one in JSON, or a stream of events, each as it comes.

    Raises:
        ValueError: it is too long or too deep, or no JSON.
        RecursionError: it is far too deep.
    """
    is_stream = response.content_type == "text/event-stream"
    waiting, taken = b"", 0
    async for piece in response.content.iter_any():
        taken += len(piece)
        if taken > MAX_ANSWER_BYTES:
            raise ValueError(f"longer than {MAX_ANSWER_BYTES} bytes")
        waiting += piece
        if is_stream:  # a line's end may come in two pieces
            waiting = waiting.replace(b"\r\n", b"\n")
        *events, waiting = waiting.split(b"\n\n") if is_stream else (waiting,)
        for event in events:
            lines = [line[5:].strip() for line in event.split(b"\n") if line[:5] == b"data:"]
            if lines:
                yield _object(json.loads(b"\n".join(lines)))
    if waiting.strip() and not is_stream:
        yield _object(json.loads(waiting))


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        return {}
    if is_deeper(value, MAX_ANSWER_DEPTH):
        raise ValueError(f"deeper than {MAX_ANSWER_DEPTH}")
    return value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_tool(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str)


def _read_tool(tool: Json) -> Json:
    schema, about = tool.get("inputSchema"), tool.get("description")
    written = {"description": about if isinstance(about, str) else ""}
    return {**tool, **written, "inputSchema": schema if isinstance(schema, dict) else NO_ARGUMENTS}


def _read_content(part: object) -> str:
    """A part of a tool's output: its text, or what it is where it is none."""
    if not isinstance(part, dict):
        return str(part)
    return str(part["text"]) if "text" in part else json.dumps({"type": part.get("type")})
