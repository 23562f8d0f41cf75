"""From what a caller says to concepts: each with the index keys it may be found under."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import tantivy

from kb.intent import plain_question
from kb.near_words import SpellingIndex, load_relations, read_synonyms
from kb.normal.analysis import Kind, Token, analyse, keys_of
from kb.normal.spelled import read_initials
from kb.normal.stems import key_of
from kb.normal.stopwords import is_weak
from kb.normal.words import fold_accents
from kb.passage import Language


# What a word tells that the collection does not have: as much as a rare one.
_UNKNOWN_WEIGHT = 0.8
_MISHEARD_WEIGHT = 0.2
_LEAST_WEIGHT = 0.1
# How common a word is cannot be told from fewer passages: they are taken for so many.
_LEAST_DOCUMENTS = 100
_WEAK_SHARE = 0.3
_CODE_WEIGHT = 2.0
# A number of three digits or more that is nowhere names something that is not there.
_UNKNOWN_NUMBER_WEIGHT = 1.5
_TELLING_DIGITS = 3
# A word near in meaning stands for the other the more the nearer it is; below this, not at all.
_NEAR_LEAST = 0.45
_NEAR_ZERO = 0.3
_NEAR_SLOPE = 1.6
_NEAR_MOST = 0.7
_NEAR_WORDS = 4
_VERB_ENDING = re.compile(r"(.{3,}?)(?:[aei]?is|[aei]mos|[aei]n|[ae]s|[aei]r|[ai]d[oa]s?|[aeo])$")


@dataclass(slots=True)
class Concept:
    """One thing the caller names.

    ``keys``: index keys with how well each stands for the concept (1 = the word itself).
    ``weight``: how much it tells: how rare it is, less for an everyday word. ``known``: the
    collection has it, or something that sounds like it or means it.
    """

    kind: Kind
    surface: str
    keys: dict[str, float]
    weight: float
    known: bool
    weak: bool = False


class Vocabulary:
    """The words of one commit of one collection.

    ``related``: by language, key -> the keys it also stands for, with their weight.
    """

    def __init__(self, searcher: tantivy.Searcher, documents: int, folder: Path) -> None:
        self._searcher = searcher
        self.related: dict[Language, dict[str, dict[str, float]]] = {
            "es": read_synonyms(folder, "es"),
            "en": read_synonyms(folder, "en"),
        }
        self.documents = max(_LEAST_DOCUMENTS, documents)
        self._most = math.log(1 + (self.documents + 0.5) / 0.5)
        self.spelling = SpellingIndex(searcher)
        self.frequency = lru_cache(maxsize=65_536)(self._frequency)
        self.near = lru_cache(maxsize=16_384)(self._near)
        load_relations("es")  # now rather than in a caller's first search

    def _frequency(self, key: str) -> int:
        """Return how many passages have the key."""
        return int(self._searcher.doc_freq("keys", key))

    def _near(self, key: str, language: Language) -> tuple[tuple[str, float], ...]:
        """Return what the collection has of the words near in meaning, with how near."""
        found = [
            (other, min(_NEAR_MOST, _NEAR_SLOPE * (like - _NEAR_ZERO)))
            for other, like in load_relations(language).near(key)
            if like >= _NEAR_LEAST and self.frequency(other)
        ]
        return tuple(found[:_NEAR_WORDS])

    def rarity(self, frequency: int) -> float:
        """Return 0..1: the inverse document frequency over that of a word in no document."""
        idf = math.log(1 + max(0.0, self.documents - frequency + 0.5) / (frequency + 0.5))
        return min(1.0, max(0.0, idf / self._most))


def build_concepts(text: str, language: Language, vocabulary: Vocabulary) -> list[Concept]:
    """Return what the question is about, in order, each thing once."""
    concepts: dict[str, Concept] = {}
    before: Token | None = None
    for token in analyse(_join_initials(plain_question(text), language, vocabulary), language):
        if token.stop:
            before = token if token.kind == "word" else None
            continue
        concept = concepts.get(token.keys[0])
        if concept is None:
            concept = _concept(token, language, vocabulary)
            concepts[token.keys[0]] = concept
        if before is not None and token.kind == "word" and not concept.known:
            _join(before, token, concept, language, vocabulary)
        before = token if token.kind == "word" else None
    return list(concepts.values())


def _join_initials(text: str, language: Language, vocabulary: Vocabulary) -> str:
    """Write initials that the collection has as one word: ``la ce ene u``, ``la cnu``."""
    words = text.split()
    plain = [fold_accents(word.lower().strip(",.;:¿?¡!")) for word in words]
    joined: list[str] = []
    at = 0
    while at < len(words):
        found = read_initials(plain, at, language)
        if found and any(map(vocabulary.frequency, keys_of(found[0], language))):
            joined.append(found[0])
            at += found[1]
        else:
            joined.append(words[at])
            at += 1
    return " ".join(joined)


def _join(
    before: Token, token: Token, concept: Concept, language: Language, vocabulary: Vocabulary
) -> None:
    """``kilo vatio``: a word heard as two is tried as one."""
    key = key_of(before.surface + token.surface, language)
    frequency = vocabulary.frequency(key)
    if frequency:
        concept.keys = {key: 0.95}
        concept.weight, concept.known = vocabulary.rarity(frequency), True


def _concept(token: Token, language: Language, vocabulary: Vocabulary) -> Concept:
    if token.kind == "code":
        return _code_concept(token, vocabulary)
    if token.kind != "word":
        return _exact_concept(token, vocabulary)
    key = token.keys[0]
    weak = is_weak(token.surface, language)
    keys = _word_keys(key, token.surface, language, vocabulary)
    best = max(keys.values(), default=0.0)
    frequency = max((vocabulary.frequency(k) for k, q in keys.items() if q == best), default=0)
    weight = vocabulary.rarity(frequency) if keys else _weigh_unknown(key, language)
    if weak:
        weight *= _WEAK_SHARE
    return Concept("word", token.surface, keys, max(_LEAST_WEIGHT, weight), bool(keys), weak)


def _weigh_unknown(key: str, language: Language) -> float:
    """A word that is no common one either is likelier misheard than another subject's."""
    return _UNKNOWN_WEIGHT if load_relations(language).knows(key) else _MISHEARD_WEIGHT


def _word_keys(
    key: str, surface: str, language: Language, vocabulary: Vocabulary
) -> dict[str, float]:
    """The word itself; else what sounds like it; and what stands for any of these."""
    related = vocabulary.related[language]
    keys: dict[str, float] = {}
    bases: dict[str, float] = {}
    if vocabulary.frequency(key):
        keys[key] = bases[key] = 1.0
    elif key in related:
        bases[key] = 1.0
    else:
        with_h = key_of("h" + surface, language) if surface[0] in "aeiou" else key
        bare = key_of(surface, language)  # separé, whose ending reads as a future's
        if bare != key and vocabulary.frequency(bare):
            keys[bare] = bases[bare] = 0.95
        elif with_h != key and (vocabulary.frequency(with_h) or with_h in related):
            bases[with_h] = 0.95
            if vocabulary.frequency(with_h):
                keys[with_h] = 0.95
        else:
            # A word that there is, a name too, is no misspelling of another.
            known = load_relations(language).knows(key)
            guessed = {} if known else dict(vocabulary.spelling.near(key))
            keys = _conjugated(key, vocabulary) or guessed
            bases = {found: q for found, q in keys.items() if q >= 0.8}
            # A word that there is may be meant as it is, or misheard.
            bases.setdefault(key, 1.0)
    for base, quality in bases.items():
        for other, share in related.get(base, {}).items():
            if share * quality > keys.get(other, 0.0) and vocabulary.frequency(other):
                keys[other] = share * quality
        if quality >= 0.9:
            for other, near in vocabulary.near(base, language):
                if near * quality > keys.get(other, 0.0):
                    keys[other] = near * quality
    return keys


def _conjugated(key: str, vocabulary: Vocabulary) -> dict[str, float]:
    """``abrís``: an ending that the stemmer does not know, cut off by hand."""
    cut = _VERB_ENDING.match(key)
    if cut and vocabulary.frequency(cut[1]):
        return {cut[1]: 0.9}
    return {}


def _exact_concept(token: Token, vocabulary: Vocabulary) -> Concept:
    keys = {
        key: 1.0 if at == 0 else 0.5
        for at, key in enumerate(token.keys)
        if vocabulary.frequency(key)
    }
    first = token.keys[0]
    if first in keys:
        weight = vocabulary.rarity(vocabulary.frequency(first))
    else:
        telling = token.kind == "number" and len(first) >= _TELLING_DIGITS
        weight = _UNKNOWN_NUMBER_WEIGHT if telling else _UNKNOWN_WEIGHT
    return Concept(token.kind, token.surface, keys, max(_LEAST_WEIGHT, weight), bool(keys))


def _code_concept(token: Token, vocabulary: Vocabulary) -> Concept:
    """The whole code, or its digits alone; failing both, nothing: a code is never guessed."""
    keys = {
        key: 1.0 - 0.05 * at for at, key in enumerate(token.keys[:2]) if vocabulary.frequency(key)
    }
    return Concept("code", token.surface, keys, _CODE_WEIGHT, bool(keys))
