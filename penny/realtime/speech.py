"""Aligns an answer's words with its audio, so that truncation keeps what was heard.

Words and audio of an answer arrive in order: a phrase, then its audio. Inside a phrase the words
are taken to be spread evenly over its audio by characters. A phrase whose audio was cut before
its end has no known length; it is estimated from the pace of the phrases before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from penny.audio.format import PCM24K


BYTES_PER_MS = round(PCM24K.bytes_per_ms)
DEFAULT_MS_PER_CHAR = 65.0
"""About 15 characters a second, an ordinary pace in Spanish and English."""


@dataclass(slots=True)
class Phrase:
    """One synthesised phrase: its words and the bytes of PCM16 at 24 000 Hz sent for it."""

    text: str
    audio_bytes: int = 0


class Speech:
    """Words and audio of one answer. ``heard <= sent <= generated`` holds for its milliseconds."""

    def __init__(self) -> None:
        self._phrases: list[Phrase] = []
        self._bytes = 0
        self._finished = False
        self._heard_ms: int | None = None

    @property
    def audio_ms(self) -> int:
        """Audio sent, in whole milliseconds."""
        return self._bytes // BYTES_PER_MS

    @property
    def text(self) -> str:
        """Every word announced."""
        return "".join(phrase.text for phrase in self._phrases)

    @property
    def heard_ms(self) -> int:
        """Audio in the caller's ears as far as is known: all that was sent, or the cut."""
        return self.audio_ms if self._heard_ms is None else min(self._heard_ms, self.audio_ms)

    @property
    def is_cut(self) -> bool:
        return self._heard_ms is not None

    def add_words(self, text: str) -> None:
        """Announce words. Deltas with no audio between them are one phrase."""
        if self._phrases and not self._phrases[-1].audio_bytes:
            self._phrases[-1].text += text
        else:
            self._phrases.append(Phrase(text))

    def add_audio(self, n_bytes: int) -> None:
        if not self._phrases:
            self._phrases.append(Phrase(""))
        self._phrases[-1].audio_bytes += n_bytes
        self._bytes += n_bytes

    def finish(self) -> None:
        """The last phrase has all its audio: its length is now known."""
        self._finished = True

    def truncate(self, audio_end_ms: int) -> int:
        """Keep what was heard until ``audio_end_ms``; return it clamped to what is there.

        A second cut can only shorten: words once taken out of the context do not come back.
        """
        self._heard_ms = min(audio_end_ms, self.heard_ms)
        return self._heard_ms

    def heard_text(self) -> str:
        """Return the words inside the heard audio, whole words only."""
        is_whole = self.heard_ms >= self.audio_ms
        if is_whole and self._finished and self._bytes:
            return self.text
        left: float = self._bytes if is_whole else self.heard_ms * BYTES_PER_MS
        heard: list[str] = []
        for index, phrase in enumerate(self._phrases):
            length = self._length_bytes(index)
            if left < length or not length:
                heard.append(_cut_words(phrase.text, left / length if length else 0.0))
                break
            heard.append(phrase.text)
            left -= length
        return "".join(heard)

    def _length_bytes(self, index: int) -> float:
        phrase = self._phrases[index]
        if index < len(self._phrases) - 1 or self._finished:
            return phrase.audio_bytes
        done = self._phrases[:index]
        chars = sum(len(each.text) for each in done)
        pace = sum(each.audio_bytes for each in done) / chars if chars else 0.0
        pace = pace or DEFAULT_MS_PER_CHAR * BYTES_PER_MS
        return max(phrase.audio_bytes, len(phrase.text) * pace) if phrase.audio_bytes else 0.0


def _cut_words(text: str, fraction: float) -> str:
    """Return the words of ``text`` that end within ``fraction`` of its characters."""
    limit = fraction * len(text)
    end = 0
    for position in range(1, len(text) + 1):
        if position > limit:
            break
        if position == len(text) or text[position].isspace():
            end = position
    return text[:end]
