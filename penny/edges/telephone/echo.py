"""Penny's own voice, as a line returns it: told from the caller's by what was played. Pure.

Analogue lines and desk telephones return some of what they are sent. Heard by what listens, that
would be a caller who interrupts. A line is found to return sound where two stretches of what came
are, one after the other, what was played, equally long ago; from then on a frame that is no louder
than that echo is silence, while what was played sounds. A louder one is the caller's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


_Floats = npt.NDArray[np.float32]

LONGEST_MS = 440
"""From a frame's playing, as it is reckoned here, to its echo: the line's, and both ways."""
EARLIEST_MS = 40
"""A far side may play so much sooner than is reckoned."""
QUIET_RMS = 60.0
"""Of PCM16: below it a frame disturbs no one."""
LOOKED_AT_MS = 60
ALIKE = 0.6
"""Correlation from which a stretch is taken for what was played."""
SAME_MS = 30
"""How far two findings may be apart: each answer begins a little sooner or later than reckoned."""
LEAST_DB = -6.0
"""An echo is weaker than this beside what was played, or is none."""
MARGIN = 2.0
"""Beside the energy of the loudest echo that was found: 3 dB."""
FORGET = 0.98
FOUND_WITHIN_MS = 600
"""What came just before a line is found to return sound was an echo, too."""
_TRIES, _OFTEN, _SELDOM = 50, 2, 20
"""Each second frame is looked at, and after so many each twentieth: a line that returns none."""


class Echo:
    """One line's: give it what is played and what comes.

    Args:
        rate_hz: of both, PCM16.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frame = rate_hz // 50
        self._played = np.zeros(self._count(2000), np.float32)
        self._end = 0
        """Sample up to which ``_played`` tells what is heard, from the clock's beginning."""
        self._loud_until = -self._played.size
        self._came = np.zeros(self._count(LOOKED_AT_MS), np.float32)
        self._at: int | None = None
        """Sample at which the next frame begins that comes."""
        self._tried = 0
        self._found: int | None = None
        """How many samples ago the last stretch that was found was played."""
        self._seen: int | None = None
        """The same of the last look, which may be chance."""
        self.gain = 0.0
        """Of the echo's energy beside what was played; 0 while none was found."""
        self.muted_ms = 0

    def play(self, pcm: bytes, at_s: float) -> None:
        """A frame of ours is heard from ``at_s`` on, by the clock."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        at = max(round(at_s * self._rate_hz), self._end)
        if at - self._end >= self._played.size:
            self._played[:] = 0
        else:
            self._put(self._end, np.zeros(at - self._end, np.float32))
        self._put(at, samples)
        self._end = at + samples.size
        if _energy(samples) > QUIET_RMS**2:
            self._loud_until = self._end

    def drop(self, at_s: float) -> None:
        """What was to be heard from ``at_s`` on is not."""
        at = round(at_s * self._rate_hz)
        if 0 < self._end - at < self._played.size:
            self._put(at, np.zeros(self._end - at, np.float32))
            self._end = at
            self._loud_until = min(self._loud_until, at)

    def take(self, pcm: bytes, now_s: float) -> bytes:
        """What came until ``now_s``: silence where it is nothing but what was played."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        by_clock = round(now_s * self._rate_hz) - samples.size
        if self._at is None or abs(by_clock - self._at) > self._count(60):
            self._at = by_clock  # else frames are one after the other, however late each comes
        at, self._at = self._at, self._at + samples.size
        self._came = np.concatenate((self._came, samples))[-self._came.size :]
        is_over = at - self._loud_until > self._count(LONGEST_MS)
        if samples.size == 0 or is_over or (energy := _energy(samples)) < QUIET_RMS**2:
            return pcm
        self._look(at + samples.size)
        if not self.gain or energy > MARGIN * self.gain * self._loudest(at, samples.size):
            return pcm
        self.muted_ms += samples.size * 1000 // self._rate_hz
        return bytes(len(pcm))

    # -- inside -------------------------------------------------------------------------------

    def _look(self, until: int) -> None:
        """Find the last stretch that came in what was played."""
        self._tried += 1
        if self._tried % (_OFTEN if self._tried <= _TRIES else _SELDOM):
            return
        longest, early = self._count(LONGEST_MS) // 2, self._count(EARLIEST_MS)
        came = _halved(self._came)
        played = _halved(self._get(until - self._came.size - 2 * longest, until + early))
        size = 1 << (played.size + came.size).bit_length()
        spectrum = np.fft.rfft(played, size) * np.conj(np.fft.rfft(came, size))
        likeness = np.fft.irfft(spectrum, size)[: played.size - came.size + 1]
        sums = np.concatenate(([0.0], np.cumsum(played.astype(np.float64) ** 2)))
        energies = np.maximum(sums[came.size :] - sums[: -came.size], came.size)
        own = float(np.dot(came, came)) + 1.0
        alike = np.abs(likeness) / np.sqrt(energies * own)
        best = int(np.argmax(alike))
        ratio = own / float(energies[best])
        if alike[best] < ALIKE or ratio > 10 ** (LEAST_DB / 10):
            return
        before, self._seen = self._seen, 2 * (longest - best)
        if before is None or abs(before - self._seen) > self._count(SAME_MS):
            return
        self._found = self._seen
        self._tried = 0 if self.gain else self._tried
        self.gain = max(ratio * float(alike[best]) ** 2, self.gain * FORGET)

    def _loudest(self, at: int, size: int) -> float:
        """Energy of the loudest frame that this one may be the echo of."""
        about, loudest = self._count(SAME_MS), 0.0
        for ago in {self._found, self._seen} - {None}:
            assert ago is not None
            played = self._get(at - ago - about, at - ago + size + about)
            sums = np.concatenate(([0.0], np.cumsum(played.astype(np.float64) ** 2)))
            loudest = max(loudest, float((sums[size:] - sums[:-size]).max()) / size)
        return loudest

    def _count(self, ms: int) -> int:
        return self._rate_hz * ms // 1000

    def _put(self, at: int, samples: _Floats) -> None:
        self._played[np.arange(at, at + samples.size) % self._played.size] = samples

    def _get(self, start: int, end: int) -> _Floats:
        """What is played then; nothing where it is not known."""
        at = np.arange(start, end)
        known = (at < self._end) & (at >= self._end - self._played.size)
        return np.where(known, self._played[at % self._played.size], np.float32(0))


def _halved(samples: _Floats) -> _Floats:
    """At half the rate: it is looked for there."""
    return (samples[::2] + samples[1::2]) * np.float32(0.5)


def _energy(samples: _Floats) -> float:
    return float(np.dot(samples, samples)) / max(1, samples.size)
