"""What a caller wants done over several turns, and what is said of its result. Pure.

A wish begins with words that ask for a tool; what Penny asks back is answered in later turns: a
missing detail, or a yes. What was said before is the memory: the same words make the same wish.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from kb.passage import Language
from runpod_worker.engines.tool_choice import (
    choose_follow_up,
    choose_tool,
    fill_arguments,
    fill_said,
)


Json = dict[str, Any]

CONFIRMED = "confirmado"
"""Property of tools that a caller has to say yes to (``brain.actions``)."""
REMEMBERED = 4
"""What was said so many turns ago is no longer answered."""
_TEXTS: dict[Language, dict[str, str]] = {
    "es": {
        "handoff": "Le paso con una persona. Gracias por llamar.",
        "ask": "¿Quiere que lo haga?",
        "done": "Hecho.",
        "failed": "No he podido hacerlo.",
    },
    "en": {
        "handoff": "I am putting you through to a person. Thank you for calling.",
        "ask": "Shall I do it?",
        "done": "Done.",
        "failed": "I could not do it.",
    },
}


def find_wish(
    tools: tuple[Json, ...],
    choice: str | Json,
    said: Sequence[str],
    answered: str,
    today: date,
    *,
    is_yes: bool,
) -> tuple[Json, Json] | None:
    """The tool to call now with its arguments; None to answer in words.

    Args:
        said: what the caller said, turn by turn, newest last.
        answered: what Penny said last.
        is_yes: whether the newest words agree.
    """
    words = said[-1] if said else ""
    tool = choose_tool(tools, choice, words)
    if tool is not None:
        return tool, {**fill_arguments(tool, words), **fill_said(tool, words, today)}
    if choice != "auto":
        return None
    # What was asked last may have been cut before its question mark, or not been heard at all.
    is_asking = bool({"?", "¿"} & set(answered))
    for back in range(2, min(len(said), REMEMBERED if is_asking else 2) + 1):
        tool = choose_tool(tools, "auto", said[-back])
        if tool is None:
            continue
        known: Json = fill_arguments(tool, said[-back])
        for each in said[-back:-1]:
            known |= fill_said(tool, each, today)
        more = {} if is_yes else fill_said(tool, words, today)
        if is_yes and CONFIRMED in _properties(tool):
            return tool, {**known, CONFIRMED: True}
        return (tool, {**known, **more}) if more else None
    return None


def find_follow_up(
    tools: tuple[Json, ...], choice: str | Json, said: Sequence[str], answered: str, today: date
) -> tuple[Json, Json] | None:
    """The tool that tells more of what was told last, with what Penny named then; None where
    nothing of it was told. Arguments as of ``find_wish``."""
    tool = choose_follow_up(tools, said[-1]) if choice == "auto" and said else None
    if tool is None:
        return None
    named = fill_said(tool, answered, today)
    before = said[-REMEMBERED:-1]
    if not named and all(choose_tool(tools, "auto", each) is None for each in before):
        return None
    return tool, named


def say_result(output: str, language: Language) -> str | None:
    """What is said of a house's action; None where the output is of something else."""
    try:
        told = json.loads(output)
    except ValueError:
        return None
    if not isinstance(told, dict) or "status" not in told or "passages" in told:
        return None
    texts, result = _TEXTS[language], told.get("result")
    if told.get("handoff"):
        return texts["handoff"]
    if told["status"] == "confirmation_required":
        return str(told.get("question") or texts["ask"])
    if told["status"] != "ok":
        return str(told.get("message") or texts["failed"])
    message = result.get("message") if isinstance(result, dict) else result
    return str(message or texts["done"])


def _properties(tool: Json) -> Json:
    found: Json = (tool.get("parameters") or {}).get("properties") or {}
    return found
