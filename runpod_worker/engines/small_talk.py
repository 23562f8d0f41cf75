"""What kind of thing a caller said: small talk, a request for help, opening hours, or a question.

Pure but for reading its lists once. An utterance is small talk only when every word of it is of
its kind's own classes or carries no subject; one word more ("hola, la factura") makes it a question
for the documents. The classes are closed ones of each language; no sentence is listed.
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
    Intent, "wellbeing", "identity", "presence", "praise", "intro", "open", "hours", "question"
]
"""``open``: words without a subject ("quería preguntar una cosa"). ``intro``: the caller's name."""

MAX_NAME_WORDS = 3
_PARTS = re.compile(r"[,;:.!?¿¡…]+(?:\s|$)|[¿¡]")
_FOLDER = Path(__file__).parent / "lists"
_COMMANDS: dict[Language, dict[str, Intent]] = {
    "es": {plain_words(text): intent for text, intent in SPANISH_COMMANDS.items()},
    "en": {"yes": "yes", "no": "no", "stop": "stop"},
}
_NAMED: dict[Language, tuple[tuple[str, ...], ...]] = {
    "es": (("soy",), ("me", "llamo"), ("mi", "nombre", "es"), ("le", "habla"), ("te", "habla")),
    "en": (("my", "name", "is"), ("my", "name", "s"), ("i", "am"), ("i", "m"), ("this", "is")),
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


def kind_of(text: str, language: Language) -> Kind:
    """Return what a caller said in ``language``: the first kind whose words all of it is made of.

    ``intro`` is a guess from the words before a name; who finds a passage for it knows better.
    """
    words = plain_words(text)
    tokens = tuple(fold_accents(word) for _, word in cut_words(text))
    command = _COMMANDS[language].get(words) or _lists(language).alone.get(_key(words, language))
    if command is not None:
        return command
    kinds, rest = _explain(tokens, language)
    if not rest:
        return kinds[0] if kinds else "open"
    return "intro" if _is_name(tokens, language) else "question"


def cut_small_talk(text: str, language: Language) -> str:
    """Return the parts that are questions: "No tengo agua, ¿qué hago?" without its end."""
    parts = [part.strip() for part in _PARTS.split(text) if part.strip()]
    asked = [part for part in parts if kind_of(part, language) == "question"]
    return ", ".join(asked) if len(asked) < len(parts) else text


def _explain(tokens: tuple[str, ...], language: Language) -> tuple[list[Kind], bool]:
    """The kinds whose signs are there, in order, and whether any word belongs to none of them."""
    lists = _lists(language)
    keys = {_key(token, language): token for token in tokens}
    kinds: list[Kind] = []
    explained: set[str] = set()
    for rule in lists.rules:
        met = [need & keys.keys() for need in rule.needs]
        if all(met):
            kinds.append(rule.kind)
            explained.update(*met, rule.also & keys.keys())
    unexplained = any(
        key not in explained
        and key not in lists.fillers
        and (key in lists.asking or not is_stop(token, language))
        for key, token in keys.items()
    )
    return kinds, unexplained


def _is_name(tokens: tuple[str, ...], language: Language) -> bool:
    """Whether the words end with a caller's name, after small talk at most."""
    for signs in _NAMED[language]:
        for at in range(len(tokens) - len(signs)):
            end = at + len(signs)
            if tokens[at:end] == signs and len(tokens) - end <= MAX_NAME_WORDS:
                return not _explain(tokens[:at], language)[1]
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
        if name == "filler":
            lists.fillers = classes[0]
        elif name == "asking":
            lists.asking = classes[0]
        elif name.startswith("alone "):
            lists.alone.update(dict.fromkeys(classes[0], cast("Kind", name.split()[1])))
        else:
            stand_by = frozenset(_key(word, language) for word in also.split())
            lists.rules.append(Rule(cast("Kind", name), classes, stand_by))
    return lists
