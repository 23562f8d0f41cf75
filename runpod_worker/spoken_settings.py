"""Sentences that a worker says beside its answers."""

from __future__ import annotations

from pydantic import Field

from penny.section import Section


class SpokenSettings(Section):
    """What is said when a stage gives no words or is slow, by language."""

    not_understood: dict[str, str] = Field(
        {
            "es": "Perdone, no le he entendido. ¿Puede repetirlo?",
            "en": "Sorry, I did not understand. Could you say it again?",
        },
        description="speech was heard but its words are not trusted",
    )
    apology: dict[str, str] = Field(
        {
            "es": "Perdone, he tenido un problema. ¿Puede repetirlo?",
            "en": "Sorry, something went wrong on my side. Could you say it again?",
        },
        description="an answer failed, or had no words; once a turn",
    )
    replaced: dict[str, str] = Field(
        {
            "es": "Perdone, se ha cortado un momento. Le respondo.",
            "en": "Sorry, I was cut off for a moment. Here is my answer.",
        },
        description="a worker died and another one answers the turn again",
    )

    fillers: dict[str, tuple[str, ...]] = Field(
        {
            "es": ("A ver…", "Un momento…", "Pues mire…"),
            "en": ("Let me see…", "One moment…", "Well…"),
        },
        description="said, in turn, while an answer is slow",
    )
    filler_after_ms: int = Field(
        1800,
        ge=0,
        le=30_000,
        description="silence after the caller's last word before a filler; 0 says none",
    )

    def in_language(self, sentences: dict[str, str], language: str) -> str:
        """The sentence in ``language``, else in the first language there is."""
        return sentences.get(language[:2]) or next(iter(sentences.values()), "")

    def apologies(self) -> dict[str, tuple[str, ...]]:
        """``apology`` as what is made ahead of its time."""
        return {language: (text,) for language, text in self.apology.items() if text}
