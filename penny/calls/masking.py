"""Numbers that must not be kept, written or spoken, taken out of a call. Pure.

A card's number is thirteen digits or more in a row, over words, pauses and turns, whether or not
its check digit holds. From one turn to the next a row goes on only where nothing but
``BESIDE_DIGITS`` is said between: in many turns of a call there are small numbers that are none of
a card. A security code is any number that is asked for or said by its name. While a recording is
paused every number goes. The sound of what is masked is silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from penny.calls.numbers import Word, read_words
from penny.calls.record import KEY, TimedWord, Turn


MASK = "•"
CALLERS, PENNY = ("Cliente: ", "Caller: "), "Penny: "
"""Before what each side said, in a summary for a person who takes over."""
CARD_DIGITS = 13
"""Fewest of a card (ISO/IEC 7812); a telephone number with its country's code has twelve."""
GAP_WORDS = 3
"""Between two numbers of one run in one turn; more where all of them but one are filler: "espere
que lo lea bien"."""
_COUNTED = (
    "euro euros centimo centimos peso pesos sol soles dolar dolares ano anos mes meses dia dias"
    " hora horas ciento enero febrero marzo abril mayo junio julio agosto septiembre octubre"
    " noviembre diciembre dollar dollars pound pounds cent cents percent year years month months"
    " day days hour hours january february april june july august september october november"
    " december"
)
COUNTED = frozenset(_COUNTED.split())
"""What makes the number before it a quantity or a date: a card ends before."""
_BESIDE = (
    "a ah ahora al apunta apunte aqui bien bueno cifra cifras claro como con continuo correcto"
    " de del despues digito digitos digo e eh el ella em en entonces es eso espera espere esta"
    " este exacto favor fin final finalmente gracias hasta la las le les listo lo los luego mas"
    " mastercard me mi momento no numero numeros ok okay perdon por pues que se seguido si sigo"
    " sigue siguientes son tarjeta termina tiene ultimas ultimos va vale van ver visa y ya"
    " after again and are card correct digits ends er go hold in is it last my next now number"
    " of on please right s so sorry sure thanks that the then uh um wait well with yeah yes"
)
BESIDE_DIGITS = frozenset(_BESIDE.split())
"""Filler, confirmation and what introduces a card, Spanish and English, without accents."""
REPEATED_DIGITS = 4
"""Of a masked number, where the other side says them again."""
_WRITTEN = re.compile(r"(?<![\w.])\d(?:[ .-]?\d){12,18}(?![\w.])")
_SECRET = re.compile(
    r"\b(cvv2?|cvc2?|pin|ccv|ce ?u?v[eé]? ?u?v[eé]|clave|contrase[nñ]a"
    r"|c[oó]digo (de )?(seguridad|verificaci[oó]n)|(security|verification) code|pass(word|code)"
    r"|(c[oó]digo|n[uú]meros?|d[ií]gitos?|cifras?)\b[^.?!]{0,40}"
    r"\b(atr[aá]s|detr[aá]s|reverso|dorso|trasera|posterior)"
    r"|(code|numbers?|digits?) (on|at) the back)\b",
    re.IGNORECASE,
)


def mask_text(text: str) -> str:
    """``text`` with every digit and every word that stands for a number masked."""
    return _cover(text, [word for word in read_words(text) if word.is_number])


def mask_json(value: Any) -> Any:
    """``mask_text`` for every text inside; numbers go too."""
    match value:
        case str():
            return mask_text(value)
        case bool() | None:
            return value
        case int() | float():
            return MASK
        case dict():
            return {key: mask_json(inner) for key, inner in value.items()}
        case list():
            return [mask_json(inner) for inner in value]
        case _:
            return value


def mask_digits(turn: Turn) -> Turn:
    """The turn without the numbers of either side, in words, answers and actions."""
    items = []
    for item in turn.items:
        text, heard = mask_text(item.text), mask_text(item.heard_text)
        told = {"text": text, "heard_text": heard, "is_masked": text != item.text}
        items.append(item.model_copy(update=told))
    said = {
        "is_masked": True,
        "words": None if turn.words is None else mask_text(turn.words),
        "timed_words": _mask_words(turn.timed_words),
        "text": mask_text(turn.text),
        "heard_text": mask_text(turn.heard_text),
        "items": items,
        "marks": [{**mark, "fields": mask_json(mark["fields"])} for mark in turn.marks],
    }
    return turn.model_copy(update=said)


def without_words(turn: Turn) -> Turn:
    """The turn with its times alone: nothing that either side said."""
    items = [item.model_copy(update={"text": "", "heard_text": ""}) for item in turn.items]
    marks = [{**mark, "fields": {}} for mark in turn.marks]
    said = {
        "words": None, "timed_words": [], "text": "", "heard_text": "", "items": items,
        "marks": marks,
    }  # fmt: skip
    return turn.model_copy(update=said)


def mask_secrets(turns: list[Turn]) -> list[Turn]:
    """The turns without cards' numbers and security codes.

    A turn that has part of one loses all its numbers, of both sides: what is said again too.
    """
    said = [f"{turn.words or ''} {_keys(turn)}".strip() for turn in turns]
    heard = [turn.text for turn in turns]
    hit = {position for run in _runs(said) for position in run}
    hit |= {position for run in _runs(heard) for position in run}
    for position, words in enumerate(said):
        asked = heard[position - 1] if position else ""
        if _has_number(words) and (_SECRET.search(words) or _SECRET.search(asked)):
            hit.add(position)
    # A confirmation of the last ones comes with the turn itself or the next.
    again = {position + 1 for position in hit if position + 1 < len(turns)}
    hit |= {position for position in again if _digits(heard[position]) >= REPEATED_DIGITS}
    return [
        mask_digits(turn) if at in hit else _without_written_cards(turn)
        for at, turn in enumerate(turns)
    ]


def mask_dialogue(text: str) -> str:
    """``text`` without what ``mask_secrets`` takes out of turns, read as a conversation.

    Args:
        text: a line for what each side said, with ``CALLERS`` or ``PENNY`` before it; other lines
            are read as the caller's.
    """
    turns: list[Turn] = []
    lines: list[tuple[str, int, bool]] = []  # its name, the turn, and whether it is the answer
    for line in text.split("\n"):
        name = next((each for each in (*CALLERS, PENNY) if line.startswith(each)), "")
        is_answer, said = name == PENNY, line.removeprefix(name)
        if not turns or not is_answer or turns[-1].text:
            turns.append(Turn(number=len(turns), from_ms=0, until_ms=0, finished_ms=0))
        if is_answer:
            turns[-1].text = said
        else:
            turns[-1].words = said
        lines.append((name, len(turns) - 1, is_answer))
    masked = mask_secrets(turns)
    told = [masked[at].text if own else masked[at].words or "" for _, at, own in lines]
    return "\n".join(f"{name}{said}" for (name, _, _), said in zip(lines, told, strict=True))


def _without_written_cards(turn: Turn) -> Turn:
    """An action or a hand-off may come turns after the card that it tells of was said."""
    marks = [{**mark, "fields": _mask_written(mark["fields"])} for mark in turn.marks]
    return turn if marks == turn.marks else turn.model_copy(update={"marks": marks})


def _mask_written(value: Any) -> Any:
    match value:
        case str():
            if "\n" in value:
                return mask_dialogue(value)
            is_spoken = " " in value and any(_runs([value]))  # a sentence, no identifier
            return mask_text(value) if is_spoken else _WRITTEN.sub(MASK, value)
        case bool() | None | float():
            return value
        case int():
            return MASK if _WRITTEN.fullmatch(str(value)) else value
        case dict():
            return {key: _mask_written(inner) for key, inner in value.items()}
        case list():
            return [_mask_written(inner) for inner in value]
        case _:
            return value


def silenced(turns: Iterable[Turn]) -> dict[str, list[tuple[float, float]]]:
    """By side, from when to when (ms) the sound of what is masked lies on the call's line; under
    ``stream`` on that of the caller's audio, which a network may bring late and all at once."""
    spans: dict[str, list[tuple[float, float]]] = {"caller": [], "penny": [], "stream": []}
    for turn in turns:
        if turn.is_masked:
            spans["caller"].append((turn.from_ms, turn.until_ms))
            spans["stream"] += [turn.stream_ms] if turn.stream_ms else []
        spans["penny"] += [
            (item.starts_ms, item.starts_ms + item.heard_ms)
            for item in turn.items
            if item.is_masked and item.starts_ms is not None
        ]
    return spans


def _runs(texts: Iterable[str]) -> Iterator[set[int]]:
    """For each number of a card's length, the positions of the texts that it is said in."""
    run: set[int] = set()
    digits = last = gap = others = 0  # ``others``: words since the last number that are no filler
    is_over = False  # whether what came since ends any card
    for position, text in enumerate(texts):
        for word in read_words(text):
            if not word.is_number:
                gap += 1
                others += word.plain not in BESIDE_DIGITS
                if word.plain in COUNTED and not is_over:
                    is_over, digits = True, digits - (last if gap == 1 else 0)
                continue
            in_turn = position in run and (gap <= GAP_WORDS or others == 1)
            goes_on = not others or in_turn
            if is_over or not goes_on:
                if digits >= CARD_DIGITS:
                    yield run
                run, digits, is_over = set(), 0, False
            run.add(position)
            digits, gap, others = digits + word.digits, 0, 0
            last = word.digits or last
    if digits >= CARD_DIGITS:
        yield run


def _mask_words(words: list[TimedWord]) -> list[TimedWord]:
    """Those of numbers masked, read as the sentence they are: "cuarenta y uno" goes whole."""
    said = " ".join(word.text for word in words)
    numbers = [(word.start, word.end) for word in read_words(said) if word.is_number]
    masked, at = [], 0
    for word in words:
        end = at + len(word.text)
        hidden = any(start < end and at < until for start, until in numbers)
        masked.append(word.model_copy(update={"text": MASK}) if hidden else word)
        at = end + 1
    return masked


def _keys(turn: Turn) -> str:
    """What was pressed in a turn: a number as any other."""
    return "".join(str(m["fields"].get("event", "")) for m in turn.marks if m["kind"] == KEY)


def _has_number(text: str) -> bool:
    return any(word.is_number and word.digits for word in read_words(text))


def _digits(text: str) -> int:
    return sum(word.digits for word in read_words(text))


def _cover(text: str, words: Iterable[Word]) -> str:
    covered, at = [], 0
    for word in words:
        shown = text[word.start : word.end]
        covered += [text[at : word.start], MASK * len(shown) if shown.isdigit() else MASK]
        at = word.end
    return "".join([*covered, text[at:]])
