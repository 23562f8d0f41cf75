"""An MCP server as a session names it: which of its tools it offers, and which ask first. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from penny.realtime.errors import ClientError
from penny.realtime.fields import check_object, check_string, need


Json = dict[str, Any]

MAX_SERVERS: Final = 16
MAX_TOOLS: Final = 64
"""Of one server; further ones are left out: a model must read them all with every turn."""
MAX_FUNCTION_CHARS: Final = 64
SECRET: Final = ("authorization", "headers")
"""Fields that a session object does not show."""
OURS: Final = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length"),
        *("content-type", "cookie", "expect", "host", "keep-alive", "mcp-protocol-version"),
        *("mcp-session-id", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
"""Headers that frame a request or name whom it is for; a caller gives none of them."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110, 5.6.2)."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class McpServer:
    """What a session said of one server; ``config`` is its ``mcp`` tool, secrets and all."""

    label: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    config: Json = field(repr=False)

    def shown(self) -> Json:
        """The tool as a session object tells it."""
        return {key: value for key, value in self.config.items() if key not in SECRET}

    def offered(self, tools: list[Json]) -> list[Json]:
        """Those of the server's tools that the session wants."""
        allowed = self.config.get("allowed_tools")
        wanted = [tool for tool in tools if allowed is None or _matches(allowed, tool)]
        return wanted[:MAX_TOOLS]

    def asks_first(self, tool: Json) -> bool:
        """Whether the client has to approve each call of this tool; unless said otherwise, it has.

        A filter that names it under ``always`` wins over one under ``never``.
        """
        rule = self.config.get("require_approval")
        if not isinstance(rule, dict):
            return rule != "never"
        if rule.get("always") is not None and _matches(rule["always"], tool):
            return True
        return not (rule.get("never") is not None and _matches(rule["never"], tool))


def read_server(tool: Json, at: str, reachable: tuple[str, ...]) -> McpServer:
    """Check an ``mcp`` tool of a session.

    Args:
        reachable: addresses that ``privacy.mcp_servers`` names.

    Raises:
        ClientError: the field at fault and what to send instead.
    """
    label = check_string(need(tool, "server_label", f"{at}.server_label"), f"{at}.server_label", 64)
    url = tool.get("server_url")
    if url not in reachable:
        raise ClientError(
            "address_not_allowed",
            f"'{at}.server_url': a private session reaches no MCP server but those of "
            "privacy.mcp_servers in penny.yaml; name one of these.",
            f"{at}.server_url",
        )
    headers = dict(check_object(tool.get("headers") or {}, f"{at}.headers"))
    for name, value in headers.items():
        _check_header(name, check_string(value, f"{at}.headers"), f"{at}.headers")
    key = tool.get("authorization")
    if key is not None:
        headers["Authorization"] = f"Bearer {check_string(key, f'{at}.authorization')}"
    _check_filter(tool.get("allowed_tools"), f"{at}.allowed_tools")
    rule = tool.get("require_approval")
    if isinstance(rule, dict):
        for name in ("always", "never"):
            _check_filter(rule.get(name), f"{at}.require_approval.{name}")
    elif rule not in (None, "always", "never"):
        param = f"{at}.require_approval"
        raise ClientError(
            "invalid_value", f"Invalid '{param}': 'always', 'never' or a filter.", param
        )
    return McpServer(label, str(url), headers, tool)


def name_function(label: str, tool: str, taken: Collection[str]) -> str:
    """The name by which the model knows a tool: its own, or with its server's where that is taken
    or no function can have it."""
    fit = ""
    for name in (tool, f"{label}__{tool}"):
        fit = _NOT_IN_A_NAME.sub("_", name)[:MAX_FUNCTION_CHARS]
        if fit not in taken:
            return fit
    numbered = (f"{fit[: MAX_FUNCTION_CHARS - 8]}_{number}" for number in count(2))
    return next(name for name in numbered if name not in taken)


def _check_header(name: str, value: str, at: str) -> None:
    if name.lower() in OURS or not _TOKEN.fullmatch(name):
        sentence = f"'{at}': '{name:.60}' is no header that a session may set; leave it out."
        raise ClientError("invalid_value", sentence, at)
    if any(char in value for char in "\r\n\0"):
        raise ClientError("invalid_value", f"'{at}': one line each.", at)


def _check_filter(value: object, at: str) -> None:
    names = value.get("tool_names") if isinstance(value, dict) else value
    if names is not None and not (
        isinstance(names, list) and all(isinstance(name, str) for name in names)
    ):
        raise ClientError("invalid_value", f"Invalid '{at}': send a list of tools' names.", at)


def _matches(wanted: Json | list[str], tool: Json) -> bool:
    """Whether a filter, by names or by what the server says of itself, takes this tool."""
    if isinstance(wanted, list):
        return tool["name"] in wanted
    names, read_only = wanted.get("tool_names"), wanted.get("read_only")
    hints = tool.get("annotations")
    is_read_only = bool(isinstance(hints, dict) and hints.get("readOnlyHint"))
    is_named = names is None or tool["name"] in names
    return is_named and (read_only is None or read_only == is_read_only)
