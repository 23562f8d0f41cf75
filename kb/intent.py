"""What kind of answer a question wants, and what kinds a passage holds. Pure.

"Cuánto cuesta" wants an amount, "cuánto tarda" a time, "dónde" a place. It parts passages that
are about the same thing.
"""

from __future__ import annotations

import re
from typing import Literal

from kb.normal.words import fold_accents


Wanted = Literal["amount", "time", "place", "steps"]

_WANTS: tuple[tuple[Wanted, re.Pattern[str]], ...] = (
    (
        "time",
        re.compile(
            r"\b[ckq]uant[oa]s?\s+(?:se\s+)?(?:tiempo|dias?|h?oras?|meses|años|semanas|tarda\w*|dura\w*)"
            r"|\b[ckq]uando\b|\ba que h?ora|\bh?orario\b|\bque dias?\b|\bplaso\b|\bplazo\b"
            r"|\bhow long\b|\bwhen\b|\bwhat time\b|\bhours\b"
        ),
    ),
    (
        "amount",
        re.compile(
            r"\b[ckq]uanto\s+(?:me\s+|se\s+|os\s+)?(?:[ck]uesta\w*|[bv]ale\w*|sale\w*|co[bv]r\w*|"
            r"pag\w*|es\b|de[bv]o)|\ba [ckq]uanto\b|\bprecio\b|\btarifa\b|\bimporte\b"
            r"|\bhow much\b|\bprice\b|\bcost"
        ),
    ),
    ("place", re.compile(r"\bdonde\b|\bdireccion\b|\bwhere\b|\baddress\b")),
    (
        "steps",
        re.compile(r"\b[ck]omo\b|\bque (?:h?ago|tengo que)\b|\b(?:qu|k)iero\b|\bhow (?:do|can)\b"),
    ),
)
_HOLDS: tuple[tuple[Wanted, re.Pattern[str]], ...] = (
    (
        "amount",
        re.compile(r"euro|centimo|€|por ciento|%|gratis|gratuit|\bcents?\b|free\b|per cent"),
    ),
    (
        "time",
        re.compile(
            r"\bdias?\b|\bhoras?\b|\bmes(?:es)?\b|\baños?\b|semanas?|lunes|viernes|sabado|domingo"
            r"|\bmañana|enero|abril|septiembre|de \w+ a \w+|\bdays?\b|\bhours?\b|\bmonths?\b"
            r"|\bo'clock"
        ),
    ),
    (
        "place",
        re.compile(
            r"\bcalle\b|avenida|plaza|\ben (?:el|la|las|los) |oficina|pagina|@|portal|fachada"
            r"|\bin the\b|\bat the\b|\boffices?\b"
        ),
    ),
    (
        "steps",
        re.compile(
            r"llam[ea]\w*|pulse|envi[ea]\w*|pida\w*|puede|necesit\w+|solicit\w+|hace falta"
            r"|compruebe|cambie|descarg\w+|\bcall\b|\bpress\b|\bsend\b|you can"
        ),
    ),
)


_PRICE = re.compile(
    r"\b(?:[ckq]u?[aá]nto\s+(?:me\s+)?(?:[bv]ale\w*|sale\w*|me costar\w*)"
    r"|(?:a|en)\s+(?:[ckq]u?[aá]nto|c[oó]mo)\s+(?:est[aá]n?|anda\w*|sale\w*|tienen))\b",
    re.IGNORECASE,
)


# The words of a greeting are also those of opening hours, deadlines and cheap hours.
_GREETING = re.compile(
    r"\b[bv]uen(?:[oa]s?)?\s+(?:d[ií]as?|tardes?|noches?)\b|\bgood\s+(?:morning|afternoon|evening)\b",
    re.IGNORECASE,
)


def plain_question(text: str) -> str:
    """Return the text without a greeting, every way of asking a price said as ``cuánto cuesta``."""
    return _PRICE.sub("cuánto cuesta", _GREETING.sub(" ", text))


def wanted_of(question: str) -> Wanted | None:
    """Return the kind of answer wanted, the most telling first; None for a plain statement."""
    folded = fold_accents(question.lower())
    for kind, pattern in _WANTS:
        if pattern.search(folded):
            return kind
    return None


def held_by(text: str) -> frozenset[Wanted]:
    """Return the kinds of answer that a passage holds."""
    folded = fold_accents(text.lower())
    return frozenset(kind for kind, pattern in _HOLDS if pattern.search(folded))
