"""What a tenant's sessions may have: modes, voices, prompts, collections. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.trust import LimitsSection, TenantSection
from penny.errors import ProtocolError
from penny.trust.addresses import check_address, check_image
from penny.trust.identity import Identity
from penny.trust.limits import Limits, Scope


Json = dict[str, Any]


class Policy:
    """One tenant's limits and permissions, over the defaults.

    Args:
        defaults: limits that hold for a tenant unless its own section says otherwise.
    """

    def __init__(self, name: str, section: TenantSection, defaults: LimitsSection) -> None:
        self.name = name
        self.section = section
        self.limits = _over(section.limits, defaults)

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
        _check("mode", mode, self.section.modes, "mode_unknown")

    def check_voice(self, voice: object, field: str) -> None:
        if voice:
            _check(field, voice, self.section.voices)

    def check_collection(self, ref: str | None, field: str = "cerebro.knowledge_base_ref") -> None:
        if ref:
            _check(field, ref, self.section.kb_collections)

    @property
    def default_collection(self) -> str | None:
        return self.section.kb_collections[0] if self.section.kb_collections else None

    def instructions(self, asked: str | None, default: str) -> str:
        """The prompt of a session. Raises ProtocolError when it may bring none of its own."""
        if asked:
            self._check_instructions("portavoz.initial_system_prompt")
        return asked or self.section.instructions or default

    def check_event(self, event: Json) -> None:
        """Refuse a Realtime client event that asks for more than this tenant may have.

        Raises:
            ProtocolError: ``not_allowed``, naming the field.
        """
        if event["type"] == "conversation.item.create":
            _check_images(event.get("item"), "item")
            return
        part = {"session.update": "session", "response.create": "response"}.get(event["type"])
        wishes = event.get(part) if part else None
        if part is not None and isinstance(wishes, dict):
            self.check_session(wishes, part)
            items = wishes.get("input")
            for index, item in enumerate(items if isinstance(items, list) else ()):
                _check_images(item, f"{part}.input[{index}]")

    def check_session(self, wishes: Json, part: str) -> None:
        """As ``check_event``, for the fields of a session or a response."""
        if wishes.get("instructions"):
            self._check_instructions(f"{part}.instructions")
        audio = wishes.get("audio")
        output = audio.get("output") if isinstance(audio, dict) else None
        if isinstance(output, dict):
            self.check_voice(output.get("voice"), f"{part}.audio.output.voice")
        tools = wishes.get("tools")
        for index, tool in enumerate(tools if isinstance(tools, list) else ()):
            if isinstance(tool, dict) and tool.get("server_url") is not None:
                check_address(tool["server_url"], f"{part}.tools[{index}].server_url")

    def _check_instructions(self, field: str) -> None:
        if not self.section.own_instructions:
            raise ProtocolError(
                f"{field}: this tenant's sessions have its own prompt; leave it out",
                code="not_allowed",
                field=field,
            )


class Tenants:
    """The policies of all tenants. A tenant without a section has the defaults."""

    def __init__(self, sections: Mapping[str, TenantSection], defaults: LimitsSection) -> None:
        self._policies = {
            name: Policy(name, section, defaults) for name, section in sections.items()
        }
        self._defaults = defaults

    def policy(self, tenant: str) -> Policy:
        return self._policies.get(tenant) or Policy(tenant, TenantSection(), self._defaults)


def _check_images(item: object, at: str) -> None:
    """Refuse an image by address: the speaker would fetch it. Raises ProtocolError."""
    content = item.get("content") if isinstance(item, dict) else None
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, dict) and part.get("image_url") is not None:
            check_image(part["image_url"], f"{at}.content[{index}].image_url")


def _check(field: str, value: object, allowed: tuple[str, ...], code: str = "not_allowed") -> None:
    if allowed and value not in allowed:
        raise ProtocolError(
            f"{field}: {value!r:.60} is not open to this tenant; available: {', '.join(allowed)}",
            code=code,
            field=field,
        )


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
