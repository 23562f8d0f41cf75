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
LOOK_EVERY_BYTES: Final = STT_RATE_HZ * 2 // 10
FOUND: Final = 13.0
"""Peak of the correlation over its RMS: 4 to 12 where a caller talks over Penny, 15 to 30 where
the line brings her back (recordings of people and eSpeak NG, 8 and 16 kHz, -12 to -30 dB)."""
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
        self._near = self._far = b""
        """The last of both, of which the delay is told; empty while Penny is silent."""
        self._unseen_bytes = 0
        self._looked_bytes = 0

    @property
    def is_on(self) -> bool:
        """Whether this line brings Penny back."""
        return self._canceller is not None

    def process(self, pcm: bytes, at_ms: float) -> bytes:
        """``pcm`` follows on what came before; ``at_ms`` is its place on the input audio clock."""
        line = self._rest + pcm
        whole = len(line) - len(line) % FRAME_BYTES
        line, self._rest = line[:whole], line[whole:]
        played = self._agent.play(at_ms, whole)
        if not line or not (played or self._far.strip(b"\0")):
            self._near = self._far = b""
            return line
        played = played or bytes(whole)
        self._look(line, played)
        if self._canceller is None:
            return line
        near, far = np.frombuffer(line, "<i2"), np.frombuffer(played, "<i2")
        return self._canceller.process(near, far).astype("<i2").tobytes()

    def _look(self, line: bytes, played: bytes) -> None:
        self._near = (self._near + line)[-WINDOW * 2 :]
        self._far = (self._far + played)[-(WINDOW + LONGEST_DELAY) * 2 :]
        self._looked_bytes += len(line)
        self._unseen_bytes += len(line)
        if self._looked_bytes < LOOK_EVERY_BYTES:
            return
        self._looked_bytes = 0
        if rms_dbfs(self._near) > FAINT_DBFS and find_echo(self._near, self._far) >= FOUND:
            self._unseen_bytes = 0
            self._canceller = self._canceller or EchoCanceller(STT_RATE_HZ)
        elif self._unseen_bytes > FORGET_BYTES:
            self._canceller = None


def find_echo(near: bytes, far: bytes) -> float:
    """How surely ``near`` is a delayed ``far``: the peak of their correlation over its RMS.

    Whitened by phase, so that voices alike in pitch are not alike. Both end at the same moment.
    """
    size = 1 << (len(far) // 2 + WINDOW).bit_length()
    spectrum = np.fft.rfft(_samples(near) * np.hanning(len(near) // 2), size)
    cross = np.fft.rfft(_samples(far), size) * np.conj(spectrum)
    magnitude = np.abs(cross)
    cross /= magnitude + 1e-3 * magnitude.mean() + 1e-12
    correlation = np.fft.irfft(cross)[: max(1, (len(far) - len(near)) // 2 + 1)]
    rms = float(np.sqrt(np.mean(correlation**2)))
    return float(np.abs(correlation).max()) / rms if rms else 0.0


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)
