"""The little Spanish grammar that turns a folio's notes into sentences for the speaker. Pure.

A note that fits no rule here stays as the brain wrote it: a clumsy sentence is better than a
wrong one.
"""

from __future__ import annotations

import re


MONTHS = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
]
_IRREGULAR = {
    "decir": "di",
    "hacer": "haz",
    "poner": "pon",
    "salir": "sal",
    "tener": "ten",
    "mantener": "mantén",
    "venir": "ven",
    "ir": "ve",
    "ser": "sé",
    "dar": "da",
    "pedir": "pide",
    "repetir": "repite",
    "recordar": "recuerda",
    "mostrar": "muestra",
    "comprobar": "comprueba",
    "sugerir": "sugiere",
    "advertir": "advierte",
    "resolver": "resuelve",
    "contar": "cuenta",
    "probar": "prueba",
    "empezar": "empieza",
    "comenzar": "comienza",
    "cerrar": "cierra",
    "enviar": "envía",
    "continuar": "continúa",
    "corregir": "corrige",
    "despedir": "despide",
    "reconducir": "reconduce",
    "referir": "refiere",
    "transferir": "transfiere",
    "atender": "atiende",
    "entender": "entiende",
    "aprobar": "aprueba",
    "seguir": "sigue",
}
_MASCULINE_IN_A = frozenset(
    ["día", "problema", "tema", "sistema", "idioma", "programa", "mapa", "trámite"]
)
_FEMININE_ENDINGS = ("ción", "cion", "sión", "sion", "dad", "tad", "umbre", "a")
_DETERMINERS = frozenset(
    [
        "el",
        "la",
        "los",
        "las",
        "un",
        "una",
        "unos",
        "unas",
        "su",
        "sus",
        "este",
        "esta",
        "estos",
        "estas",
        "ese",
        "esa",
        "al",
        "del",
        "lo",
        "cada",
        "todo",
        "toda",
        "todos",
        "todas",
        "otro",
        "otra",
        "otros",
        "otras",
        "si",
        "que",
        "cómo",
        "cuándo",
        "con",
        "a",
        "de",
        "en",
        "por",
        "para",
    ]
)


def is_feminine(noun: str) -> bool:
    word = noun.lower().removesuffix("s")
    return word not in _MASCULINE_IN_A and word.endswith(_FEMININE_ENDINGS)


def is_plural(noun: str) -> bool:
    return noun.lower().endswith("s") and len(noun) > 3


def definite(noun: str) -> str:
    """``fecha`` -> ``la fecha``; a plural and what begins with a determiner stay bare."""
    first = noun.split(" ", 1)[0]
    if not first or first.lower() in _DETERMINERS or is_plural(first) or not first.islower():
        return noun
    return f"{'la' if is_feminine(first) else 'el'} {noun}"


def indefinite(noun: str) -> str:
    """``factura`` -> ``una factura``."""
    first = noun.split(" ", 1)[0]
    if not first or first.lower() in _DETERMINERS or is_plural(first):
        return noun
    return f"{'una' if is_feminine(first) else 'un'} {noun}"


def command(infinitive: str) -> str | None:
    """``Confirmar`` -> ``Confirma``: the familiar imperative; None for what is no infinitive."""
    verb = infinitive.lower()
    if verb in _IRREGULAR:
        form = _IRREGULAR[verb]
    elif re.fullmatch(r"[a-záéíóúñü]{2,}ar", verb):
        form = verb[:-1]
    elif re.fullmatch(r"[a-záéíóúñü]{2,}(er|ir)", verb):
        form = verb[:-2] + "e"
    else:
        return None
    return form[0].upper() + form[1:]


def forbid(infinitive: str) -> str:
    """``mencionar`` -> ``menciones``: the familiar form after ``no``."""
    verb = infinitive.lower()
    if verb.endswith("ar"):
        stem = verb[:-2]
        if stem.endswith("c"):
            stem = stem[:-1] + "qu"
        elif stem.endswith("g"):
            stem += "u"
        elif stem.endswith("z"):
            stem = stem[:-1] + "c"
        return stem + "es"
    irregular = {"decir": "digas", "hacer": "hagas", "ofrecer": "ofrezcas", "dar": "des"}
    return irregular.get(verb, verb[:-2] + "as")


def date(year: int, month: int, day: int) -> str:
    """``15 de enero 2025``, as the specification writes it."""
    return f"{day} de {MONTHS[month - 1]} {year}"
