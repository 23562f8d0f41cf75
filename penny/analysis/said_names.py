"""Names of people, by what is said before them: "me llamo …", "a nombre de …". Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penny.analysis.words import plain


MOST_WORDS = 4
_SURE = (
    r"me llamo|mi nombre es|se llama|a nombre de|de parte de|al habla|my name is|my name's"
    r"|nombre del titular es|pregunte por|pregunten por"
)
_MAYBE = (
    r"soy|habla(?: usted)?(?: con)?|le atiende|titular es|compañer[oa]|don|doña|señor(?:a|ita)?|sr"
    r"|sra|dígale a|this is|i am|i'm|hijo|hija|marido|mujer"
)
_CUE = re.compile(rf"\b(?:(?P<sure>{_SURE})|(?:{_MAYBE}))[\s,.]+", re.IGNORECASE)
_TITLE = re.compile(r"(?:el|la|don|doña|señor(?:a|ita)?|sr\.?|sra\.?)\s+", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)?")
_NOT_NAMES_WORDS = (
    "a al algo alguien antes aqui asi aun ayer bien buena bueno cliente clienta con cual"
    " cuando de del desde dice digo dueno donde e el ella en es ese esta estoy extranjera"
    " extranjero fue ha he hija hijo hoy i igual is it jubilada jubilado la lo los mas me mi"
    " mis mucho muy nada ni no nueva nuevo o otra para pero porque pues que quien se si sin"
    " sobre solo su tengo the titular tu u un una usted ustedes vecina vecino viuda vive y ya"
    " yo telefono dni correo amable encantada encantado contento contenta harto harta autonoma"
    " autonomo mayor madre padre mujer marido hermana hermano persona senor senora"
)
_NOT_NAMES = frozenset(_NOT_NAMES_WORDS.split())
_GIVEN_WORDS = (
    "adrian agustin ainhoa alba alberto alejandra alejandro alex alfonso alfredo alicia"
    " alvaro amparo ana andrea andres angel angela angeles antonia antonio aurora barbara"
    " beatriz begona belen blanca borja bruno camila carla carlos carmen carolina catalina"
    " cecilia celia cesar clara claudia consuelo cristian cristina cristobal daniel daniela"
    " david diana diego dolores domingo eduardo elena elisa elvira emilia emilio encarnacion"
    " enrique ernesto esperanza esteban esther eugenia eva fatima felipe felix fernando"
    " fernanda francisca francisco gabriel gabriela gema gerardo german gloria gonzalo"
    " gregorio guadalupe guillermo gustavo hector hugo ignacio ines inma irene isabel ismael"
    " ivan jacinto jaime javier jesus joaquin jorge jose josefa joan juan juana julia julian"
    " julio laura leonor leticia lola lorena lorenzo lourdes lucas lucia luis luisa luz"
    " magdalena manuel manuela marcos margarita maria mariana mario marina marta martin"
    " martina mateo matias mercedes miguel miriam monica montserrat natalia nerea nicolas"
    " noelia nuria olga oscar pablo paloma patricia paula paulina pedro pilar rafael ramon"
    " raquel raul rebeca ricardo roberto rocio rodrigo rosa rosario ruben salvador samuel"
    " sandra santiago sara sebastian sergio silvia sofia soledad sonia susana teresa tomas"
    " valentina valeria vanesa veronica vicente victor victoria virginia yolanda john peter"
    " mary james anna susan robert michael"
)
_GIVEN = frozenset(_GIVEN_WORDS.split())


def read_names(text: str) -> Iterator[tuple[str, int, int]]:
    """Names as they were said, and from where to where.

    Behind "me llamo" any words are a name; behind "soy" what is written with capitals, or begins
    with a given name that is known.
    """
    for cue in _CUE.finditer(text):
        start = cue.end()
        while title := _TITLE.match(text, start):
            start = title.end()
        words = list(_words(text, start))
        if not words:
            continue
        first = words[0].group()
        if cue["sure"] or first[:1].isupper() or plain(first) in _GIVEN:
            begins, ends = words[0].start(), words[-1].end()
            yield text[begins:ends], begins, ends


def _words(text: str, start: int) -> Iterator[re.Match[str]]:
    """Words of a name, up to punctuation or a word that is in none."""
    at, is_capital = start, None
    for count, word in enumerate(_WORD.finditer(text, start)):
        between = text[at : word.start()]
        if between.strip() or (count and not between) or count == MOST_WORDS:
            return
        if plain(word.group()) in _NOT_NAMES or plain(word.group()) == "arroba":
            return
        if is_capital and not word.group()[:1].isupper():
            return
        is_capital = word.group()[:1].isupper()
        at = word.end()
        yield word
