"""What is heard where a line brought nothing: the last sound for 60 ms, fading, then silence. Pure.

Timers of a conversation count audio, so a gap must be as long as it lasted: by the carrier's own
timestamps where it has any (``Arrivals.take``), by the clock where nothing comes (``tick``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


_Floats = npt.NDArray[np.float64]

CONCEALED_MS = 60
"""A longer gap would sound like a machine: it fades to silence until then."""
PATIENCE_MS = 100
"""A line that brought nothing for so long beyond its last frame is taken to be silent."""
PAUSE_MS, SILENT = 60, 80
"""So much in a row below this peak of PCM16 is a pause."""
PAUSE_PATIENCE_MS = 30
"""In a pause nothing is lost by filling sooner, and a turn ends in time though frames are late."""
AHEAD_MS = 15
"""Quiet frames that come after the clock has filled their place go, beyond so much."""
QUIET = 250
"""Peak of PCM16 below which a frame is no speech, and may go where there is too much audio."""
MOST_MS = 10_000
"""A longer jump of timestamps is no gap but another clock."""
SEAM_MS = 4
"""Over so much the substitute gives way to what came."""
_KEPT_MS = 40
_LOWEST_HZ, _HIGHEST_HZ = 66, 400
"""Of a voice: its period is looked for between these."""


class Concealment:
    """Fills gaps in one stream of mono PCM16 with its last period (as G.711's Appendix I does)."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._history: _Floats = np.zeros(rate_hz * _KEPT_MS // 1000)
        self._period: _Floats | None = None
        """What is repeated, while a gap lasts."""
        self._filled = 0

    def pass_on(self, pcm: bytes) -> bytes:
        """Audio that came: as it is, but for the seam after a gap."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float64)
        if self._period is not None:
            seam = min(self._rate_hz * SEAM_MS // 1000, samples.size)
            rising = np.arange(1, seam + 1) / (seam + 1)
            samples[:seam] = samples[:seam] * rising + self._substitute(seam) * (1 - rising)
            pcm = samples.astype("<i2").tobytes()
            self._period, self._filled = None, 0
        self._history = np.concatenate((self._history, samples))[-self._history.size :]
        return pcm

    def fill(self, ms: int) -> bytes:
        """So much of a gap, which may go on."""
        if self._period is None:
            self._period = self._find_period()
        return self._substitute(self._rate_hz * ms // 1000).astype("<i2").tobytes()

    def _substitute(self, count: int) -> _Floats:
        assert self._period is not None
        at = self._filled + np.arange(count)
        self._filled += count
        fade = 1 - at / (self._rate_hz * CONCEALED_MS / 1000)
        sound: _Floats = self._period[at % self._period.size] * np.maximum(fade, 0.0)
        return sound

    def _find_period(self) -> _Floats:
        """The last stretch that repeats, by the correlation of the last 20 ms with what was."""
        history, recent = self._history, self._rate_hz // 50
        lags = np.arange(self._rate_hz // _HIGHEST_HZ, self._rate_hz // _LOWEST_HZ + 1)
        windows = np.lib.stride_tricks.sliding_window_view(history, recent)
        before = windows[history.size - recent - lags]
        likeness = before @ history[-recent:] / (np.sqrt((before**2).sum(axis=1)) + 1.0)
        lag = int(lags[np.argmax(likeness)])
        return history[-lag:].copy()


class Arrivals:
    """A caller's audio made whole, on the clock.

    Args:
        rate_hz: of the line's samples.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._concealment = Concealment(rate_hz)
        self._expected: int | None = None
        self._unit_hz = 0
        """Steps of the timestamps in a second; 0 until two frames in a row have told."""
        self._until_s: float | None = None
        """When the last frame that came was over."""
        self._covered_ms = 0
        """Filled by the clock since that frame."""
        self._owed_ms = 0.0
        """Filled by the clock in all, and not yet told to be lost, nor left out again."""
        self._silent_ms = 0.0
        """Of the last frames that came, in a row."""
        self._begun_s: float | None = None
        """When the audio began, by the frames that were the least late."""
        self._passed_ms = 0.0
        """Audio given in all, since the first frame began."""
        self.concealed_ms = 0
        self.dropped_ms = 0.0

    def take(self, pcm: bytes, now_s: float, at: int | None = None) -> bytes:
        """A frame that came, behind what fills the gap before it; b"" for a quiet one whose place
        the clock has filled, so that the caller's clock does not run ahead.

        Args:
            at: its timestamp as the carrier counts: milliseconds or samples, which is found out.
        """
        samples = len(pcm) // 2
        missing_ms = self._missing_ms(samples, at)
        told_ms = min(missing_ms, self._owed_ms)
        self._owed_ms -= told_ms
        self._covered_ms = 0
        self._until_s = now_s
        length_ms, peak = samples * 1000 / self._rate_hz, _peak(pcm)
        self._silent_ms = self._silent_ms + length_ms if peak < SILENT else 0.0
        if self._begun_s is None:
            self._begun_s = now_s - length_ms / 1000
        filled = self._fill(round(missing_ms - told_ms)) if missing_ms > told_ms else b""
        ahead_ms = length_ms - self._behind_ms(now_s)
        if ahead_ms > self._owed_ms:  # those before were later than this one
            self._begun_s -= (ahead_ms - self._owed_ms) / 1000
        if ahead_ms > AHEAD_MS and self._owed_ms >= length_ms and not filled and peak < QUIET:
            self._owed_ms -= length_ms
            self.dropped_ms += length_ms
            return b""
        self._passed_ms += length_ms
        return filled + self._concealment.pass_on(pcm)

    def tick(self, now_s: float) -> bytes:
        """What stands for a line that has been silent for too long; b"" while it is not."""
        if self._until_s is None:
            return b""
        if self._silent_ms >= PAUSE_MS:
            missing_ms, patience_ms = self._behind_ms(now_s), PAUSE_PATIENCE_MS
        else:
            missing_ms = (now_s - self._until_s) * 1000 - self._covered_ms
            patience_ms = PATIENCE_MS - self._covered_ms
        if missing_ms < max(20, patience_ms):
            return b""
        filled_ms = int(missing_ms) // 20 * 20
        self._covered_ms += filled_ms
        self._owed_ms += filled_ms
        return self._fill(filled_ms)

    def _behind_ms(self, now_s: float) -> float:
        """How far what was given is behind the clock."""
        assert self._begun_s is not None
        return (now_s - self._begun_s) * 1000 - self._passed_ms

    def _fill(self, ms: int) -> bytes:
        self.concealed_ms += ms
        self._passed_ms += ms
        return self._concealment.fill(ms)

    def _missing_ms(self, samples: int, at: int | None) -> int:
        """By the timestamps; 0 where they tell nothing."""
        before, unit_hz = self._expected, self._unit_hz
        if at is None or samples == 0:
            self._expected = None
            return 0
        if before is not None and unit_hz == 0:
            # Two in a row: the step is the frame's length, in one unit or the other.
            step = at - before
            self._unit_hz = {samples: self._rate_hz, samples * 1000 // self._rate_hz: 1000}.get(
                step, 0
            )
        if self._unit_hz == 0:
            self._expected = at
            return 0
        length = samples * self._unit_hz // self._rate_hz
        self._expected = at + length
        if before is None or unit_hz == 0:
            return 0
        missing_ms = (at - before) * 1000 // unit_hz
        return missing_ms if 0 < missing_ms <= MOST_MS else 0


def _peak(pcm: bytes) -> int:
    samples = np.frombuffer(pcm, "<i2").astype(np.int32)
    return int(np.abs(samples).max()) if samples.size else 0
