"""Whether the caller probably hears Penny now, judged on the caller's own audio clock.

The worker sends audio faster than it is played, and a Realtime client reports nothing while it
plays. But caller audio arrives in real time, so its clock tells how much of what was sent must
have been heard by now. Good enough for one decision: which burst of caller speech is long enough
to interrupt.
"""

from __future__ import annotations


class AgentVoice:
    """Estimates until when the caller hears Penny, on the caller's audio clock.

    Pure bookkeeping; ``at_ms`` is the position on the input audio clock.
    """

    MARGIN_MS = 200
    """Network and jitter buffer between the worker and the caller's ear."""

    def __init__(self) -> None:
        self._until_ms = 0.0
        self.spoke = False

    def sent(self, at_ms: float, audio_ms: float) -> None:
        """``audio_ms`` more of Penny's voice went out; it plays after what is already queued."""
        self._until_ms = max(self._until_ms, at_ms) + audio_ms
        self.spoke = True

    def stop(self, at_ms: float) -> None:
        """The caller's side stopped playing (interruption, truncation)."""
        self._until_ms = min(self._until_ms, at_ms - self.MARGIN_MS)

    def is_audible(self, at_ms: float) -> bool:
        return at_ms < self._until_ms + self.MARGIN_MS and self._until_ms > 0
