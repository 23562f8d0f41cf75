"""The busy or reorder tone that an analogue line brings once the other side has hung up. Pure.

An analogue exchange signals no hang-up: the line sounds busy instead. Frequencies and cadences are
those of ITU-T E.180, supplement 2 ("Various tones used in national networks").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


RATE_HZ = 8000
BLOCK = 160
"""Samples: 20 ms."""
CYCLES = 3
FREQUENCIES_HZ = {
    "": (425.0,),
    "CL": (400.0,),
    "GB": (400.0,),
    "FR": (440.0,),
    **dict.fromkeys(("US", "CA", "PR", "DO"), (480.0, 620.0)),
}
"""By country; '' is every other."""
CADENCES_MS = {
    "": ((200, 200), (250, 250), (500, 500)),
    "ES": ((200, 200),),
    "MX": ((250, 250),),
    "BR": ((250, 250),),
    "AR": ((300, 200), (300, 400)),
    "CL": ((500, 500), (200, 200)),
    "DE": ((480, 480), (240, 240)),
    "GB": ((375, 375),),
}
"""(tone, silence) of busy and of reorder, by country."""
OFF_BY_MS = 40
PURITY = 0.8
"""Of a block's energy that lies at the frequencies; a voice has it elsewhere, too."""
LEAST_LEVEL = 100.0
"""RMS of PCM16: -50 dBFS."""
SILENT_SHARE = 0.2
"""Of the tone's level: a pause is softer."""


class BusyTone:
    """Finds the tone in one line's sound.

    Args:
        country: of the line, as CLDR writes it; '' where it is not known.
        rate_hz: of the PCM16; a multiple of 8 000.
    """

    def __init__(self, country: str, rate_hz: int) -> None:
        self._skip = rate_hz // RATE_HZ
        self._samples: NDArray[np.int16] = np.zeros(0, dtype=np.int16)
        frequencies = FREQUENCIES_HZ.get(country, FREQUENCIES_HZ[""])
        at_s = np.arange(BLOCK) / RATE_HZ
        waves = [wave(2 * np.pi * hz * at_s) for hz in frequencies for wave in (np.sin, np.cos)]
        self._basis = np.linalg.qr(np.stack(waves, axis=1))[0]
        self._cadences = CADENCES_MS.get(country, CADENCES_MS[""])
        self._level = 0.0
        """Of the tone that sounded last."""
        self._is_on = False
        self._ms = 0
        """Of what is sounding, or is silent."""
        self._on_ms = 0
        self._between = 0
        """Blocks that are neither; one lies between tone and silence."""
        self._cycles = 0

    def take(self, pcm: bytes) -> bool:
        """Whether the tone has now sounded ``CYCLES`` times."""
        fresh = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")[:: self._skip]
        self._samples = np.concatenate((self._samples, fresh))
        while len(self._samples) >= BLOCK and self._cycles < CYCLES:
            self._step(self._samples[:BLOCK].astype(np.float64))
            self._samples = self._samples[BLOCK:]
        return self._cycles >= CYCLES

    def _step(self, block: NDArray[np.float64]) -> None:
        energy = float(block @ block)
        level = (energy / BLOCK) ** 0.5
        tone = self._basis.T @ block
        is_tone = level >= LEAST_LEVEL and float(tone @ tone) >= PURITY * energy
        if is_tone:
            self._level = level
        elif level > SILENT_SHARE * self._level:
            self._between += 1
            if self._between > 1:
                self._begin_again()
            return
        between_ms, self._between = 20 * self._between, 0
        if is_tone == self._is_on:
            self._ms += 20 + between_ms
            return
        self._turn(self._ms + between_ms // 2)
        self._is_on, self._ms = is_tone, 20 + between_ms // 2

    def _turn(self, ms: int) -> None:
        """What sounded, or was silent, has lasted so long."""
        if self._is_on:
            self._on_ms = ms
            if not any(abs(ms - on_ms) <= OFF_BY_MS for on_ms, _ in self._cadences):
                self._begin_again()
        elif self._on_ms:
            of = [off_ms for on_ms, off_ms in self._cadences if _is_near(self._on_ms, on_ms)]
            self._cycles = self._cycles + 1 if any(_is_near(ms, each) for each in of) else 0

    def _begin_again(self) -> None:
        self._cycles = self._on_ms = self._ms = self._between = 0
        self._is_on, self._level = False, 0.0


def _is_near(ms: int, wanted_ms: int) -> bool:
    return abs(ms - wanted_ms) <= OFF_BY_MS
