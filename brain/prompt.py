"""What the brain is told, and reading what it answers. Pure.

The prompt is laid out for the cache: the system text and the session never change, finished
turns are only added, and what changes with every analysis stands last. All that callers,
documents and tools say is cleaned JSON between tags of Penny's own.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from pydantic import ValidationError

from brain.analysis import AnalysisRequest, Exchange
from brain.folio import MAX_DATA_KEYS, MAX_NOTES, ContextUpdate, CorrectionNote
from brain.render import dump_quoted
from brain.texts import read_text
from penny.realtime.fields import is_deeper


Json = dict[str, Any]

SYSTEM = read_text("system")


SCHEMA: Json = json.loads(read_text("answer", "json"))
"""Of the answer; every object is closed, as structured output demands, so ``relevant_data`` is a
list of pairs on the wire (``brain/answer.py`` makes it the specification's object again)."""


def build_blocks(request: AnalysisRequest) -> tuple[list[str], str]:
    """The blocks that stay (the session, then one per finished turn) and the changing last one."""
    session = {
        "idioma": request.language,
        "zona_horaria": request.zone,
        "instrucciones_del_portavoz": request.prompt,
        **request.session,
    }
    stable = [_tag("sesion", session), *map(_exchange, request.history)]
    actions = [
        {
            "call_id": each.call_id,
            "turno": each.turn,
            "accion": each.name,
            "argumentos": each.arguments,
            "estado": each.status,
            "resultado": each.result,
        }
        for each in request.actions
    ]
    passages = [
        {"id": p.id, "titulo": p.title, "texto": p.text}
        | ({"campos": p.fields} if p.fields else {})
        for p in request.passages
    ]
    changing: Json = {
        "acciones_hechas": actions,
        "pasajes": passages,
        "folio_vigente": request.in_force,
        "correcciones_pendientes": request.open_corrections,
        "correcciones_dichas": request.made_corrections,
    }
    task: Json = {
        "tarea": request.purpose,
        "turno": request.turn,
        "ahora": request.now,
        "dia": request.weekday,
        "zona": request.zone,
        "persona": request.words + (" …" if request.partial else ""),
    }
    if request.purpose == "review":
        task["portavoz"] = request.reply
    parts = [_tag(name, value) for name, value in changing.items() if value]
    return stable, "\n".join([*parts, _tag("tarea", task)])


def _exchange(exchange: Exchange) -> str:
    said = {"turno": exchange.turn, "persona": exchange.caller, "portavoz": exchange.penny}
    return _tag("turno", said)


def _tag(name: str, value: object) -> str:
    return f"<{name}>\n{dump_quoted(value)}\n</{name}>"


MAX_QUERIES = 3
MAX_CORRECTIONS = 6
MAX_ANSWER_CHARS = 60_000
_MAX_NESTING = 30


def read_json(text: str, most_chars: int) -> Json:
    """A JSON object from outside, neither huge nor nested beyond reason. Raises ValueError."""
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
    list: both are taken. One correction that is malformed costs only itself. Raises ValueError.
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
    texts = {"user_intent": 500, "tone_guidance": 300}
    cut = {name: str(update.get(name) or "")[:most] for name, most in texts.items()}
    return ContextUpdate.model_validate({**update, **shortened, **cut, "relevant_data": data})


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
