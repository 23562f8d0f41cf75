"""Folios as the speaker reads them, and foreign words as quoted data. Pure.

Headings and fixed sentences are the specification's own, letter for letter (which are written
without accents); under them stand the brain's words as it wrote them, each on one line. Nothing
is conjugated, no unit is added. What callers, documents and tools say cannot open or close a
heading, a tag or the quotation it stands in.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from brain.analysis import Excerpt
from brain.folio import ContextUpdate, CorrectionNote
from brain.texts import read_table, read_text
from kb.normal.months import MONTHS
from penny.localized import language_of


MAX_QUOTED_CHARS = 4_000
MAX_DEPTH = 12
_SOURCE = {"es": "fuente", "en": "source"}
_PLAIN = {"<": "‹", ">": "›", "[": "(", "]": ")", "{": "{", "}": "}", "‹": "‹", "›": "›"}


def clean_text(text: str, limit: int = MAX_QUOTED_CHARS) -> str:
    """One line of text without signs that open or close something; the words stay as they are.

    Full-width and other look-alikes of brackets count as brackets. Longer than ``limit`` it is
    cut, with ``…`` at its end. Cleaning twice changes nothing more.
    """
    signs = []
    for sign in text[: limit * 2]:
        category = unicodedata.category(sign)
        if category[0] in "CZ":
            signs.append(" ")
            continue
        plain = unicodedata.normalize("NFKC", sign)
        plain = plain if len(plain) == 1 and plain in _PLAIN else sign
        if plain in _PLAIN:
            signs.append(_PLAIN[plain])
        elif category in ("Pi", "Pf"):
            signs.append("'" if sign in "‘’" else '"')
        elif category in ("Ps", "Pe"):
            # Brackets of other scripts and their small or high forms, and low quotes.
            signs.append('"' if sign in "‚„〝〟" else "(" if category == "Ps" else ")")
        else:
            signs.append(sign)
    line = " ".join("".join(signs).split())
    return line if len(line) <= limit and len(text) <= limit * 2 else line[: limit - 1] + "…"


def quote(data: object, source: str, language: str) -> str:
    """``«data» (fuente: source)`` on one line; what is no text is given as JSON."""
    text = clean_text(data) if isinstance(data, str) else dump_quoted(data)[:MAX_QUOTED_CHARS]
    label = _SOURCE[language_of(language)]
    named = clean_text(source, 200).replace("(", "").replace(")", "")
    return f"«{text}» ({label}: {named})"


def quote_json(value: Any, depth: int = 0) -> Any:
    """The same JSON with every text in it cleaned, keys too; nested too deep it is left out."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {clean_text(str(k), 200): quote_json(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [quote_json(each, depth + 1) for each in value]
    return clean_text(str(value))


def dump_quoted(value: object) -> str:
    """A value as one line of JSON, cleaned."""
    return json.dumps(quote_json(value), ensure_ascii=False)


Json = dict[str, Any]

MAX_VALUE_CHARS = 400
_WORDS = read_table("blocks")
RULES = {name: read_text(f"rules_{name}") for name in ("es", "en")}
"""What every speaker is told of Penny's notes, by language."""


def render_update(update: ContextUpdate, turn: int, language: str) -> str:
    """The block of a context update made from ``turn``."""
    words = _words(language)
    lines = [words["update"].format(turn=turn)]
    intent = _sentence(clean_text(update.user_intent))
    data = list(_data_lines(update.relevant_data, language))
    lines.append(f"{intent} {words['data']}" if data else intent)
    lines += data
    if update.suggested_response_elements:
        lines += ["", words["answer"]]
        lines += [f"- {clean_text(each)}" for each in update.suggested_response_elements]
    if update.tone_guidance or update.warnings:
        lines.append("")
    if update.tone_guidance:
        lines.append(f"{words['tone']} {clean_text(update.tone_guidance)}")
    lines += [f"{words['note']} {clean_text(each)}" for each in update.warnings]
    return "\n".join(lines)


def render_passages(asked: str, found: Sequence[Excerpt], turn: int, language: str) -> str:
    """The same block where no brain answers: the caller's words and what the documents say."""
    words = _words(language)
    asks = f"{words['asks']} {quote(asked, words['caller'], language)} {words['data']}"
    return "\n".join((words["update"].format(turn=turn), asks, *_cited(found, language)))


def render_facts(found: Sequence[Excerpt], turn: int, language: str) -> str:
    """The block of passages that the knowledge base found for this turn."""
    words = _words(language)
    return "\n".join((words["facts"].format(turn=turn), words["cited"], *_cited(found, language)))


def render_correction(note: CorrectionNote, language: str) -> str:
    """The block that has the speaker put a mistake right."""
    words = _words(language)
    said = _lower_first(clean_text(note.what_gpt_said).strip(" ."))
    correct = clean_text(note.correct_info).strip(" .")
    told = (words["said"].format(said=said), words["holds"].format(correct=correct))
    return "\n".join((words["correction"], *told, words["order"]))


def render_result(name: str, result: Json, language: str) -> str:
    """The block of an action's late result."""
    words = _words(language)
    named = clean_text(name, 64)
    source = words["action"].format(name=named)
    return f"{words['result']} {named}\n{quote(result, source, language)}"


def _cited(found: Sequence[Excerpt], language: str) -> Iterator[str]:
    for each in found:
        title = f"{clean_text(each.title)}: " if each.title else ""
        yield f"- {title}{quote(each.text, each.source or each.id, language)}"


def _data_lines(data: Json, language: str) -> Iterator[str]:
    for key, value in data.items():
        name = clean_text(str(key), 80).replace("_", " ")
        yield f"- {name[:1].upper()}{name[1:]}: {_value(value, language)}"


def _value(value: object, language: str) -> str:
    if isinstance(value, dict):
        pairs = (f"{clean_text(str(k), 80)} {_value(v, language)}" for k, v in value.items())
        return "; ".join(pairs)[:MAX_VALUE_CHARS]
    if isinstance(value, list | tuple):
        return ", ".join(_value(each, language) for each in value)[:MAX_VALUE_CHARS]
    if isinstance(value, bool):
        return {"es": ("no", "sí"), "en": ("no", "yes")}[language_of(language)][value]
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.2f}"
    text = clean_text(str(value), MAX_VALUE_CHARS)
    try:
        day = date.fromisoformat(text) if len(text) == len("2025-01-15") else None
    except ValueError:
        return text
    if day is None:
        return text
    if language_of(language) == "en":
        return f"{day.day} {day.strftime('%B')} {day.year}"
    return f"{day.day} de {MONTHS['es'][day.month - 1]} de {day.year}"


def _words(language: str) -> dict[str, str]:
    words: dict[str, str] = _WORDS[language_of(language)]
    return words


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _lower_first(text: str) -> str:
    """A sentence inside another begins small, unless its first word is a name or a code."""
    first = text.split(" ", 1)[0]
    return text if not first[1:].islower() and len(first) > 1 else text[:1].lower() + text[1:]
