"""Which eSpeak NG voice, pitch and pace stand for a voice name of the Realtime API.

The names are OpenAI's, so a session that asks for one of them gets a voice that differs from the
others. The variants are chosen from eSpeak NG 1.52's by name and pitch, not by ear; all of them
are formant voices and sound like machines.
"""

from __future__ import annotations

from dataclasses import dataclass


DEFAULT_NAME = "marin"
BASE_RATE_WPM = 165


@dataclass(frozen=True, slots=True)
class Variant:
    """How one of our voices differs from the voice of its language.

    ``pitch`` is eSpeak's 0..99 (50 is the variant's own); ``pace`` multiplies the speed.
    """

    name: str
    pitch: int = 50
    pace: float = 1.0


VARIANTS = {
    "alloy": Variant("f2", 44),
    "ash": Variant("m3", 46),
    "ballad": Variant("m7", 54, 0.95),
    "cedar": Variant("m1", 40, 0.97),
    "coral": Variant("f3", 55),
    "echo": Variant("m6", 50),
    "marin": Variant("f2", 54),
    "sage": Variant("f4", 48, 0.97),
    "shimmer": Variant("f1", 60, 1.03),
    "verse": Variant("m2", 52, 1.03),
}

# BCP 47 prefix -> eSpeak language. Plain "es" is Latin American, as most callers are.
_LANGUAGES = {
    "es": "es-419",
    "es-419": "es-419",
    "es-es": "es",
    "en": "en-us",
    "en-us": "en-us",
    "en-gb": "en-gb-x-rp",
}
DEFAULT_LANGUAGE = "es"


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A voice as eSpeak NG is told it.

    What the library is told: ``voice`` such as ``es-419+f2``.
    """

    voice: str
    rate_wpm: int
    pitch: int


def choose_voice(language: str, name: str, speed: float) -> EspeakVoice:
    """Map a session's voice to eSpeak's. Unknown names and languages fall to the defaults."""
    variant = VARIANTS.get(name.lower(), VARIANTS[DEFAULT_NAME])
    rate_wpm = round(BASE_RATE_WPM * speed * variant.pace)
    return EspeakVoice(f"{espeak_language(language)}+{variant.name}", rate_wpm, variant.pitch)


def espeak_language(language: str) -> str:
    """``es-MX`` -> ``es-419``, ``en-AU`` -> ``en-us``, unknown -> the default's."""
    tag = language.lower().replace("_", "-")
    primary = tag.split("-", 1)[0]
    return _LANGUAGES.get(tag) or _LANGUAGES.get(primary) or _LANGUAGES[DEFAULT_LANGUAGE]
