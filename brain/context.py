"""The speaker's system context: a document of named sections with a revision number. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


SectionName = Literal["base", "rules", "folio", "facts", "correction", "results"]
ORDER: tuple[SectionName, ...] = ("base", "rules", "folio", "facts", "results", "correction")
STATIC: frozenset[SectionName] = frozenset({"base", "rules"})

RULES = {
    "es": """\
Los mensajes de sistema que empiezan por un título entre corchetes ([CONTEXTO ACTUALIZADO], \
[DATOS COMPROBADOS], [CORRECCION NECESARIA], [RESULTADO]) son notas internas: la más reciente de \
cada clase sustituye a las anteriores. Úsalas y nunca las leas ni las menciones.
Comprueba antes de afirmar: una fecha, un importe, un plazo o una condición solo se dicen si están \
en las notas o en el resultado de search_knowledge; si no lo están, búscalo con search_knowledge o \
di que no lo sabes.
Habla siempre en español.""",
    "en": """\
System messages that begin with a bracketed title ([UPDATED CONTEXT], [VERIFIED FACTS], \
[CORRECTION NEEDED], [RESULT]) are internal notes: the newest of each kind replaces the earlier \
ones. Use them and never read them aloud or mention them.
Verify before you state a fact: a date, an amount, a deadline or a condition is only said when it \
stands in the notes or in a result of search_knowledge; otherwise look it up with \
search_knowledge or say that you do not know.
Always speak English.""",
}


@dataclass(frozen=True, slots=True)
class ContextSection:
    text: str
    revision: int


class SystemContext:
    """All that the speaker is told outside the conversation itself."""

    def __init__(self, base: str, language: str) -> None:
        rules = RULES["en" if language.lower().startswith("en") else "es"]
        self.revision = 0
        self._sections: dict[SectionName, ContextSection] = {
            "base": ContextSection(base, 0),
            "rules": ContextSection(rules, 0),
        }

    def put(self, name: SectionName, text: str) -> int:
        """Set a section and return the document's new revision; the same text changes nothing."""
        known = self._sections.get(name)
        if known is not None and known.text == text:
            return self.revision
        self.revision += 1
        self._sections[name] = ContextSection(text, self.revision)
        return self.revision

    def remove(self, name: SectionName) -> None:
        if self._sections.pop(name, None) is not None:
            self.revision += 1

    def get(self, name: SectionName) -> str:
        section = self._sections.get(name)
        return section.text if section else ""

    @property
    def base(self) -> str:
        return self.get("base")

    def render_static(self) -> str:
        """The part that stays: what the prompt cache holds."""
        return self._join(name for name in ORDER if name in STATIC)

    def render(self) -> str:
        """The whole document: for a rewrite, or for a new upstream."""
        return self._join(ORDER)

    def _join(self, names: Iterable[SectionName]) -> str:
        wanted = set(names)
        texts = (self._sections[n].text for n in ORDER if n in wanted and n in self._sections)
        return "\n\n".join(text for text in texts if text)
