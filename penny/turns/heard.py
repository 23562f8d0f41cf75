"""Which words of an answer the caller has heard, from the order in which text and audio arrive.

Where text comes before its audio (a synthesiser fed phrase by phrase), each run of text opens a
segment and the audio behind it belongs to that segment; inside a segment characters are spread
evenly over its audio. Where audio comes first, text and audio tell nothing about each other and
all text is spread over all audio.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Segment:
    """A piece of text and the audio that carries it."""

    chars: int
    audio_ms: float


class HeardText:
    """One item's text and audio. Memory: the text, and one small record per phrase."""

    def __init__(self) -> None:
        self._deltas: list[str] = []
        self._segments: list[_Segment] = []
        self._audio_first = False

    def text(self, delta: str) -> None:
        """A piece of the transcript arrived."""
        if not delta:
            return
        self._deltas.append(delta)
        if not self._segments or (self._segments[-1].audio_ms and not self._audio_first):
            self._segments.append(_Segment(0, 0.0))
        self._segments[-1].chars += len(delta)

    def audio(self, ms: float) -> None:
        """``ms`` milliseconds of audio arrived. Raises ValueError when negative."""
        if ms < 0:
            raise ValueError(f"ms: {ms} is negative; audio lasts 0 ms or more")
        if not ms:
            return
        if not self._segments:
            self._audio_first = True
            self._segments.append(_Segment(0, 0.0))
        self._segments[-1].audio_ms += ms

    @property
    def spoken(self) -> str:
        """The whole text so far."""
        return "".join(self._deltas)

    def heard(self, ms: float) -> str:
        """The whole words heard when playback stands at ``ms``; a word cut short is not heard."""
        return self.spoken[: self._heard_chars(ms)]

    def cut(self, ms: float) -> str:
        """The rest: ``heard(ms) + cut(ms)`` is the whole text."""
        return self.spoken[self._heard_chars(ms) :]

    def _heard_chars(self, ms: float) -> int:
        chars, ms = 0, max(ms, 0.0)
        for segment in self._segments:
            if ms < segment.audio_ms:
                chars += int(segment.chars * ms / segment.audio_ms)
                break
            if segment.audio_ms:
                chars += segment.chars
            ms -= segment.audio_ms
        return self._word_end(chars)

    def _word_end(self, chars: int) -> int:
        """The last end of a word at or before ``chars``."""
        text = self.spoken
        if chars < len(text) and not text[chars].isspace():
            while chars and not text[chars - 1].isspace():
                chars -= 1
        while chars and text[chars - 1].isspace():
            chars -= 1
        return chars
