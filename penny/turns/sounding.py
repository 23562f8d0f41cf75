"""How long what was sent to a caller still sounds, by the session's own audio format. Pure."""

from __future__ import annotations

from typing import Any


Json = dict[str, Any]

PCM24K_CHARS_PER_MS = 64.0
"""24 000 Hz x 2 bytes = 48 bytes a millisecond, 64 characters of base64."""
G711_CHARS_PER_MS = 32 / 3
_SESSION_EVENTS = frozenset({"session.updated", "penny.session"})
SOUNDING_EVENTS = (
    "response.output_audio.delta",
    "input_audio_buffer.speech_started",
    *sorted(_SESSION_EVENTS),
)
"""Others do not concern it."""


def count_chars_per_ms(audio_format: Json | None) -> float:
    """Characters of base64 in a millisecond of a Realtime ``format`` object's audio."""
    g711 = (audio_format or {}).get("type") in ("audio/pcmu", "audio/pcma")
    return G711_CHARS_PER_MS if g711 else PCM24K_CHARS_PER_MS


class Sounding:
    """An observer of a session, one for all who want to know; audio plays piece after piece."""

    listens_to = SOUNDING_EVENTS

    def __init__(self) -> None:
        self._chars_per_ms = PCM24K_CHARS_PER_MS
        self._until_s = 0.0

    def caller_event(self, event: Json, at_s: float) -> None:
        """What the caller sends sounds nowhere."""

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind = event["type"]
        if kind == "response.output_audio.delta":
            seconds = len(event["delta"]) / self._chars_per_ms / 1000
            self._until_s = max(self._until_s, at_s) + seconds
        elif kind == "input_audio_buffer.speech_started":
            self._until_s = at_s  # the caller spoke over it: it sounds no longer
        elif kind in _SESSION_EVENTS:
            output = (event["session"].get("audio") or {}).get("output") or {}
            self._chars_per_ms = count_chars_per_ms(output.get("format"))

    def ended(self, reason: str, at_s: float) -> None:
        """What was sent still sounds."""

    def left_s(self, at_s: float) -> float:
        """Seconds until silence."""
        return max(0.0, self._until_s - at_s)
