"""From what a caller says to concepts: each with the index keys it may be found under."""

from __future__ import annotations

import math
from dataclasses import dataclass

import tantivy

from kb.normal.analysis import Kind, Token, analyse
from kb.passage import Language
from kb.spelling import SpellingIndex
from kb.synonyms import load_synonyms


@dataclass(slots=True)
class Concept:
    """One thing the caller names.

    ``keys``: index keys with how well each stands for the concept (1 = the word itself).
    ``weight``: how much it tells, 0..1, by how rare it is. ``known``: the words of the
    collection have it, or something that sounds like it.
    """

    kind: Kind
    surface: str
    keys: dict[str, float]
    weight: float
    known: bool


class Vocabulary:
    """The words of one commit of one collection."""

    def __init__(self, searcher: tantivy.Searcher, documents: int) -> None:
        self._searcher = searcher
        self.documents = max(1, documents)
        self._most = math.log(1 + (self.documents + 0.5) / 0.5)
        self.spelling = SpellingIndex(searcher)

    def frequency(self, key: str) -> int:
        return int(self._searcher.doc_freq("keys", key))

    def rarity(self, frequency: int) -> float:
        """Return 0..1: the inverse document frequency over that of a word in one document."""
        idf = math.log(1 + (self.documents - frequency + 0.5) / (frequency + 0.5))
        return min(1.0, max(0.0, idf / self._most))


def build_concepts(text: str, language: Language, vocabulary: Vocabulary) -> list[Concept]:
    """Return what the question is about, in order, each thing once."""
    concepts: dict[str, Concept] = {}
    for token in analyse(text, language):
        if token.stop or token.keys[0] in concepts:
            continue
        concepts[token.keys[0]] = _concept(token, language, vocabulary)
    return list(concepts.values())


def _concept(token: Token, language: Language, vocabulary: Vocabulary) -> Concept:
    if token.kind == "code":
        return _code_concept(token, vocabulary)
    if token.kind != "word":
        return _exact_concept(token, vocabulary)
    key = token.keys[0]
    keys: dict[str, float] = {}
    frequency = vocabulary.frequency(key)
    if frequency:
        keys[key] = 1.0
    else:
        for found, quality in vocabulary.spelling.near(key):
            keys[found] = quality
            frequency = max(frequency, vocabulary.frequency(found))
    for base, quality in list(keys.items()) or [(key, 1.0)]:
        for other, weight in load_synonyms(language).get(base, {}).items():
            if vocabulary.frequency(other):
                keys[other] = max(keys.get(other, 0.0), weight * quality)
    weight = vocabulary.rarity(frequency) if frequency else 0.7
    return Concept(token.kind, token.surface, keys, max(0.15, weight), bool(keys))


def _exact_concept(token: Token, vocabulary: Vocabulary) -> Concept:
    keys = {
        key: 1.0 if at == 0 else 0.5
        for at, key in enumerate(token.keys)
        if vocabulary.frequency(key)
    }
    first = token.keys[0]
    weight = vocabulary.rarity(vocabulary.frequency(first)) if first in keys else 0.7
    return Concept(token.kind, token.surface, keys, max(0.15, weight), bool(keys))


def _code_concept(token: Token, vocabulary: Vocabulary) -> Concept:
    """The whole code, or its digits alone; failing both, nothing: a code is never guessed."""
    keys = {
        key: 1.0 - 0.05 * at for at, key in enumerate(token.keys[:2]) if vocabulary.frequency(key)
    }
    return Concept("code", token.surface, keys, 2.0, bool(keys))
