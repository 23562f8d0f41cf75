"""Opens private sessions whose model may call the tools of MCP servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import aiohttp

from modes.self_hosted.mcp.client import McpClient
from modes.self_hosted.mcp.servers import McpServer
from modes.self_hosted.mcp.speaker import McpSpeaker
from modes.self_hosted.mcp.toolbox import Toolbox
from penny.session.mode import SessionSpec, Speaker
from penny.trust.public_http import open_public_http


class McpHouse:
    """The MCP servers that the configuration names, and the client that reaches them.

    Args:
        addresses: of ``privacy.mcp_servers``, in the house's own network or outside.
    """

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses
        self._http: aiohttp.ClientSession | None = None

    async def open(
        self, spec: SessionSpec, open_below: Callable[[SessionSpec], Awaitable[Speaker]]
    ) -> Speaker:
        """A speaker with its session's servers, over one that knows functions alone.

        Raises:
            ClientError: a server of the session is not one of these.
        """
        toolbox = Toolbox(self._connect, self._addresses)
        if tools := spec.session.get("tools"):
            toolbox.tools = toolbox.read(tools, "session.tools")
            functions = {**spec.session, "tools": toolbox.tools.functions}
            spec = replace(spec, session=functions)
        return McpSpeaker(await open_below(spec), toolbox, spec.tell)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()

    def _connect(self, server: McpServer) -> McpClient:
        if self._http is None:
            self._http = open_public_http(self._addresses)
        return McpClient(self._http, server.url, server.headers)
