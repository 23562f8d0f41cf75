"""What the caller hears of Penny now, judged on the caller's own audio clock.

The worker sends audio faster than it is played, and a Realtime client reports nothing while it
plays. But caller audio arrives in real time, so its clock tells how much of what was sent must
have been heard by now: good enough to know whether the caller speaks over Penny, and what the
line can give back as an echo.
"""

from __future__ import annotations

from collections import deque

from penny.audio.resample import Resampler
from penny.realtime.commands import (
    AudioDelta,
    EngineReport,
    GenerationDone,
    GenerationFailed,
    PhraseDelta,
)
from runpod_worker.stages import STT_RATE_HZ, TTS_RATE_HZ


BYTES_PER_MS = TTS_RATE_HZ * 2 // 1000
LAST_CHARS = 600
"""Of Penny's words, kept to know them again: half a minute of speech."""


class AgentVoice:
    """Penny's voice on its way to the caller; ``at_ms`` is a position of the input audio clock."""

    MARGIN_MS = 200
    """Network and jitter buffer between the worker and the caller's ear."""
    ENDING_MS = 600
    """The last words of a question, over which it is answered."""
    LEAD_MS = 120
    """What the caller's side has already when it is told to hold."""

    def __init__(self) -> None:
        self._until_ms = 0.0
        self._held_ms: float | None = None
        self._is_growing = False
        self._ahead: deque[bytes] = deque()
        self._sounding = b""
        self._to_16k = Resampler(TTS_RATE_HZ, STT_RATE_HZ)
        self.spoke = False
        self.words = ""
        """The last of what Penny said."""

    def note(self, report: EngineReport, at_ms: float) -> None:
        """A report of the answer in the conversation, before anything of it is sent."""
        match report:
            case AudioDelta(pcm=pcm):
                self.sent(at_ms, pcm)
            case PhraseDelta(text=text):
                self.words = f"{self.words} {text}"[-LAST_CHARS:]
            case GenerationDone() | GenerationFailed():
                self.finish()

    def sent(self, at_ms: float, pcm24k: bytes) -> None:
        """More of Penny's voice went out; it plays after what is already queued."""
        self._until_ms = max(self._until_ms, at_ms) + len(pcm24k) / BYTES_PER_MS
        self._ahead.append(pcm24k)
        self.spoke = self._is_growing = True

    def finish(self) -> None:
        """Nothing follows on what was sent."""
        self._is_growing = False

    def is_ending(self, at_ms: float) -> bool:
        """Whether the caller hears the end of it: what is said now may answer it."""
        return not self._is_growing and self._until_ms - at_ms <= self.ENDING_MS

    def stop(self, at_ms: float) -> None:
        """The caller's side stopped playing (interruption, truncation)."""
        self._held_ms = None
        self._is_growing = False
        self._until_ms = min(self._until_ms, at_ms - self.MARGIN_MS)
        self._ahead.clear()

    def hold(self, at_ms: float) -> None:
        """The caller's side pauses as soon as it can."""
        self._held_ms = at_ms

    def resume(self, at_ms: float) -> None:
        """Playback goes on where it was held."""
        if self._held_ms is not None:
            self._until_ms += max(0.0, at_ms - self._held_ms - self.LEAD_MS)
            self._held_ms = None

    def is_audible(self, at_ms: float) -> bool:
        return self._held_ms is not None or (
            at_ms < self._until_ms + self.MARGIN_MS and self._until_ms > 0
        )

    def play(self, at_ms: float, size: int) -> bytes:
        """The next ``size`` bytes of what the caller hears (16 kHz), or b'' when Penny is silent.

        To be asked for once for every piece of the caller's audio.
        """
        is_held = self._held_ms is not None and at_ms >= self._held_ms + self.LEAD_MS
        while self._ahead and len(self._sounding) < size and not is_held:
            self._sounding += self._to_16k.process(self._ahead.popleft())
        if is_held or not self._sounding:
            return b""
        played, self._sounding = self._sounding[:size], self._sounding[size:]
        return played.ljust(size, b"\0")
