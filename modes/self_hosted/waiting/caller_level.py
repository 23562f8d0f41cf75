"""Whether the caller speaks, by loudness alone: enough to hold one's tongue. Pure.

The worker's ears judge turns once there is a worker; here a cough may count as speech, and costs
a filler.
"""

from __future__ import annotations

from penny.audio.format import AudioFormat
from penny.audio.level import rms_dbfs


FRAME_MS = 20
MIN_SPEECH_DBFS = -45.0
"""Quieter than this is no speech into a microphone, whatever the room."""
ABOVE_FLOOR_DB = 12.0
FLOOR_START_DBFS = -60.0
FLOOR_RISE_DB = 0.02
"""Per frame: a fan that is switched on counts as silence after some ten seconds."""
ONSET_MS = 100
HANG_MS = 700
"""Silence after which speech is over: longer than between two words."""


class CallerLevel:
    """Fed with the caller's audio in its order, as it arrives."""

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._frame_bytes = audio.bytes_of(FRAME_MS)
        self._rest = b""
        self._floor_dbfs = FLOOR_START_DBFS
        self._loud_ms = self._quiet_ms = 0
        self.speaking = False

    def feed(self, data: bytes) -> None:
        """``data`` in the format given, of any length."""
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        for at in range(0, whole, self._frame_bytes):
            self._judge(rms_dbfs(self._audio.to_pcm16(data[at : at + self._frame_bytes])))
        self._rest = data[whole:]

    def _judge(self, dbfs: float) -> None:
        is_loud = dbfs > max(MIN_SPEECH_DBFS, self._floor_dbfs + ABOVE_FLOOR_DB)
        self._floor_dbfs = min(dbfs, self._floor_dbfs + FLOOR_RISE_DB)
        if is_loud:
            self._loud_ms += FRAME_MS
            self._quiet_ms = 0
        else:
            self._quiet_ms += FRAME_MS
        if self._loud_ms >= ONSET_MS:
            self.speaking = True
        if self._quiet_ms >= (HANG_MS if self.speaking else ONSET_MS):
            self.speaking = False
            self._loud_ms = 0
