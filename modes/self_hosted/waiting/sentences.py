"""What a waiting caller is told, by language, and its sound: the gateway holds no engine.

``recordings/<language>/<sentence>.ogg`` were spoken by the embedded voice. An operator's own
folder of the same shape (``waiting.recordings``; .ogg, .flac or .wav) comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import structlog

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.audio.wav import read_audio


log = structlog.get_logger()

FOLDER = Path(__file__).with_name("recordings")
SUFFIXES = (".ogg", ".flac", ".wav")

Sentence = Literal["preparing", "patience", "moved", "sorry"]

SENTENCES: dict[str, dict[Sentence, str]] = {
    "es": {
        "preparing": "Un momento, estoy preparando la sala privada.",
        "patience": "Sigo aquí, preparando la sala privada. Gracias por esperar.",
        "moved": "La sala privada no está lista y le atiende el servicio externo. "
        "¿En qué puedo ayudarle?",
        "sorry": "Lo siento, la sala privada no está disponible. "
        "Inténtelo de nuevo dentro de unos minutos.",
    },
    "en": {
        "preparing": "One moment, I am preparing the private room.",
        "patience": "Still here, preparing the private room. Thank you for waiting.",
        "moved": "The private room is not ready, so the external service answers. "
        "How can I help you?",
        "sorry": "I am sorry, the private room is not available. "
        "Please try again in a few minutes.",
    },
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One sentence: its words, and its sound as PCM16 at 24 kHz."""

    text: str
    pcm24k: bytes

    @property
    def seconds(self) -> float:
        return PCM24K.ms_of(len(self.pcm24k)) / 1000


class Recordings:
    """The recorded sentences. ``folder``: an operator's own, which come first."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folders = [FOLDER] if folder is None else [folder, FOLDER]

    def find(self, language: str, sentence: Sentence) -> Recording:
        """In ``language`` (BCP-47), else in Spanish. Without sound the words stand alone."""
        known = language[:2] if language[:2] in SENTENCES else "es"
        text = SENTENCES[known][sentence]
        for folder in self._folders:
            for suffix in SUFFIXES:
                path = folder / known / f"{sentence}{suffix}"
                if path.is_file():
                    return Recording(text, _read(path))
        log.error("recording_missing", sentence=sentence, language=known)
        return Recording(text, b"")


@lru_cache(maxsize=64)
def _read(path: Path) -> bytes:
    """PCM16 at 24 kHz; nothing, logged once, of a file that cannot be read."""
    try:
        pcm, rate_hz = read_audio(path)
        to_24k = Converter(AudioFormat("pcm16", rate_hz), PCM24K)
        return to_24k.process(pcm) + to_24k.flush()
    except ValueError as error:
        log.error("recording_unreadable", path=str(path), reason=str(error))  # noqa: TRY400
        return b""
