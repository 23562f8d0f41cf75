"""A caller's wish for a person to talk to, in Spanish, Catalan, Galician, Basque and English. Pure.

Rules tell the plain ones; the others a word for a person, machine or department, and n-grams
under a softmax that was fitted to ``data/person.tsv``, where words that mean the same in the five
languages are one ("persona", "pertsona"). No vectors: it is asked of each sentence of a call.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

from penny.analysis.classifier import Grams, Softmax, fit, read_fitted
from penny.telephony.caller_wishes import fold
from penny.telephony.person_wish import asks_outright, not_denied


KINDS = ("other", "wish")
LEAST = 0.5
"""Probability from which a sentence with such a word is a wish."""
NAMES = ("qwho", "qbot", "qplace")
"""Classes of words of which a wish names one."""
LONG, BEFORE, AFTER = 14, 7, 5
"""Words: of a longer sentence so many before such a word, and from it on, are looked at."""
DATA = Path(__file__).parent / "data" / "person.tsv"


def wants_person(words: str) -> bool:
    """Whether these words of a caller's ask for a person to talk to."""
    if asks_outright(words):
        return True
    clauses = [_in_classes(each) for each in not_denied(words)]
    texts = [text for whole in {" ".join(clauses), *clauses} for text in _near_names(whole)]
    if not texts:
        return False
    grams, softmax = _model()
    return bool((softmax.probabilities(grams.vectors(texts))[:, 1] > LEAST).any())


def examples() -> list[tuple[int, str]]:
    """(class, text) of what it is fitted to, its words in their classes."""
    return [(KINDS.index(kind), _in_classes(fold(text))) for kind, text in _rows() if kind in KINDS]


def fit_examples() -> tuple[Grams, Softmax]:
    """The n-grams and weights over them, fitted anew: a second of a core."""
    told = examples()
    texts = [text for _, text in told]
    grams = Grams.of(texts)
    return grams, fit(grams.vectors(texts), np.array([at for at, _ in told]), len(KINDS))


def _near_names(text: str) -> list[str]:
    """What is asked of the fit: a long sentence drowns the wish in what it is about."""
    words = text.split()
    named = [at for at, word in enumerate(words) if word in NAMES]
    if named and len(words) <= LONG:
        return [text]
    return [" ".join(words[max(0, at - BEFORE) : at + AFTER]) for at in named]


def _in_classes(folded: str) -> str:
    for name, pattern in _classes():
        folded = pattern.sub(name, folded)
    return folded


def _rows() -> list[tuple[str, str]]:
    lines = DATA.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [(kind, text) for kind, text in pairs]


@cache
def _classes() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The name of each class of words and what finds them, longest first."""
    told = []
    for name, words in _rows():
        if name.startswith("="):
            longest = sorted(words.split(), key=len, reverse=True)
            any_of = "|".join(each.replace("*", r"\w*").replace("_", " ") for each in longest)
            told.append((f"q{name[1:]}", re.compile(rf"\b(?:{any_of})\b")))
    return tuple(told)


@cache
def _model() -> tuple[Grams, Softmax]:
    return read_fitted("person")
