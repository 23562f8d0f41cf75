"""The servers of one session and what of their tools its model is offered, as functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modes.self_hosted.mcp.client import McpClient
from modes.self_hosted.mcp.servers import MAX_SERVERS, McpServer, name_function, read_server
from penny.realtime.errors import ClientError


Json = dict[str, Any]


@dataclass(slots=True)
class Listed:
    """A server of a session; ``tools`` is None until they are known, and who lists them says
    ``is_asked``."""

    server: McpServer
    client: McpClient
    tools: list[Json] | None = None
    is_asked: bool = False


@dataclass(slots=True)
class Tools:
    """What a session's ``tools`` are: servers by label, and the client's own functions."""

    servers: dict[str, Listed]
    functions: list[Json]


Offered = dict[str, tuple[Listed, Json]]
"""The server and the tool behind each function that is one; no other function is."""


class Toolbox:
    """Translates a session's tools, both ways.

    Args:
        connect: a client for a server.
        reachable: addresses that ``privacy.mcp_servers`` names.
    """

    def __init__(
        self, connect: Callable[[McpServer], McpClient], reachable: tuple[str, ...]
    ) -> None:
        self._connect = connect
        self._reachable = reachable
        self._clients: list[McpClient] = []
        self.offered: Offered = {}
        """What the session offers now: a name that it lost is a function of the client's."""
        self.tools = Tools({}, [])

    async def aclose(self) -> None:
        """End what sessions servers keep for this one."""
        await asyncio.gather(*(client.aclose() for client in self._clients))

    def read(self, given: list[Any], at: str) -> Tools:
        """Tools that a client sends; a server that the session has is the same one.

        Raises:
            ClientError: the field at fault and what to send instead.
        """
        tools = Tools({}, [])
        for index, tool in enumerate(given):
            if not isinstance(tool, dict) or tool.get("type") != "mcp":
                tools.functions.append(tool)
                continue
            server = read_server(tool, f"{at}[{index}]", self._reachable)
            if server.label in tools.servers or len(tools.servers) == MAX_SERVERS:
                param = f"{at}[{index}].server_label"
                sentence = f"Invalid '{param}': one server for each, {MAX_SERVERS} at most."
                raise ClientError("invalid_value", sentence, param)
            known = self.tools.servers.get(server.label)
            if known is None or known.server != server:
                known = Listed(server, self._connect(server))
                self._clients.append(known.client)
            tools.servers[server.label] = known
        return tools

    def offer(self, tools: Tools) -> tuple[list[Json], Offered]:
        """All of them as functions, each server's under names that are free; and these alone."""
        taken = {str(each.get("name")) for each in tools.functions if isinstance(each, dict)}
        functions, offered = list(tools.functions), Offered()
        for listed in tools.servers.values():
            for tool in listed.tools or ():
                name = name_function(listed.server.label, tool["name"], taken)
                taken.add(name)
                offered[name] = (listed, tool)
                about = {"type": "function", "name": name, "parameters": tool["inputSchema"]}
                functions.append({**about, "description": tool["description"]})
        return functions, offered

    def choice(self, choice: Any, at: str, offered: Offered) -> Any:
        """``tool_choice`` in terms of functions. Raises ClientError."""
        if not isinstance(choice, dict) or choice.get("type") != "mcp":
            return choice
        label, wanted = choice.get("server_label"), choice.get("name")
        for name, (listed, tool) in offered.items():
            if listed.server.label == label and wanted in (None, tool["name"]):
                return "required" if wanted is None else {"type": "function", "name": name}
        raise ClientError("invalid_value", f"Invalid '{at}': no server has listed it.", at)

    def view(self, session: Json) -> Json:
        """A session object as its client sees it: servers in place of their functions."""
        if not self.tools.servers:
            return session
        tools = [tool for tool in session["tools"] if tool.get("name") not in self.offered]
        shown = [listed.server.shown() for listed in self.tools.servers.values()]
        choice = session.get("tool_choice")
        if isinstance(choice, dict) and choice.get("name") in self.offered:
            listed, tool = self.offered[choice["name"]]
            label = listed.server.label
            choice = {"type": "mcp", "server_label": label, "name": tool["name"]}
        return {**session, "tools": [*tools, *shown], "tool_choice": choice}
