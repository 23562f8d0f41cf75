"""A caller asks at any moment of a call for no calls any more. Pure.

Told by the words alone, in Spanish, Catalan, Galician, Basque and English, whatever the language
of the session is. Told apart from what only speaks of calls ("no me llamen más tarde de las
ocho"). A wish for a person: ``penny.analysis.person``.
"""

from __future__ import annotations

import re
import unicodedata


_THAT = r"(?:quiero |deseo )?(?:que )?"
_NO_MORE = r"(?! tard| tarde| de| d| temprano| pronto| aviat| cedo| desde)"
_NO_CALLS = re.compile(
    "|".join(
        (
            rf"\bno {_THAT}(?:me |nos )?llam(?:e|en|es|eis) (?:nunca |ya )?mas\b{_NO_MORE}",
            rf"\b(?:no|nunca mas) {_THAT}(?:me |nos )?(?:vuelv[ae]\w*|volv[ae]is) a llamar",
            r"\bnunca mas (?:me|nos) llam(?:e|en|es|eis)\b",
            r"\bdej(?:e|en|a|ad) (?:ya )?de llamar",
            r"\bno quiero (?:recibir )?(?:mas|ninguna) llamadas?\b",
            r"\b(?:quit|borr|elimin|sac|saqu)\w*[ae]n?(?:me|nos) de (?:la|su|tu|sus|vuestra) "
            r"(?:lista|base)\b(?! de espera)",
            r"\bque (?:me|nos) (?:quit|borr|elimin|saqu)\w*en de (?:la|su|sus|vuestra) "
            r"(?:lista|base)\b(?! de espera)",
            r"\b(?:quit|borr|elimin)\w+ mi (?:numero|telefono)\b",
            rf"\bno (?:vull )?(?:que )?(?:em |ens )?truqu(?:i|in|is|eu) mes\b{_NO_MORE}",
            r"\bno (?:em|ens) torn\w+ a trucar",
            r"\bdeix(?:i|in|a|eu) de trucar",
            r"\bno vull (?:rebre )?(?:mes|cap) truca",
            r"\b(?:tregui|treguin|treu|esborri|esborrin|esborra|elimini|eliminin) (?:m|me|ns) de "
            r"(?:la|les) (?:\w+ )?(?:llista|base)\b(?! d espera)",
            rf"\bnon (?:quero )?(?:que )?(?:me |nos )?cham(?:e|en|es|edes) mais\b{_NO_MORE}",
            r"\bnon (?:me|nos) volv\w+ (?:a )?chamar",
            r"\bdeix(?:e|en|a|ade) de chamar",
            r"\bnon quero (?:recibir )?(?:mais|ningunha) chamada",
            r"\b(?:quit|borr|elimin|sac|saqu)\w*en?me da (?:sua |vosa )?(?:lista|base)\b"
            r"(?! de espera)",
            r"\bez\b.*\bdei(?:tu|tzea|rik)?\b.*\b(?:gehiago|berriro)\b",
            r"\bez\b.*\bgehiago\b.*\bdei",
            r"\b(?:kendu|ezabatu) (?:nazazue?|nire (?:zenbakia|izena|datuak)) .*(?:zerrenda|base)",
            r"\butzi (?:niri )?deitzeari",
            r"\b(?:t|not|never) (?:ever )?(?:call|ring|phone|contact) (?:me|us|this number|here) "
            r"(?:again|anymore|any more|ever)\b",
            r"\bstop (?:calling|phoning|ringing)\b",
            r"\b(?:take|remove|delete) (?:me|us|my \w+) (?:off|from) .*\b(?:list|database)\b",
            r"\b(?:remove|delete) my (?:phone )?number\b",
            r"\bt want (?:any|to receive any|to get any)(?: more)? (?:more )?calls\b",
            r"\bdo not call list\b",
        )
    )
)


def wants_no_calls(words: str) -> bool:
    """Whether these words of a caller's forbid further calls to them."""
    return any(map(_NO_CALLS.search, clauses_of(words)))


def fold(words: str) -> str:
    """Small letters without accents; letters and digits alone, one space between words."""
    plain = unicodedata.normalize("NFD", words.lower())
    kept = "".join(each for each in plain if not unicodedata.combining(each))
    return " ".join(re.findall(r"[^\W_]+", kept))


def clauses_of(words: str) -> list[str]:
    """The parts of a sentence, folded, split at its marks."""
    return [folded for part in re.split(r"[.,;:!?¡¿]+", words) if (folded := fold(part))]
