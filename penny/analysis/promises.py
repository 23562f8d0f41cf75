"""What Penny promised: a call, a letter, a visit, money back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penny.analysis.dialogue import Said, of_penny
from penny.analysis.words import plain


VERSION = 1
_PROMISE = re.compile(
    r"\b(?:le|te|se lo|os|les)\s+(?:llamar|enviar|mandar|devolver|abonar|contactar|avisar|confirmar"
    r"|resolver|pasar)(?:e|emos|a|an)\b"
    r"|\b(?:recibira|recibiras|tendra|quedara)\s+(?:la|el|un|una|su|tu|resuelt|solucionad)"
    r"|\bqueda\s+(?:programad|agendad|concertad|registrad|anotad)[oa]\b"
    r"|\b(?:ira|vendra|pasara)\s+(?:un|el)\s+tecnico\b"
    r"|\bse\s+(?:pondra[n]?|pondremos)\s+en\s+contacto\b"
    r"|\b(?:we|i)(?:'ll|\s+will)\s+(?:call|send|refund|contact|get back|let you know|transfer)\b"
    r"|\byou(?:'ll|\s+will)\s+(?:receive|get)\b"
)
_SENTENCE = re.compile(r"[^.!?;]+[.!?;]?")


@dataclass(frozen=True, slots=True)
class Promise:
    """A sentence that promised something, and the turn it was said in."""

    text: str
    turn: int


def find_promises(said: Sequence[Said]) -> list[Promise]:
    """What was promised in what the caller heard, each once."""
    found: dict[str, Promise] = {}
    for each in of_penny(said):
        for text in promises_in(each.text):
            found.setdefault(plain(text), Promise(text, each.turn))
    return list(found.values())


def promises_in(text: str) -> Iterator[str]:
    """The sentences of a text that promise something."""
    for sentence in _SENTENCE.findall(text):
        if _PROMISE.search(plain(sentence)):
            yield sentence.strip()
