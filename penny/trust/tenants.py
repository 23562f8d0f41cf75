"""What a tenant's sessions may have: modes, voices, prompts, collections, actions, servers. Pure.

An empty list allows all that no other tenant has named as its own: what one tenant names is closed
to those who do not name it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.trust import LimitsSection, TenantSection
from penny.errors import ConfigError, ProtocolError
from penny.trust.addresses import check_address, check_image
from penny.trust.identity import Identity
from penny.trust.limits import Limits, Scope
from penny.trust.rights import RIGHTS


Json = dict[str, Any]

INSTRUCTING_FIELDS = frozenset({"instructions", "prompt"})
"""Of a session or a response: its prompt, and the name of a stored one."""
INSTRUCTING_ROLES = ("system", "developer")
OWNED = ("kb_collections", "actions", "mcp_servers")
"""Fields of a tenant's section that name what is its own."""


class Policy:
    """One tenant's limits and permissions, over the defaults.

    Args:
        defaults: limits that hold for a tenant unless its own section says otherwise.
        others: what the other tenants have named as theirs, by the field of their section.
        servers: MCP servers that the operator has named; any other must be on the open internet.
    """

    def __init__(
        self,
        name: str,
        section: TenantSection,
        defaults: LimitsSection,
        others: Mapping[str, frozenset[str]] | None = None,
        servers: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.section = section
        self.limits = _over(section.limits, defaults)
        self._others = others or {}
        self._servers = servers

    def scopes(self, identity: Identity) -> tuple[Scope, ...]:
        """What a session of this caller counts for: the tenant, and the key where there is one."""
        scopes = [Scope(f"t:{self.name}", _counted(self.limits))]
        if identity.key_id:
            scopes.append(Scope(f"k:{identity.key_id}", _counted(self.section.key_limits)))
        return tuple(scopes)

    def own_limit(self, name: str) -> float | None:
        """The narrower of the tenant's and its keys' limit for one session; None is none."""
        values = (getattr(self.limits, name), getattr(self.section.key_limits, name))
        return min((value for value in values if value is not None), default=None)

    def check_mode(self, mode: str) -> None:
        self._check("mode", mode, "modes", "mode_unknown")

    def check_voice(self, voice: object, field: str) -> None:
        if voice:
            self._check(field, voice, "voices")

    def check_collection(self, ref: str | None, field: str = "cerebro.knowledge_base_ref") -> None:
        if ref:
            self._check(field, ref, "kb_collections")

    def check_actions(self, names: Sequence[str]) -> None:
        for index, name in enumerate(names):
            self._check(f"context.available_actions[{index}]", name, "actions")

    def actions(self, default: Sequence[str]) -> list[str]:
        """The actions of a session that names none: those of ``default`` that it may name."""
        section = self.section.actions
        others = self._others.get("actions", frozenset())
        return [n for n in default if (n in section if section else n not in others)]

    def collection(self, default: str) -> str:
        """The collection of a session that names none.

        Args:
            default: the house's own. Raises ProtocolError when that is another tenant's.
        """
        if self.section.kb_collections:
            return self.section.kb_collections[0]
        self.check_collection(default)
        return default

    def instructions(self, asked: str | None, default: str) -> str:
        """The prompt of a session. Raises ProtocolError when it may bring none of its own."""
        if asked is not None:
            self.check_instructions("portavoz.initial_system_prompt")
        return asked or self.section.instructions or default

    def check_event(self, event: Json) -> None:
        """Refuse a Realtime client event that asks for more than this tenant may have.

        Raises:
            ProtocolError: ``not_allowed``, naming the field.
        """
        if event["type"] == "conversation.item.create":
            self._check_item(event.get("item"), "item")
            return
        part = {"session.update": "session", "response.create": "response"}.get(event["type"])
        wishes = event.get(part) if part else None
        if part is not None and isinstance(wishes, dict):
            self.check_session(wishes, part)
            items = wishes.get("input")
            for index, item in enumerate(items if isinstance(items, list) else ()):
                self._check_item(item, f"{part}.input[{index}]")

    def check_session(self, wishes: Json, part: str) -> None:
        """As ``check_event``, for the fields of a session or a response."""
        for name in INSTRUCTING_FIELDS & wishes.keys():  # even '' or null would undo the tenant's
            self.check_instructions(f"{part}.{name}")
        audio = wishes.get("audio")
        output = audio.get("output") if isinstance(audio, dict) else None
        if isinstance(output, dict):
            self.check_voice(output.get("voice"), f"{part}.audio.output.voice")
        tools = wishes.get("tools")
        for index, tool in enumerate(tools if isinstance(tools, list) else ()):
            url = tool.get("server_url") if isinstance(tool, dict) else None
            field = f"{part}.tools[{index}].server_url"
            if url in self._servers:
                self._check(field, url, "mcp_servers")
            elif url is not None:
                check_address(url, field)

    def check_instructions(self, field: str) -> None:
        """Raises ProtocolError where sessions have the tenant's own prompt, and no other."""
        if not self.section.own_instructions:
            raise ProtocolError(
                f"{field}: this tenant's sessions have its own prompt; leave it out",
                code="not_allowed",
                field=field,
            )

    def _check_item(self, item: object, at: str) -> None:
        """Refuse an item that instructs, and an image by address, which the speaker would fetch."""
        if not isinstance(item, dict):
            return
        if item.get("role") in INSTRUCTING_ROLES:
            self.check_instructions(f"{at}.role")
        content = item.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict) and part.get("image_url") is not None:
                check_image(part["image_url"], f"{at}.content[{index}].image_url")

    def _check(self, field: str, value: object, of: str, code: str = "not_allowed") -> None:
        own: tuple[str, ...] = getattr(self.section, of)
        if value in own or not (own or value in self._others.get(of, ())):
            return
        known = f"available: {', '.join(own)}" if own else f"name it in tenants.{self.name}.{of}"
        raise ProtocolError(
            f"{field}: {value!r:.60} is not open to this tenant; {known}", code=code, field=field
        )


class Tenants:
    """The policies of all tenants. A tenant without a section has the defaults.

    Raises ConfigError for a right that does not exist, or a server that is not named for the house.
    """

    def __init__(
        self,
        sections: Mapping[str, TenantSection],
        defaults: LimitsSection,
        servers: tuple[str, ...] = (),
    ) -> None:
        for name, section in sections.items():
            unknown = [right for right in section.rights if right not in RIGHTS]
            if unknown:
                raise ConfigError(
                    f"tenants.{name}.rights: '{unknown[0]}' is no right; there are "
                    f"{', '.join(RIGHTS)}",
                    key=f"tenants.{name}.rights",
                )
            for server in section.mcp_servers:
                if server not in servers:
                    key = f"tenants.{name}.mcp_servers"
                    remedy = "name it in privacy.mcp_servers too"
                    raise ConfigError(f"{key}: '{server}' is reached by none; {remedy}", key=key)
        self._defaults = defaults
        self._servers = servers
        self._named = {
            field: frozenset(one for each in sections.values() for one in getattr(each, field))
            for field in OWNED
        }
        self._policies = {
            name: Policy(name, section, defaults, self._named, servers)
            for name, section in sections.items()
        }

    def policy(self, tenant: str) -> Policy:
        known = self._policies.get(tenant)
        return known or Policy(tenant, TenantSection(), self._defaults, self._named, self._servers)


def _over(own: LimitsSection, defaults: LimitsSection) -> LimitsSection:
    said = {name: value for name, value in own.model_dump().items() if value is not None}
    return defaults.model_copy(update=said)


def _counted(limits: LimitsSection) -> Limits:
    return Limits(
        max_sessions=limits.max_sessions,
        sessions_per_minute=limits.sessions_per_minute,
        minutes_per_day=limits.minutes_per_day,
        usd_per_day=limits.usd_per_day,
    )
