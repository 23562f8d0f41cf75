"""The sentences as sound, recorded once: the gateway holds no engine and needs none.

``recordings/<language>/<sentence>.ogg`` were spoken by the embedded voice. An operator's own
folder of the same shape comes first (``python -m penny fillers``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import structlog

from modes.self_hosted.waiting.sentences import SENTENCES, Sentence
from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.audio.wav import read_audio


log = structlog.get_logger()

FOLDER = Path(__file__).with_name("recordings")
SUFFIXES = (".ogg", ".flac", ".wav")


@dataclass(frozen=True, slots=True)
class Recording:
    """One sentence: its words, and its sound as PCM16 at 24 kHz."""

    text: str
    pcm24k: bytes


class Recordings:
    """Args: folder: an operator's own recordings, which come before the ones that come along."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folders = [FOLDER] if folder is None else [folder, FOLDER]

    def find(self, language: str, sentence: Sentence) -> Recording:
        """``language`` is one of ``SENTENCES``. Without sound the words stand alone."""
        text = SENTENCES[language][sentence]
        for folder in self._folders:
            for suffix in SUFFIXES:
                path = folder / language / f"{sentence}{suffix}"
                if path.is_file():
                    return Recording(text, _read(path))
        log.error("recording_missing", sentence=sentence, language=language)
        return Recording(text, b"")


@lru_cache(maxsize=64)
def _read(path: Path) -> bytes:
    """PCM16 at 24 kHz; nothing, told once, of a file that cannot be read."""
    try:
        pcm, rate_hz = read_audio(path)
        to_24k = Converter(AudioFormat("pcm16", rate_hz), PCM24K)
        return to_24k.process(pcm) + to_24k.flush()
    except ValueError as error:
        log.error("recording_unreadable", path=str(path), reason=str(error))  # noqa: TRY400
        return b""
