"""What the brain is told. Pure.

The prompt is laid out for the cache: the system text and the session never change, finished
turns are only added, and what changes with every analysis stands last. All that callers,
documents and tools say is cleaned JSON between tags of Penny's own (``brain/quoting.py``).
"""

from __future__ import annotations

import json
from typing import Any

from brain.analysis import AnalysisRequest, Exchange
from brain.quoting import dump_quoted
from brain.texts import read_text


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
    changing: list[tuple[str, Json | list[Any] | None]] = [
        (
            "acciones_hechas",
            [
                {
                    "call_id": each.call_id,
                    "turno": each.turn,
                    "accion": each.name,
                    "argumentos": each.arguments,
                    "estado": each.status,
                    "resultado": each.result,
                }
                for each in request.actions
            ],
        ),
        (
            "pasajes",
            [
                {"id": p.id, "titulo": p.title, "texto": p.text}
                | ({"campos": p.fields} if p.fields else {})
                for p in request.passages
            ],
        ),
        ("folio_vigente", request.in_force),
        ("correcciones_pendientes", list(request.open_corrections)),
        ("correcciones_dichas", list(request.made_corrections)),
    ]
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
    parts = [_tag(name, value) for name, value in changing if value]
    return stable, "\n".join([*parts, _tag("tarea", task)])


def _exchange(exchange: Exchange) -> str:
    said = {"turno": exchange.turn, "persona": exchange.caller, "portavoz": exchange.penny}
    return _tag("turno", said)


def _tag(name: str, value: object) -> str:
    return f"<{name}>\n{dump_quoted(value)}\n</{name}>"
