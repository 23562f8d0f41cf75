"""An MCP server over streamable HTTP, as strict as its specification (2025-06-18) about headers and
the order of messages. It answers in JSON, or by a stream of events."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web


Json = dict[str, Any]

VERSION = "2025-06-18"


def tool(name: str, about: str = "", *, read_only: bool = False) -> Json:
    properties = {"id": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["id"]}
    described = {"name": name, "description": about or f"Tool {name}", "inputSchema": schema}
    return {**described, "annotations": {"readOnlyHint": read_only}}


class McpServer:
    """``handle`` is its POST and DELETE handler.

    ``calls``: name and arguments of each tool run. ``headers``: of the last request. ``fails``:
    a tool's own error. ``status``: an HTTP error in place of an answer. ``refusal``: of every
    request, in its own words. ``body``: of the answer to a call, as it is. ``sessions``: those
    that are open; without one that it began, a client has to begin another.
    """

    def __init__(self, tools: list[Json], *, streams: bool = False) -> None:
        self._pages = [tools[at : at + 2] for at in range(0, len(tools), 2)] or [[]]
        self._streams = streams
        self._begun = 0
        self._greeted: set[str] = set()
        self.sessions: set[str] = set()
        self.refusal: str | None = None
        self.body: str | None = None
        self.calls: list[tuple[str, Json]] = []
        self.headers: dict[str, str] = {}
        self.fails = False
        self.status = 200

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers = dict(request.headers)
        if self.status != 200:
            return web.Response(status=self.status, headers={"Location": "http://10.0.0.1/"})
        if request.method == "DELETE":
            self.sessions.remove(request.headers["Mcp-Session-Id"])
            return web.Response(status=204)
        accepted = request.headers.get("Accept", "")
        if "application/json" not in accepted or "text/event-stream" not in accepted:
            return web.Response(status=406)
        message = await request.json()
        method = message["method"]
        assert message["jsonrpc"] == "2.0"
        if method == "initialize":
            assert "Mcp-Session-Id" not in request.headers
            self._begun += 1
            begun = f"mcp-session-{self._begun}"
            self.sessions.add(begun)
            result: Json = {"protocolVersion": VERSION, "capabilities": {"tools": {}}}
            result["serverInfo"] = {"name": "double", "version": "1"}
            return await self._answer(request, message, {"result": result}, begun)
        session = request.headers.get("Mcp-Session-Id")
        if session is None or session not in self.sessions:
            return web.Response(status=404 if session else 400)
        if request.headers.get("MCP-Protocol-Version") != VERSION:
            return web.Response(status=400)
        if method == "notifications/initialized":
            self._greeted.add(session)
            return web.Response(status=202)
        assert session in self._greeted, "asked before it was greeted"
        done = await self._do(method, message["params"])
        return await self._answer(request, message, done, session)

    async def _do(self, method: str, params: Json) -> Json:
        if self.refusal is not None:
            return {"error": {"code": -32001, "message": self.refusal}}
        if method == "tools/list":
            at = int(params.get("cursor") or 0)
            more = {"nextCursor": str(at + 1)} if at + 1 < len(self._pages) else {}
            return {"result": {"tools": self._pages[at], **more}}
        assert method == "tools/call", method
        names = [each["name"] for page in self._pages for each in page]
        if params["name"] not in names:
            return {"error": {"code": -32602, "message": f"Unknown tool: {params['name']}"}}
        self.calls.append((params["name"], params["arguments"]))
        text = "no such invoice" if self.fails else "pendiente de pago"
        content = [{"type": "text", "text": text}]
        return {"result": {"content": content, "isError": self.fails}}

    async def _answer(
        self, request: web.Request, to: Json, answer: Json, session: str
    ) -> web.StreamResponse:
        message = {"jsonrpc": "2.0", "id": to["id"], **answer}
        headers = {"Mcp-Session-Id": session}
        if to["method"] == "tools/call" and self.body is not None:
            body = self.body.replace("ID", str(to["id"]))
            return web.Response(text=body, content_type="application/json")
        if not self._streams:
            return web.json_response(message, headers=headers)
        headers["Content-Type"] = "text/event-stream"
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "…"}}
        for each in (note, message):
            text = f"event: message\r\ndata: {json.dumps(each)}\r\n\r\n".encode()
            await response.write(text[:20])
            await response.write(text[20:])
        return response
