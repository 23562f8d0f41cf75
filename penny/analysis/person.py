"""A caller's wish for a person to talk to, in Spanish, Catalan, Galician, Basque and English. Pure.

Rules tell the plain ones; the others a word for a person, machine or department, and n-grams
under a softmax that was fitted to ``data/person.tsv``. No vectors: it is asked of each sentence.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

from penny.analysis.classifier import Grams, Softmax, fit, read_fitted
from penny.telephony.caller_wishes import asks_outright, not_denied


KINDS = ("other", "wish")
LEAST = 0.65
"""Probability from which a sentence with such a word is a wish."""
DATA = Path(__file__).parent / "data" / "person.tsv"
_NOUN = re.compile(
    r"\b(?:"
    # who is wanted
    r"persona|person|persoa|pertsona|human|huma\b|gizaki|giza\b|carne y hueso|carn i ossos"
    r"|alguien|algun\b|algu\b|alguen|norbait|inor\b|inork|nadie|ningu\b|ninguen|someone|somebody"
    r"|anyone|anybody|nobody|no one|agent|axente|operador|operator|representa|ordezkari|ases+or"
    r"|aholkulari|advis|supervis|gestor|xestor|kudeatzaile|ejecutiv|encarga|responsab|arduradun"
    r"|manager|jefe|jefa|xefe|xefa|cap\b|nagusi|boss|superior|companer|company|compan[ei]|lankide"
    r"|colleague|employee|empleado|emplead|empleat|langile|comercial|salesperson|tecnico|tecnic\b"
    r"|teknikari|technician|in charge|senorita|trabajador|treballador|traballador|staff"
    # what is not
    r"|maquina|makina|machine|robot|bot\b|bots\b|contestador|erantzungailu|ordenador|ordinador"
    r"|ordenagailu|computer|grabacion|gravacio|recording|asistente|assistant|automat"
    # where they are
    r"|departament|department|sail|seccion|oficina|bulego|office|centralita|recepcion|recepcio"
    r"|reception|atencion|atencio|arreta|customer service|front desk|ventas|vendes|vendas|sales"
    r"|facturacion|facturacio|billing|support|soporte"
    r")"
)


def wants_person(words: str) -> bool:
    """Whether these words of a caller's ask for a person to talk to."""
    if asks_outright(words):
        return True
    clauses = not_denied(words)
    texts = [each for each in {" ".join(clauses), *clauses} if _NOUN.search(each)]
    if not texts:
        return False
    grams, softmax = _model()
    return bool((softmax.probabilities(grams.vectors(texts))[:, 1] > LEAST).any())


def examples() -> list[tuple[int, str]]:
    """(class, text) of what it is fitted to."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [(KINDS.index(kind), text) for kind, text in pairs]


def fit_examples() -> tuple[Grams, Softmax]:
    """The n-grams and weights over them, fitted anew: a second of a core."""
    told = examples()
    texts = [text for _, text in told]
    grams = Grams.of(texts)
    return grams, fit(grams.vectors(texts), np.array([at for at, _ in told]), len(KINDS))


@cache
def _model() -> tuple[Grams, Softmax]:
    return read_fitted("person")
