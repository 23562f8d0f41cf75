"""Reads what the model answered. Pure."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import ValidationError

from brain.folio import MAX_DATA_KEYS, MAX_NOTES, ContextUpdate, CorrectionNote
from penny.realtime.fields import is_deeper


Json = dict[str, Any]

MAX_QUERIES = 3
MAX_CORRECTIONS = 6
MAX_ANSWER_CHARS = 60_000
_MAX_NESTING = 30


def read_json(text: str, most_chars: int) -> Json:
    """A JSON object from outside, neither huge nor nested beyond reason.

    Raises:
        ValueError: it is not one, with the reason.
    """
    if len(text) > most_chars:
        raise ValueError(f"more than {most_chars} characters")
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError("not JSON") from error
    if is_deeper(data, _MAX_NESTING):
        raise ValueError(f"nested deeper than {_MAX_NESTING}")
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")  # a value, not a caller's type
    return data


def read_answer(
    text: str,
) -> tuple[ContextUpdate | None, tuple[CorrectionNote, ...], tuple[str, ...]]:
    """The update, the corrections and the queries in a model's answer.

    Servers without structured output put words around the JSON, and one correction in place of a
    list: both are taken. One correction that is malformed costs only itself.

    Raises:
        ValueError: there is no such JSON in it.
    """
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise ValueError("no JSON object")
    data = read_json(text[start : end + 1], MAX_ANSWER_CHARS)
    try:
        update = data.get("context_update")
        queries = data.get("queries") or []
        return (
            _read_update(update) if update else None,
            _read_corrections(data),
            tuple(str(query)[:200] for query in queries[:MAX_QUERIES]),
        )
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an answer: {type(error).__name__}") from error


def _read_update(update: Json) -> ContextUpdate:
    pairs = update.get("relevant_data") or {}
    if isinstance(pairs, list):
        pairs = {str(pair["name"]): pair["value"] for pair in pairs}
    lists = ("suggested_response_elements", "warnings")
    shortened = {name: list(update.get(name) or ())[:MAX_NOTES] for name in lists}
    data = dict(list(pairs.items())[:MAX_DATA_KEYS])
    return ContextUpdate.model_validate(
        {
            **update,
            **shortened,
            "relevant_data": data,
            "user_intent": str(update.get("user_intent") or "")[:500],
            "tone_guidance": str(update.get("tone_guidance") or "")[:300],
        }
    )


def _read_corrections(data: Json) -> tuple[CorrectionNote, ...]:
    listed = data.get("corrections")
    if listed is None:
        listed = [data["correction"]] if data.get("correction") else []
    notes = []
    for each in listed[:MAX_CORRECTIONS]:
        try:
            notes.append(CorrectionNote.model_validate(each))
        except ValidationError:
            continue
    return tuple(notes)
