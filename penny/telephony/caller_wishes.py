"""What a caller may ask for at any moment of a call: a person, or no calls any more. Pure.

Told by the words alone, in Spanish, Catalan, Galician, Basque and English, whatever the language
of the session is: a caller who wants a person says so in their own. Told apart from what only
speaks of persons or calls ("hablé con un agente", "no me llamen más tarde de las ocho").
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby


_WHO = (
    r"(?:personas?|person|persoa|pertsona|human[oa]?|huma|gizaki|ser humano|human being|alguien"
    r"|algu|alguen|norbait|someone|somebody|agentes?|agent|axente|operador[a]?|operadore|operator"
    r"|representante|representative|asesora?|assessora?|aholkulari|adviser|advisor|ejecutiv[oa]"
    r"|supervisora?|encargad[oa]|responsable|arduradun|manager|companer[oa]|companeir[oa]|company"
    r"|companya|lankide|colleagues?|atencion al cliente|atencio al client|customer service)"
)
_MACHINE = r"(?:maquina|robot|bot|contestador|makina|machine|computer)"
_ONE = r"(?:\w+ ){0,3}"
_EU_WITH = r"(?:a?rekin|ekin)?(?: batekin)?"
_PERSON = re.compile(
    "|".join(
        (
            # "hablar con una persona", not "hablé con".
            r"(?<!\bvaig )(?<!\bva )\b(?:hablar|parlar|falar) (?:con|amb|co|coa|cun|cunha) "
            rf"{_ONE}{_WHO}\b",
            rf"\b(?:speak|talk|deal) (?:to|with) {_ONE}{_WHO}\b",
            rf"\b{_WHO}{_EU_WITH} hitz egi(?:n|tea|ten|ngo)\b(?! nu| zu| ginen)",
            # "páseme con", "que me pase con", "put me through to".
            r"\b(?:pas|pon|pong|pos|comuni|transf|conect|deme|dame)\w*(?: (?:m|me|em))? "
            rf"(?:con|amb|co|coa|cun|cunha) {_ONE}{_WHO}\b",
            rf"\b(?:transfer|connect|put) (?:me|us) (?:through |on )?(?:to|with) {_ONE}{_WHO}\b",
            rf"\b(?:get|give|find) me {_ONE}{_WHO}\b",
            rf"\b(?:jarri|pasa) nazazue? {_ONE}{_WHO}(?:a?rekin|ekin)?\b",
            rf"\b{_WHO}{_EU_WITH} (?:jarri|pasa)(?:ko)? (?:nazazu|nauzu)",
            # "que me atienda una persona", "is there a human I can talk to".
            rf"\b(?:atienda|atiendan|atengui|atenguin|atenda|atendan) {_ONE}{_WHO}\b",
            rf"\b{_WHO} (?:que )?(?:me|em|m) (?:pueda|pugui|poida)n? (?:atend|ayud|ajud|axud)",
            rf"\b{_WHO} (?:who |that )?(?:i|we) can (?:talk|speak) (?:to|with)\b",
            rf"\b{_WHO}(?: batek)?(?: ni)? (?:artatzea|artatzeko|laguntzeko)\b",
            # "quiero una persona"
            rf"\b(?:quiero|vull|quero) (?:a )?(?:un|una|unha) {_WHO}\b",
            r"\b(?:quiero|prefiero|necesito|dame|deme|vull|prefereixo|necessito|quero|prefiro) "
            r"(?:un|una|unha) (?:persona|persoa|humano?|ser huma\w+|operadora?)\b",
            rf"\b(?:want|need) (?:a|an) (?:real |live )?{_WHO}\b",
            rf"\b{_WHO} bat nahi\b",
        )
    )
)
_NO_MACHINE = re.compile(
    "|".join(
        (
            # "con una máquina no hablo"
            r"\b(?:no|non)\b.* (?:hablar|parlar|falar) (?:con |amb )?(?:una?|cunha|cun) "
            rf"{_MACHINE}\b",
            rf"\b(?:con|amb) una? {_MACHINE} no (?:hablo|parlo|quiero|vull)\b",
            rf"\b(?:cun|cunha) {_MACHINE} non (?:falo|quero)\b",
            rf"\bez\b.*{_MACHINE} batekin hitz|\b{_MACHINE} batekin ez\b.* hitz",
            r"\b(?:not|t) (?:want to |wanna )?(?:talk|talking|speak|speaking) (?:to|with) a "
            rf"{_MACHINE}\b",
        )
    )
)
_DENIED = re.compile(
    r"\b(?:(?:no|non) (?:quiero|quisiera|necesito|deseo|hace falta|vull|necessito|cal|quero|preciso"
    r"|(?:me|em) pas\w*)|ez (?:dut|nuke|daukat)|(?:t|not) (?:want|need))\b"
    r"(?:(?!\b(?:quiero|necesito|vull|necessito|quero|preciso|pero|sino|want|need|but|let)\b).)*"
    rf"\b{_WHO}"
)
"""A person who is not wanted; "no quiero esperar quiero una persona" wants one."""
_BARE = re.compile(
    rf"(?:si |yes )?(?:(?:con|amb|with|to) )?(?:(?:un|una|cun|cunha|unha|a|an|el|la|the) )?"
    rf"(?:real |live )?{_WHO}(?: batekin)?(?: por favor| si us plau| sisplau| mesedez| please)?"
)
"""All that was said: "Operadora", "con una persona, por favor"."""
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


def asks_outright(words: str) -> bool:
    """Whether a rule finds a wish for a person (``penny.analysis.person`` asks a fit as well)."""
    said = " ".join(clauses_of(words)).split()
    whole = " ".join(word for word, _ in groupby(said))  # "operadora, operadora"
    return bool(_BARE.fullmatch(whole)) or any(
        _NO_MACHINE.search(each) or _PERSON.search(each) for each in not_denied(words)
    )


def not_denied(words: str) -> list[str]:
    """The clauses but those that say that no person is wanted."""
    return [
        each for each in clauses_of(words) if _NO_MACHINE.search(each) or not _DENIED.search(each)
    ]


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
