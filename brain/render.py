"""Folios as the speaker reads them: the specification's blocks in the session's language. Pure.

The fixed words are the specification's own, letter for letter (sections 3.5 and 3.6, which are
written without accents); what comes from a folio is put into sentences by a few rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from brain import spanish
from brain.folio import ContextUpdate, CorrectionNote


Json = dict[str, Any]

NOTE_TITLES = {
    "es": ("[CONTEXTO ACTUALIZADO - Turno {turn}]", "[CORRECCION NECESARIA]"),
    "en": ("[UPDATED CONTEXT - Turn {turn}]", "[CORRECTION NEEDED]"),
}
FACTS_TITLES = {
    "es": "[DATOS COMPROBADOS - Turno {turn}]",
    "en": "[VERIFIED FACTS - Turn {turn}]",
}
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_MONEY = frozenset({"importe", "total", "precio", "saldo", "cuota", "amount", "price", "balance"})
_CURRENCY = frozenset({"moneda", "currency"})
_DUE = frozenset({"vencimiento", "due_date"})
_MAX_VALUE_CHARS = 400


def render_update(update: ContextUpdate, turn: int, language: str) -> str:
    """The block of a context update made from ``turn``."""
    english = _is_english(language)
    lines = [NOTE_TITLES["en" if english else "es"][0].format(turn=turn)]
    lines += _english_body(update) if english else _spanish_body(update)
    return "\n".join(lines)


def render_correction(note: CorrectionNote, language: str) -> str:
    """The block that has the speaker put a mistake right."""
    said, correct = note.what_gpt_said.strip(" ."), note.correct_info.strip(" .")
    if _is_english(language):
        return "\n".join(
            (
                NOTE_TITLES["en"][1],
                f"In your previous answer you said that {_lower_first(said)}.",
                f"What holds: {correct}.",
                "Put this right naturally in your next answer, without apologising too much.",
            )
        )
    return "\n".join(
        (
            NOTE_TITLES["es"][1],
            f"En tu respuesta anterior mencionaste que {_lower_first(said)}.",
            _what_holds(said, correct),
            "Corrige esto de forma natural en tu proxima respuesta, sin disculparte excesivamente.",
        )
    )


def render_facts(passages: Sequence[tuple[str, str]], turn: int, language: str) -> str:
    """The block of passages (heading, text) that the knowledge base found for this turn."""
    title = FACTS_TITLES["en" if _is_english(language) else "es"].format(turn=turn)
    return "\n".join([title, *(f"- {h}: {t}" if h else f"- {t}" for h, t in passages)])


# -- Spanish --------------------------------------------------------------------------------------


def _spanish_body(update: ContextUpdate) -> Iterator[str]:
    subject = _subject(update)
    intent = (
        f"El usuario pregunta por {spanish.indefinite(subject)}."
        if subject
        else _sentence(update.user_intent)
    )
    data = list(_data_lines(update.relevant_data))
    yield f"{intent} Datos relevantes:" if data else intent
    yield from data
    if update.suggested_response_elements:
        yield ""
        yield "En tu respuesta:"
        for element in update.suggested_response_elements:
            yield f"- {_as_command(element, subject)}"
    if update.tone_guidance or update.warnings:
        yield ""
    if update.tone_guidance:
        yield f"Tono: {update.tone_guidance}"
    for warning in update.warnings:
        yield f"Nota: {_as_warning(warning)}"


def _subject(update: ContextUpdate) -> str:
    """``Consulta sobre factura pendiente`` -> ``factura``; "" when the intent says more.

    A word that the data tell anyway (``estado: pendiente``) is left to the data.
    """
    matched = re.fullmatch(r"(?:Consulta|Pregunta) (?:sobre|por|de) (.+)", update.user_intent, re.I)
    if matched is None:
        return ""
    told = {str(value).lower() for value in update.relevant_data.values()}
    words = [word for word in matched[1].strip(" .").split() if word.lower() not in told]
    return " ".join(words)


def _as_command(element: str, subject: str) -> str:
    """``Confirmar importe de la factura`` -> ``Confirma el importe``."""
    verb, _, rest = element.strip(" .").partition(" ")
    order = spanish.command(verb)
    if order is None:
        return element.strip(" .")
    noun = subject.split(" ", 1)[0]
    if noun:
        rest = re.sub(rf" (?:de la|del|de su|de) {re.escape(noun)}$", "", rest)
    return f"{order} {spanish.definite(rest)}".rstrip()


def _as_warning(warning: str) -> str:
    text = warning.strip(" .")
    if text.startswith("Cliente "):
        text = "El c" + text[1:]
    plural = ""
    more = re.search(r"\b\d+ (\w+s) m[aá]s\b", text)
    if more is not None:
        # How many there are is what the speaker is not to give away.
        plural = more[1]
        others = "otras" if spanish.is_feminine(plural) else "otros"
        text = text.replace(more[0], f"{others} {plural}")
    forbidden = re.search(r" - no (\w+[aei]r)\b", text)
    if forbidden is not None:
        them = ("las" if spanish.is_feminine(plural) else "los") if plural else "lo"
        order = f", no {them} {spanish.forbid(forbidden[1])}"
        text = text[: forbidden.start()] + order + text[forbidden.end() :]
    return _sentence(text)


def _what_holds(said: str, correct: str) -> str:
    """Name what was wrong when both sentences differ only in it."""
    before, after = said.split(), correct.split()
    same = 0
    while same < min(len(before), len(after)) and before[same].lower() == after[same].lower():
        same += 1
    rest = " ".join(after[same:])
    if same and re.search(rf"\b\d{{1,2}} de (?:{'|'.join(spanish.MONTHS)})\b", rest):
        return f"La fecha correcta es {rest}."
    if same and re.search(r"\d\s*(?:EUR|€|euros)\b", rest):
        return f"El importe correcto es {rest}."
    return f"Lo correcto es: {correct}."


# -- English --------------------------------------------------------------------------------------


def _english_body(update: ContextUpdate) -> Iterator[str]:
    data = [f"- {_label(k)}: {_value(k, v, 'en')}" for k, v in update.relevant_data.items()]
    intent = _sentence(f"The caller wants: {_lower_first(update.user_intent)}")
    yield f"{intent} Relevant data:" if data else intent
    yield from data
    if update.suggested_response_elements:
        yield ""
        yield "In your answer:"
        yield from (f"- {element.strip(' .')}" for element in update.suggested_response_elements)
    if update.tone_guidance or update.warnings:
        yield ""
    if update.tone_guidance:
        yield f"Tone: {update.tone_guidance}"
    for warning in update.warnings:
        yield f"Note: {_sentence(warning)}"


# -- both -----------------------------------------------------------------------------------------


def _data_lines(data: Json) -> Iterator[str]:
    currency = next((str(data[key]) for key in data if key in _CURRENCY), "EUR")
    shown = [key for key in data if key not in _CURRENCY]
    for position, key in enumerate(shown):
        value = data[key]
        if key.endswith("_id"):
            name = f"- {_label(key.removesuffix('_id'))} {value}"
            follows = shown[position + 1] if position + 1 < len(shown) else ""
            yield f"{name} por {_money(data[follows], currency)}" if follows in _MONEY else name
        elif key in _MONEY and position and shown[position - 1].endswith("_id"):
            continue  # told in the line of what it is the amount of
        elif key in _MONEY:
            yield f"- {_label(key)}: {_money(value, currency)}"
        elif key in _DUE and _ISO_DATE.fullmatch(str(value)):
            yield f"- Vence el {_value(key, value, 'es')}"
        else:
            yield f"- {_label(key)}: {_value(key, value, 'es')}"


def _money(value: object, currency: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    number = str(int(value)) if float(value).is_integer() else f"{value:.2f}"
    return f"{number} {currency}"


def _value(key: str, value: object, language: str) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{_label(k)} {_value(k, v, language)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_value(key, each, language) for each in value)
    text = str(value)
    matched = _ISO_DATE.fullmatch(text)
    if matched is not None:
        year, month, day = map(int, matched.groups())
        if 1 <= month <= 12:
            return spanish.date(year, month, day) if language == "es" else _english_date(text)
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    return text[:_MAX_VALUE_CHARS]


def _english_date(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return f"{day.day} {day.strftime('%B')} {day.year}"


def _label(key: str) -> str:
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _lower_first(text: str) -> str:
    """A sentence inside another begins small, unless its first word is a name or a code."""
    text = text.strip()
    first = text.split(" ", 1)[0]
    return text if not first[1:].islower() and len(first) > 1 else text[:1].lower() + text[1:]


def _is_english(language: str) -> bool:
    return language.lower().startswith("en")
