"""How loud a caller speaks, and how loud it is around them: levels that tell near from far."""

from __future__ import annotations

from collections import deque
from math import log10
from typing import Final

import numpy as np

from penny.audio.level import SILENCE_DBFS


BLOCK_MS: Final = 100
REMEMBERED_BLOCKS: Final = 50
"""Five seconds: a voice that ends is part of the background no longer than that."""
LEAST_BLOCKS: Final = 20
BACKGROUND_SHARE: Final = 0.15
"""Speech pauses for that share of any five seconds; a room full of people does not."""
QUIET_DBFS: Final = -50.0
"""A background below this hides nothing; the gate is open."""
NEAR_DB: Final = 6.0
"""A near voice stands out of the background by this much."""
DECAY_DB_PER_MS: Final = 0.1
"""How fast a loud moment is forgotten: speech is not loud all through a word."""
FALL_DB: Final = 5.0
"""A voice that ends leaves this much less sound behind."""


class Levels:
    """One caller's levels in dB of full scale. ``feed`` every piece of audio, in order."""

    def __init__(self) -> None:
        self._blocks: deque[float] = deque(maxlen=REMEMBERED_BLOCKS)
        self._block_power = 0.0
        self._block_ms = 0.0
        self._background = SILENCE_DBFS
        self._peak = SILENCE_DBFS
        self._usual: float | None = None
        self._speech_power = self.speech_ms = 0.0

    def feed(self, dbfs: float, ms: float, *, speech: bool) -> None:
        """``ms`` of audio at ``dbfs``; ``speech``: it belongs to the turn in progress."""
        power = 10 ** (dbfs / 10)
        self._peak = max(dbfs, self._peak - DECAY_DB_PER_MS * ms)
        self._block_power += power * ms
        self._block_ms += ms
        if self._block_ms >= BLOCK_MS:
            self._blocks.append(10 * log10(self._block_power / self._block_ms))
            self._block_power = self._block_ms = 0.0
            if len(self._blocks) >= LEAST_BLOCKS:
                self._background = float(np.quantile(self._blocks, BACKGROUND_SHARE))
        if speech:
            self._speech_power += power * ms
            self.speech_ms += ms

    @property
    def is_near(self) -> bool:
        """Whether what is heard now stands out of what is always there."""
        return self._background < QUIET_DBFS or self._peak >= self._background + NEAR_DB

    def has_fallen(self, quiet_ms: float) -> bool:
        """Whether the turn left silence behind, ``quiet_ms`` of it, as a voice that ends does.

        A room that goes on as loud as the turn was did not stop speaking.
        """
        blocks = list(self._blocks)[-max(1, int(quiet_ms / BLOCK_MS) - 1) :]
        left = min(blocks, default=SILENCE_DBFS)
        return self.speech_dbfs - left >= FALL_DB

    @property
    def speech_dbfs(self) -> float:
        """Of the turn in progress."""
        if not self.speech_ms:
            return SILENCE_DBFS
        return max(SILENCE_DBFS, 10 * log10(self._speech_power / self.speech_ms))

    @property
    def now_beside_usual_db(self) -> float:
        """The loudest of just now beside the caller's usual level; 0 before there is one."""
        return 0.0 if self._usual is None else self._peak - self._usual

    @property
    def beside_usual_db(self) -> float:
        """The turn in progress beside the caller's usual level; 0 before there is one."""
        if self._usual is None or not self.speech_ms:
            return 0.0
        return self.speech_dbfs - self._usual

    def begin(self) -> None:
        """A turn begins."""
        self._speech_power = self.speech_ms = 0.0

    def learn(self) -> None:
        """The turn was the caller's: their usual level moves half the way to it."""
        if self.speech_ms:
            level = self.speech_dbfs
            self._usual = level if self._usual is None else (self._usual + level) / 2

    def doubt(self, db: float) -> None:
        """Speech was taken for another person's: less so if it comes again."""
        if self._usual is not None:
            self._usual -= db
