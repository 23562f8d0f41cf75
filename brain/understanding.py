"""A call that is over, given to a language model: the prompt, the schema, and how it is read.

What comes back is not trusted: ``penny.analysis`` keeps what the turns that it names hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import orjson
from jsonschema import Draft202012Validator

from brain.texts import read_text
from penny.analysis.dialogue import Said
from penny.analysis.results import Outcome


Json = dict[str, Any]

MAX_TOKENS = 900
DEADLINE_MS = 60_000
"""No caller waits for it."""
MOST_CHARS = 24_000
"""Of what was said: the end of a longer call, where what was reached stands."""


def _object(**properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_TURNS: Json = {"type": "array", "items": {"type": "integer"}}
_TEXT: Json = {"type": "string"}
SCHEMA = _object(
    summary={"type": "array", "items": _object(text=_TEXT, turns=_TURNS)},
    topics={"type": "array", "items": _object(topic=_TEXT, quote=_TEXT, turns=_TURNS)},
    outcome=_object(
        name={"type": "string", "enum": list(get_args(Outcome))}, quote=_TEXT, turns=_TURNS
    ),
)
SYSTEM = read_text("understanding")
_CHECK = Draft202012Validator(SCHEMA)


def write_call(said: Sequence[Said]) -> str:
    """The conversation, a line for each side of a turn."""
    lines = [f"[{each.turn}] {each.side}: {each.text}" for each in said]
    return "\n".join(lines)[-MOST_CHARS:]


def read_told(text: str) -> Json:
    """The answer of a model. Raises ValueError where it is not what was asked for."""
    body = text[text.find("{") : text.rfind("}") + 1]  # a local model likes a fence around it
    told = orjson.loads(body)
    if (fault := next(_CHECK.iter_errors(told), None)) is not None:
        raise ValueError("/".join(map(str, fault.absolute_path)) or "the answer is no such object")
    return dict(told)
