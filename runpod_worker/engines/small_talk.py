"""What kind of thing a caller said: small talk, a request for help, opening hours, or a question.

Pure but for reading its lists once. Clauses are judged one by one. One is small talk when every
word of it is of its kind's own classes or carries no subject ("hola, la factura" is a question), or
when it only goes on with a courtesy: what it thanks for, a name, the reason for hanging
up. A clause that asks for something never does. The classes are closed ones of each language; no
sentence is listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

from kb.normal.sounds import sound_of
from kb.normal.stopwords import is_stop
from kb.normal.words import cut_words, fold_accents, plain_words
from kb.passage import Language
from runpod_worker.commands import SPANISH_COMMANDS, Intent


Kind = Literal[
    Intent, "wellbeing", "identity", "presence", "praise", "intro", "mistake", "open", "hours",
    "question",
]  # fmt: skip
"""``open``: words without a subject ("quería preguntar una cosa"). ``intro``: the caller's name."""
ASKED: frozenset[Kind] = frozenset({"question", "hours", "person", "intro"})
"""Kinds that the documents are asked before the reader says anything of its own."""

MAX_NAME_WORDS = 3
MAX_ORIGIN_WORDS = 4
"""After a name: "de Talleres Gómez"."""
_PAUSE = r"[,;:.!?¿¡…]+(?:\s|$)|[¿¡]"
_JOINT = r"(?:y|e|pero|and|but)\s"
_CLAUSE = re.compile(
    rf"(?P<joint>{_JOINT})?(?P<words>[^\s,;:.!?¿¡…](?:(?!{_PAUSE}|\s+{_JOINT}).)*)(?P<end>[,;:.!?…]*)",
    re.DOTALL | re.IGNORECASE,
)
_TELLING: tuple[Kind, ...] = ("leave", "wait", "mistake", "thank", "help", "intro")
"""Of several kinds in one utterance these say what it is for, in this order; else the first."""
_OPEN_ENDED = frozenset(("leave", "thank", "wait", "intro"))
"""Kinds that the next clause may go on with: "gracias por probar Asterisk, la centralita libre"."""
_FOLDER = Path(__file__).parent / "lists"
_COMMANDS: dict[Language, dict[str, Intent]] = {
    "es": {plain_words(text): intent for text, intent in SPANISH_COMMANDS.items()},
    "en": {"yes": "yes", "no": "no", "stop": "stop"},
}
_NAMED: dict[Language, tuple[tuple[str, ...], ...]] = {
    "es": (
        ("soy",),
        ("me", "llamo"),
        ("mi", "nombre", "es"),
        ("le", "habla"),
        ("te", "habla"),
        ("llamo", "desde"),
        ("aqui",),
    ),
    "en": (
        ("my", "name", "is"),
        ("my", "name", "s"),
        ("i", "am"),
        ("i", "m"),
        ("this", "is"),
        ("calling", "from"),
    ),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of small talk: one word of each class in ``needs`` makes it; ``also`` may stand by."""

    kind: Kind
    needs: tuple[frozenset[str], ...]
    also: frozenset[str]


@dataclass(slots=True)
class Lists:
    """One language's lists, every word as ``_key`` has it.

    ``fillers`` carry no subject though no stop words; ``asking`` are stop words that make a
    question ("dónde"); ``alone`` mean something only when nothing else is said ("¿cómo?").
    """

    rules: list[Rule] = field(default_factory=list)
    fillers: frozenset[str] = frozenset()
    asking: frozenset[str] = frozenset()
    alone: dict[str, Kind] = field(default_factory=dict)
    asks: frozenset[str] = frozenset()
    """As written, accents too: a clause with one of them is no mere courtesy."""
    farewells: frozenset[str] = frozenset()
    """Words that end a call whatever stands by them."""
    reasons: frozenset[str] = frozenset()
    """Before what it thanks for."""
    origins: frozenset[str] = frozenset()
    """Before where a caller is from."""
    continuing: frozenset[str] = frozenset()
    """First words of a clause that goes on with the one before it."""
    beside: dict[Kind, frozenset[str]] = field(default_factory=dict)
    """Kind -> words of a clause that is courteous beside one of that kind."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of an utterance between two pauses or conjunctions.

    ``kind``: of small talk, or None. ``goes_on``: it is that only beside the clause before it.
    """

    start: int
    end: int
    kind: Kind | None
    goes_on: bool = False
    asks: bool = False


def kind_of(text: str, language: Language) -> Kind:
    """Return what a caller said in ``language``: small talk only when every clause of it is.

    ``intro`` is a guess from the words before a name; who finds a passage for it knows better.
    """
    words = plain_words(text)
    command = _COMMANDS[language].get(words) or _lists(language).alone.get(_key(words, language))
    if command is not None:
        return command
    whole = _kind_of_clause(text, language)
    if whole is not None:
        return whole
    kinds = [clause.kind for clause in _read_clauses(text, language)]
    if None not in kinds:
        return next((kind for kind in _TELLING if kind in kinds), kinds[0]) or "question"
    subject = cut_small_talk(text, language)
    return (subject != text and _kind_of_clause(subject, language)) or "question"


def find_courtesy(text: str, language: Language) -> Kind | None:
    """Return ``leave`` or ``thank`` when one is there and no clause asks for anything.

    That is what an utterance is whose other clauses no document answers: "adiós, sale el autobús".
    """
    clauses = _read_clauses(text, language)
    kinds = {clause.kind for clause in clauses}
    found: Kind | None = "leave" if "leave" in kinds else "thank" if "thank" in kinds else None
    return None if any(clause.asks for clause in clauses) else found


def cut_small_talk(text: str, language: Language) -> str:
    """Return the clauses that are no small talk of their own: of "hola, no hay luz" the second."""
    clauses = _read_clauses(text, language)
    if not any(clause.kind is not None and not clause.goes_on for clause in clauses):
        return text
    parts: list[str] = []
    before: Clause | None = None
    for clause in clauses:
        if clause.kind is None or clause.goes_on:
            if before is not None:
                parts[-1] += text[before.end : clause.end]
            else:
                parts.append(text[clause.start : clause.end])
            before = clause
        else:
            before = None
    return ", ".join(parts)


def last_question(text: str, language: Language) -> str:
    """Return the last clause that asks, or '': what stands before it may have been misheard."""
    asked = [clause for clause in _read_clauses(text, language) if clause.asks]
    return text[asked[-1].start : asked[-1].end] if asked else ""


@lru_cache(maxsize=8)  # one utterance is read four times
def _read_clauses(text: str, language: Language) -> tuple[Clause, ...]:
    clauses: list[Clause] = []
    for match in _CLAUSE.finditer(text):
        part = match["words"]
        kind, goes_on = _kind_of_clause(part, language), False
        objects = (match["joint"] or "").strip().lower() in ("pero", "but")
        asks = objects or "?" in match["end"] or _asks(part, language)
        asks = asks and kind in (None, "open")
        if kind in ASKED - {"intro"}:
            kind, asks = None, True
        elif kind is None and not asks:
            kind, goes_on = _go_on(part, clauses, language)
        clauses.append(Clause(*match.span("words"), kind, goes_on, asks))
    return tuple(clauses)


def _kind_of_clause(text: str, language: Language) -> Kind | None:
    """Of which kind every word is: the first of several, or what asks. None: one has a subject."""
    tokens = _tokens(text)
    kinds, rest = _explain(tokens, language)
    if not rest:
        return next((kind for kind in kinds if kind in ASKED), kinds[0] if kinds else "open")
    return "intro" if _is_name(tokens, language) else None


def _asks(clause: str, language: Language) -> bool:
    """Whether it may want something: it asks, wishes, objects, or says that something is not."""
    lists = _lists(language)
    explained = _explained(_tokens(clause), language)[1]
    return any(
        word in lists.asks and _key(fold_accents(word), language) not in explained
        for _, word in cut_words(clause)
    )


def _go_on(clause: str, before: list[Clause], language: Language) -> tuple[Kind | None, bool]:
    """The courtesy that a clause with words of its own still is, and whether only by ``before``."""
    lists, tokens = _lists(language), _tokens(clause)
    kinds = _explain(tokens, language)[0]
    if "leave" in kinds and lists.farewells & set(tokens):
        return "leave", False
    if "thank" in kinds and lists.reasons & set(tokens):
        return "thank", False
    if not before or before[-1].kind is None:
        return None, False
    said = {each.kind for each in before}
    for kind, words in lists.beside.items():
        if kind in said and words & set(tokens):
            return kind, True
    if len(before) == 1 and before[0].kind in ("leave", "thank") and clause.istitle():
        return before[0].kind, False  # "gracias, Marta"
    goes_on = tokens[0] in lists.continuing and before[-1].kind in _OPEN_ENDED
    return (before[-1].kind, True) if goes_on else (None, False)


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(fold_accents(word) for _, word in cut_words(text))


def _explained(tokens: tuple[str, ...], language: Language) -> tuple[list[Kind], set[str]]:
    """The kinds whose signs are there, in order, and the words' keys that belong to one."""
    keys = {_key(token, language) for token in tokens}
    kinds: list[Kind] = []
    explained: set[str] = set()
    for rule in _lists(language).rules:
        if not any(map(keys.isdisjoint, rule.needs)):
            kinds.append(rule.kind)
            explained.update(*(need & keys for need in (*rule.needs, rule.also)))
    return kinds, explained


def _explain(tokens: tuple[str, ...], language: Language) -> tuple[list[Kind], bool]:
    """The kinds whose signs are there, and whether any word belongs to none of them."""
    lists = _lists(language)
    kinds, explained = _explained(tokens, language)
    unexplained = any(
        (key := _key(token, language)) not in explained
        and key not in lists.fillers
        and (key in lists.asking or not is_stop(token, language))
        for token in tokens
    )
    return kinds, unexplained


def _is_name(tokens: tuple[str, ...], language: Language) -> bool:
    """Whether the words end with a caller's name, and where from, after small talk at most."""
    lists = _lists(language)
    for signs in _NAMED[language]:
        for at in range(len(tokens) - len(signs)):
            name = tokens[at + len(signs) :]
            if tokens[at : at + len(signs)] != signs or _explain(tokens[:at], language)[1]:
                continue
            cut = next((n for n, word in enumerate(name) if word in lists.origins), len(name))
            origin = name[cut:]
            is_short = 0 < cut <= MAX_NAME_WORDS and len(origin) <= MAX_ORIGIN_WORDS + 1
            if is_short and not set(origin) & lists.asks:
                return True
    return False


def _key(word: str, language: Language) -> str:
    """Recognisers, and callers, write ``ola`` for ``hola``."""
    return sound_of(word) if language == "es" else word


@lru_cache(maxsize=2)
def _lists(language: Language) -> Lists:
    """Read ``lists/small_talk_<language>.txt``; the Spanish one says how it is written."""
    lists, names = Lists(), dict[str, str]()
    text = (_FOLDER / f"small_talk_{language}.txt").read_text(encoding="utf-8")
    for line in text.replace("\n    ", " ").splitlines():
        name, _, written = line.partition(" = ")
        if written:
            names[name] = written
            continue
        name, _, written = line.partition(": ")
        written = " ".join(names.get(word, word) for word in written.split())
        if not written or line.startswith("#"):
            continue
        needs, _, also = written.partition("+")
        classes = tuple(
            frozenset(_key(word, language) for word in part.split()) for part in needs.split("/")
        )
        if name in ("fillers", "asking"):
            setattr(lists, name, classes[0])
        elif name in ("asks", "farewells", "reasons", "origins", "continuing"):
            setattr(lists, name, frozenset(written.split()))
        elif name.startswith("beside "):
            lists.beside[cast("Kind", name.split()[1])] = frozenset(written.split())
        elif name.startswith("alone "):
            lists.alone.update(dict.fromkeys(classes[0], cast("Kind", name.split()[1])))
        else:
            stand_by = frozenset(_key(word, language) for word in also.split())
            lists.rules.append(Rule(cast("Kind", name), classes, stand_by))
    return lists
