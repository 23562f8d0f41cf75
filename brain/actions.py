"""Actions: what may be done in the caller's name, when, and how often. Pure.

Running them is ``action_runner.py``'s. Here: which tools the speaker is offered, that each call
id counts once, that the caller said yes where that is asked, and which filler is still unused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from config.brain import Action


Json = dict[str, Any]

SEARCH_TOOL = "search_knowledge"
CONFIRMED = "confirmado"
MAX_ARGUMENT_CHARS = 20_000

_SEARCH = {
    "es": (
        "Busca en la base de conocimiento de la empresa. Úsala antes de afirmar cualquier dato "
        "que no esté en tus notas.",
        "Lo que hay que saber, como una pregunta corta.",
    ),
    "en": (
        "Search the company's knowledge base. Use it before stating any fact that is not in your "
        "notes.",
        "What has to be known, as a short question.",
    ),
}
_CONFIRM = {
    "es": " Antes de usarla di qué vas a hacer y espera el sí de la persona; entonces llama otra "
    "vez con confirmado: true.",
    "en": " Before using it say what you are about to do and wait for the caller's yes; then call "
    "again with confirmado: true.",
}


def offer_tools(actions: Mapping[str, Action], language: str, *, search: bool) -> list[Json]:
    """The function tools of a session, in the Realtime form."""
    spoken = "en" if language.startswith("en") else "es"
    tools = []
    if search:
        description, query = _SEARCH[spoken]
        tools.append(
            {
                "type": "function",
                "name": SEARCH_TOOL,
                "description": description,
                "parameters": {
                    "type": "object",
                    "properties": {"query": {"type": "string", "description": query}},
                    "required": ["query"],
                },
            }
        )
    for name, action in actions.items():
        parameters, description = dict(action.parameters), action.description
        if action.confirm:
            description += _CONFIRM[spoken]
            properties = {**parameters.get("properties", {}), CONFIRMED: {"type": "boolean"}}
            parameters["properties"] = properties
        tools.append(
            {
                "type": "function",
                "name": name,
                "description": description,
                "parameters": parameters,
            }
        )
    return tools


def choose_actions(
    table: Mapping[str, Action], wanted: Sequence[str]
) -> tuple[dict[str, Action], list[str]]:
    """The declared ones among those a session asks for, and the names nobody declared."""
    return (
        {name: table[name] for name in wanted if name in table},
        [name for name in wanted if name not in table],
    )


@dataclass(frozen=True, slots=True)
class ActionCall:
    call_id: str
    name: str
    arguments: Json
    turn: int


Verdict = Literal["run", "repeated", "confirm_first", "unknown", "bad_arguments"]


@dataclass(slots=True)
class ActionDesk:
    """The calls of one session."""

    actions: Mapping[str, Action]
    _seen: set[str] = field(default_factory=set)
    _asked: dict[str, int] = field(default_factory=dict)
    """Name and arguments of what waits for a yes -> the turn in which it was asked."""

    def read(self, call_id: str, name: str, arguments: str, turn: int) -> ActionCall | None:
        """A call from the wire; None when its arguments are no JSON object."""
        if len(arguments) > MAX_ARGUMENT_CHARS:
            return None
        try:
            parsed = json.loads(arguments or "{}")
        except ValueError:
            return None
        return ActionCall(call_id, name, parsed, turn) if isinstance(parsed, dict) else None

    def judge(self, call: ActionCall) -> Verdict:
        """Whether to run it. A call id is judged ``run`` once, however often it comes."""
        if call.call_id in self._seen:
            return "repeated"
        self._seen.add(call.call_id)
        if call.name == SEARCH_TOOL:
            return "run"
        action = self.actions.get(call.name)
        if action is None:
            return "unknown"
        missing = [n for n in action.parameters.get("required", ()) if n not in call.arguments]
        if missing:
            return "bad_arguments"
        return "run" if not action.confirm or self._confirmed(call) else "confirm_first"

    def seen(self, call_id: str) -> bool:
        return call_id in self._seen

    def _confirmed(self, call: ActionCall) -> bool:
        """The speaker's word is not enough: the caller must have spoken since it was asked."""
        key = _key_of(call)
        asked_in = self._asked.get(key)
        if call.arguments.get(CONFIRMED) is True and asked_in is not None and call.turn > asked_in:
            del self._asked[key]
            return True
        self._asked.setdefault(key, call.turn)
        return False


def _key_of(call: ActionCall) -> str:
    plain = {name: value for name, value in call.arguments.items() if name != CONFIRMED}
    return f"{call.name} {json.dumps(plain, sort_keys=True, default=str)}"


class Fillers:
    """Phrases for a silence, none of them twice."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._left = list(phrases)

    def take(self) -> str | None:
        return self._left.pop(0) if self._left else None
