"""Which of the offered tools a caller's words ask for, and with what arguments. Pure.

The reader has no language model: it goes by words in common, and fills arguments with the codes,
numbers, days and choices that were said. A tool that tells how callers ask for it («…» in its
description) is chosen by these alone, and by no question that they are not. Of these, «y cuándo
vence» asks for more of what another tool just told, and for nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Any

from runpod_worker.engines.spoken_date import read_date


Json = dict[str, Any]

_CODE = re.compile(r"\b[A-Za-z]{1,4}-\d+(?:-\d+)*\b")
_NUMBER = re.compile(
    r"(?<![\w.,])[-−]?(?:\d{1,3}(?:[. ]\d{3})+|\d{1,3}(?:,\d{3})+|\d+)(?:[.,]\d+)?\b"
)
_THOUSANDS = re.compile(r"[. ,](?=\d{3}(?!\d))")
# Words that tools and sentences share without meaning the same.
_SHARED = """
que para por con una los las del the and for with get set from this that uno como esta user usuario
call function herramienta tool todos todas what you your can"""
_EMPTY = frozenset(_SHARED.split())
_NUMBERED = re.compile(r"\S*\d\S*")
_JOINED = re.compile(r"(?<=\d)[ .-](?=\d)")
_WHEN = re.compile(
    r"\b(?:hoy|pasado mañana|mañana|el (?:lunes|martes|miércoles|jueves|viernes|sábado|domingo)"
    r"|a las? |today|tomorrow|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|at ).*",
    re.IGNORECASE,
)
_STEM = 5
_PHRASE = re.compile(r"«([^»]+)»")
_FOLLOWS = re.compile(r"(?:y|and)\s", re.IGNORECASE)
"""Of a phrase that has no subject of its own."""
_QUESTION = re.compile(
    r"\b(?:cómo|como|cuándo|dónde|cuál(?:es)?|qué|cuánt[oa]s?|quién|por qué|puedo|puede|podría"
    r"|se puede|si|how|when|where|what|which|why|who|can|could|if)\b"
)
"""What makes of "pagar mi factura" a question about it."""
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[.,;:!?¿¡]")
_DENIES = re.compile(
    r"(?:no|ni|nunca|jamas|tampoco|sin|not|nor|never|neither|without|cannot|dont|\w+n['’]t)"
)
_ANEW = re.compile(r"[.,;:!?¿¡]|pero|sino|but|favor|please")
"""What is said after these is not denied by what was denied before."""
_WISHES = re.compile(
    r"quiero|quisiera|querria|necesito|want|need|(?:pas[ae]|pong[ae]|llam[ae]|comuniqu?[ae]"
    r"|transfier[ae])(?:n?me)|ponme|pasenme"
)
"""As ``_ANEW``, where other words stand between: "no funciona nada quiero…"."""
_LIGHT = frozenset(
    ("me", "te", "se", "lo", "la", "le", "nos", "ya", "yet", "really", "even", "realmente")
)
OTHER_WORDS = 4
"""A wish has so many words at most beside a phrase, its arguments apart: more is another matter."""
# A name is short and chosen: two of its words, or all of it, plainly mean the tool.
_PLAIN = 2


def choose_tool(tools: tuple[Json, ...], choice: str | Json, words: str) -> Json | None:
    """The tool to call now, or None to answer in words."""
    functions = [tool for tool in tools if tool.get("type") == "function" and tool.get("name")]
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict):
        return next((tool for tool in functions if tool["name"] == choice.get("name")), None)
    scored = [(_score(tool, words), -i, tool) for i, tool in enumerate(functions)]
    score, _, best = max(scored, key=lambda one: one[:2])
    return best if choice == "required" or score >= _PLAIN else None


def choose_follow_up(tools: tuple[Json, ...], words: str) -> Json | None:
    """The tool that words without a subject ask for ("¿Y cuándo vence?"), where something was told;
    they are its phrase and have no word besides."""
    said = _stems(words)
    for tool in tools:
        for phrase in _PHRASE.findall(str(tool.get("description") or "")):
            if said and _FOLLOWS.match(phrase) and _stems(phrase) == said:
                return tool
    return None


def fill_said(tool: Json, words: str, today: date) -> Json:
    """Arguments that were plainly said: what fits a ``pattern``, a day, and a reason."""
    properties: Json = (tool.get("parameters") or {}).get("properties") or {}
    found = {name: _find(name, schema, words, today) for name, schema in properties.items()}
    return {name: value for name, value in found.items() if value}


def _find(name: str, schema: Json, words: str, today: date) -> str:
    if pattern := schema.get("pattern"):
        joined = _JOINED.sub("", words) if "0-9]{9" in pattern else words
        found = re.search(pattern.removeprefix("^").removesuffix("$"), joined, re.IGNORECASE)
        return found[0] if found else ""
    if schema.get("format") == "date":
        day = read_date(words, today)
        return day.isoformat() if day is not None else ""
    if name in ("motivo", "reason"):
        return words.strip()
    if name in ("cuando", "when"):
        found = _WHEN.search(words)
        return found[0].strip(" .") if found else ""
    return ""


def fill_arguments(tool: Json, words: str) -> Json:
    """Arguments that satisfy the required properties of the tool's schema."""
    schema = tool.get("parameters") or {}
    properties: Json = schema.get("properties") or {}
    numbers = [match[0] for match in _NUMBER.finditer(_CODE.sub(" ", words))]
    codes = _CODE.findall(words)
    return {
        name: _fill(properties.get(name) or {}, name, words, numbers, codes)
        for name in schema.get("required") or ()
    }


def _fill(schema: Json, name: str, words: str, numbers: list[str], codes: list[str]) -> Any:
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        said = _fold(words)
        return next((o for o in schema["enum"] if _fold(str(o)) in said), schema["enum"][0])
    kind = schema.get("type", "string")
    kind = next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind
    match kind:
        case "integer":
            return int(read_amount(numbers.pop(0)) if numbers else schema.get("minimum", 0))
        case "number":
            return read_amount(numbers.pop(0)) if numbers else float(schema.get("minimum", 0))
        case "boolean":
            return True
        case "array":
            items = schema.get("items") or {}
            return [_fill(items, name, words, numbers, codes)] if schema.get("minItems") else []
        case "object":
            inner = {"parameters": schema}
            return fill_arguments(inner, words)
        case "null":
            return None
        case _:
            return _fill_text(name, words, numbers, codes)


def read_amount(written: str) -> float:
    """A number as Spanish or English writes it: a mark before three digits parts thousands.

    "1.500", "1,500" and "1 500" are 1500, "1.500,75" and "1,500.75" are 1500.75.
    """
    last = max(written.rfind("."), written.rfind(","))
    fraction = ""
    if last >= 0 and not re.fullmatch(r"\d{3}", written[last + 1 :]):
        written, fraction = written[:last], written[last + 1 :]
    whole = _THOUSANDS.sub("", written).replace("−", "-")
    return float(f"{whole}.{fraction or 0}")


def _fill_text(name: str, words: str, numbers: list[str], codes: list[str]) -> str:
    if codes:
        return codes.pop(0).upper()
    if numbers and re.search(r"num|id|code|codigo|factura|invoice|phone|telefono", _fold(name)):
        return numbers.pop(0)
    place = re.search(
        r"\b(?:in|en|at|for|para)\s+(?:la |el |the )?([^\W\d_][\w ]*?)[?.!,]*$", words
    )
    if place and re.search(r"city|ciudad|location|lugar|place|where|town", _fold(name)):
        return place[1].strip()
    return words.strip()


def _score(tool: Json, words: str) -> int:
    """How plainly the words ask for it."""
    phrases = _PHRASE.findall(str(tool.get("description") or ""))
    if not phrases:
        return _likeness(tool, words)
    said, asks = _stems(_NUMBERED.sub(" ", words)), set(_QUESTION.findall(words.lower()))
    # A phrase that denies by itself ("no funciona") is of words that do.
    among = {False: _stems(_wished(words)), True: said if _denies(words) else set[str]()}
    fitting = [
        len(stems)
        for phrase in phrases
        if not _FOLLOWS.match(phrase)
        and (stems := _stems(phrase)) <= among[_denies(phrase)]
        and asks <= set(_QUESTION.findall(phrase.lower()))
        and len(said - stems) <= OTHER_WORDS
    ]
    return _PLAIN + max(fitting, default=-_PLAIN)


def _wished(words: str) -> str:
    """The words without what is denied: from a "no" to the end of its clause, or a new wish."""
    kept, is_denied, between = list[str](), False, 0
    for token in _TOKEN.findall(_fold(words)):
        if _DENIES.fullmatch(token):
            is_denied, between = True, 0
        elif _ANEW.fullmatch(token) or (between and _WISHES.fullmatch(token)):
            is_denied = False
        if is_denied:
            between += not (_DENIES.fullmatch(token) or token in _LIGHT)
        else:
            kept.append(token)
    return " ".join(kept)


def _denies(text: str) -> bool:
    return any(_DENIES.fullmatch(token) for token in _TOKEN.findall(_fold(text)))


def _likeness(tool: Json, words: str) -> int:
    """Words in common: those of the name count double."""
    said = _stems(_wished(words))
    named = _stems(re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-.]", " ", tool["name"]))
    described = _stems(str(tool.get("description") or ""))
    return 2 * len(said & named) + len(said & (described - named))


def _stems(text: str) -> set[str]:
    words = re.findall(r"[^\W_]+", _fold(text))
    return {word[:_STEM] for word in words if len(word) > 2 and word not in _EMPTY}


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.lower())
    return "".join(char for char in plain if not unicodedata.combining(char))
