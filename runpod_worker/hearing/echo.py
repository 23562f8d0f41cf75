"""Penny's own voice taken out of what the caller's line brings back (WebRTC's AEC3).

Most lines bring nothing back: headsets, browsers that cancel by themselves. There the canceller
would only damage what the caller says over Penny, so it runs from the moment an echo is found.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from pywebrtc_audio import EchoCanceller

from penny.audio.level import rms_dbfs
from runpod_worker.hearing.agent_voice import AgentVoice
from runpod_worker.stages import STT_RATE_HZ


FRAME_BYTES: Final = STT_RATE_HZ * 2 // 100
"""AEC3 takes 10 ms."""
WINDOW: Final = 8192
"""Samples of the line in which an echo is looked for: half a second."""
LONGEST_DELAY: Final = 9600
"""Samples; 600 ms from the worker to the caller's ear and back."""
LATE_BYTES: Final = 48 * STT_RATE_HZ * 2 // 1000
"""The line waits so long for its reference, whose moment is an estimate: an echo comes after it."""
FIRST_LOOK_BYTES: Final = 4 * STT_RATE_HZ * 2 // 10
"""Of Penny's voice; two beginnings are alike."""
SETTLED_BYTES: Final = 8 * STT_RATE_HZ * 2 // 10
"""Of Penny's voice: four looks."""
LOOK_EVERY_BYTES: Final = STT_RATE_HZ * 2 // 10
FOUND: Final = 12.0
"""Peak of the correlation over its RMS: 4 to 12 where a caller talks over Penny, 15 to 30 where
the line brings it back (recordings of people and eSpeak NG, 8 and 16 kHz, -12 to -30 dB)."""
SAME_DELAY: Final = 48
"""Samples; an echo has one delay, a chance likeness another every time."""
WHITENED_FROM: Final = 0.03
"""Of the mean magnitude; what is fainter is no voice."""
WHITENED: Final = 0.6
"""Exponent of the magnitude taken off: by 1 a tone's edges alone (a beep, music) count and resemble
the beginning of any word: likeness 22 to 34 beside 9 to 19; recordings of people over eSpeak NG 14
and 13, echoes of it 20 and more with either."""
FORGET_BYTES: Final = 15 * STT_RATE_HZ * 2
"""Of Penny's voice without any echo; then the line is another one."""
FAINT_DBFS: Final = -60.0

Samples = npt.NDArray[np.float64]


class EchoRemover:
    """One caller's line without Penny's echo. PCM16 at 16 kHz; whole frames of 10 ms come out."""

    def __init__(self, agent: AgentVoice) -> None:
        self._agent = agent
        self._canceller: EchoCanceller | None = None
        self._rest = b""
        self._late = bytes(LATE_BYTES)
        self._near = bytes(WINDOW * 2)
        self._far = bytes((WINDOW + LONGEST_DELAY) * 2)
        """The last of both, in which the echo is looked for."""
        self._quiet_bytes = len(self._far) + 1
        self._delay = -LONGEST_DELAY
        """Where the last look found something."""
        self._played_bytes = self._looked_bytes = self._unseen_bytes = 0

    @property
    def is_on(self) -> bool:
        """Whether this line brings Penny back."""
        return self._canceller is not None

    @property
    def is_suspected(self) -> bool:
        """Whether the last look found an echo that the next one, a tenth of a second later, has
        to confirm."""
        return self._canceller is None and self._delay >= 0

    @property
    def is_unsettled(self) -> bool:
        """Whether too little of Penny's voice was played for an echo of it to be found."""
        return self._canceller is None and self._played_bytes < SETTLED_BYTES

    def process(self, pcm: bytes, at_ms: float) -> bytes:
        """``pcm`` follows on what came before; ``at_ms`` is its place on the input audio clock."""
        line = self._rest + pcm
        whole = len(line) - len(line) % FRAME_BYTES
        line, self._rest = line[:whole], line[whole:]
        played = self._agent.play(at_ms, whole)
        late = self._late + line
        late, self._late = late[:whole], late[whole:]
        self._near = (self._near + late)[-WINDOW * 2 :]
        self._far = (self._far + (played or bytes(whole)))[-(WINDOW + LONGEST_DELAY) * 2 :]
        self._quiet_bytes = 0 if played else self._quiet_bytes + whole
        self._played_bytes += len(played)
        if not line or self._quiet_bytes > len(self._far):
            return late if self.is_on else line
        if self._played_bytes >= FIRST_LOOK_BYTES:
            self._look(whole)
        if self._canceller is None:
            return line
        near, far = np.frombuffer(late, "<i2"), np.frombuffer(self._far[-whole:], "<i2")
        return self._canceller.process(near, far).astype("<i2").tobytes()

    def _look(self, heard_bytes: int) -> None:
        self._looked_bytes += heard_bytes
        self._unseen_bytes += heard_bytes
        if self._looked_bytes < LOOK_EVERY_BYTES:
            return
        self._looked_bytes = 0
        likeness, delay = 0.0, 0
        if rms_dbfs(self._near) > FAINT_DBFS:
            likeness, delay = find_echo(self._near, self._far)
        before, self._delay = self._delay, delay if likeness >= FOUND else -LONGEST_DELAY
        if abs(self._delay - before) <= SAME_DELAY and likeness >= FOUND:
            self._unseen_bytes = 0
            self._canceller = self._canceller or EchoCanceller(STT_RATE_HZ)
        elif self._unseen_bytes > FORGET_BYTES:
            self._canceller = None


def find_echo(near: bytes, far: bytes) -> tuple[float, int]:
    """How surely ``near`` is a delayed ``far``, and its delay in samples. Both end now.

    The first is the peak of their correlation over its RMS, whitened so that voices of one
    pitch are not alike.
    """
    lags = (len(far) - len(near)) // 2 + 1
    size = 1 << (len(far) // 2 + WINDOW).bit_length()
    spectrum = np.fft.rfft(_samples(near) * np.hanning(len(near) // 2), size)
    cross = np.fft.rfft(_samples(far), size) * np.conj(spectrum)
    magnitude = np.abs(cross)
    cross /= (magnitude + WHITENED_FROM * magnitude.mean() + 1e-12) ** WHITENED
    correlation = np.abs(np.fft.irfft(cross)[:lags])
    rms = float(np.sqrt(np.mean(correlation**2)))
    peak = int(correlation.argmax())
    return float(correlation[peak]) / rms if rms else 0.0, lags - 1 - peak


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)
