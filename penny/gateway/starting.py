"""What a ``session_start`` asks for: the session it describes, and what of it does not hold."""

from __future__ import annotations

from config.schema import Config
from penny.ids import new_id
from penny.protocol.error import SessionWarning
from penny.protocol.message import ServerEvent
from penny.protocol.session import PROTOCOL_VERSION, SessionStart
from penny.session.mode import Mode, SessionSpec
from penny.trust.tenants import Policy


_MAJOR = PROTOCOL_VERSION.split(".")[0]


def specify(start: SessionStart, policy: Policy, config: Config) -> SessionSpec:
    """The session that a tenant may have of what is asked for. Raises Forbidden."""
    portavoz = start.portavoz.model_dump(exclude_none=True) if start.portavoz else {}
    cerebro = start.cerebro.model_dump(exclude_none=True) if start.cerebro else {}
    policy.check_voice(portavoz.get("voice"), "portavoz.voice")
    policy.check_collection(cerebro.get("knowledge_base_ref"))
    cerebro.setdefault("knowledge_base_ref", policy.collection(config.kb.default_ref))
    context = start.context.model_dump(exclude_none=True)
    policy.check_actions(context.get("available_actions", ()))
    if not context.get("available_actions"):
        context["available_actions"] = policy.actions(config.actions.offered)
    if start.greeting is not None:
        policy.check_instructions("greeting")
    asked = portavoz.get("initial_system_prompt")
    return SessionSpec(
        session_id=new_id("sess"),
        language=start.wanted_language or config.session.language,
        fixed_language=start.wanted_language or "",
        instructions=policy.instructions(asked, config.session.instructions),
        voice=portavoz.get("voice", ""),
        portavoz=portavoz,
        cerebro=cerebro,
        context=context,
        tenant=policy.name,
    )


def find_warnings(start: SessionStart, mode: Mode, config: Config) -> list[ServerEvent]:
    """What was put right or left out of the caller's wishes."""
    told = [("field_ignored", f"{name}: is not known", name) for name in start.ignored]
    if start.protocol_version and start.protocol_version.split(".")[0] != _MAJOR:
        message = f"protocol_version: this is {PROTOCOL_VERSION}"
        told.append(("version_mismatch", message, "protocol_version"))
    for section, wishes in (("portavoz", start.portavoz), ("cerebro", start.cerebro)):
        model = wishes.model if wishes else None
        current = config.models.current(model) if model else None
        if model and current != model and mode.name == "EXTERNAL":
            message = f"{section}.model: '{model}' is retired; using '{current}'"
            told.append(("model_replaced", message, f"{section}.model"))
        elif mode.name != "EXTERNAL" and section == "cerebro" and _asks_for_brain(start):
            told.append(("field_unused", f"cerebro: has no meaning in {mode.name}", section))
    return [
        SessionWarning(code=code, message=message, field=field) for code, message, field in told
    ]


def _asks_for_brain(start: SessionStart) -> bool:
    """Whether it wishes more of the brain than the collection, which private sessions read too."""
    wishes = start.cerebro
    return wishes is not None and bool(wishes.model_fields_set - {"knowledge_base_ref"})
