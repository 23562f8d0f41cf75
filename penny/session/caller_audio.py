"""Where the caller's audio lies on a session's clock: when each position of it arrived."""

from __future__ import annotations

from penny.audio.format import PCM24K, AudioFormat
from penny.turns.audio_clock import AudioClock


class CallerAudio:
    """The caller's audio so far.

    Args:
        started_s: when the session began, on the loop's clock.
    """

    def __init__(self, started_s: float) -> None:
        self.format: AudioFormat = PCM24K
        self.length_ms = 0.0
        self._started_s = started_s
        self._clock = AudioClock()

    def take(self, audio: str, at_s: float) -> None:
        """A piece of it, in base64."""
        self.length_ms += self.format.ms_of_base64(audio)
        self._clock.mark(self.length_ms, at_s)

    def arrival_ms(self, position_ms: float, now_ms: float) -> float:
        """When the audio at ``position_ms`` arrived; now where none did (a client without it)."""
        if not self.length_ms:
            return now_ms
        return (self._clock.at(max(0.0, position_ms)) - self._started_s) * 1000
