"""How loud a caller speaks, and how loud it is around them: levels that tell near from far."""

from __future__ import annotations

from collections import deque
from math import log10
from statistics import fmean
from typing import Final

from penny.audio.level import SILENCE_DBFS


PIECE_MS: Final = 20
"""Within a word a single voice closes for so long; ten talkers at once never do."""
PIECES_PER_BLOCK: Final = 5
REMEMBERED_PIECES: Final = 250
"""Five seconds: a voice that ends is part of the background no longer than that."""
LEAST_PIECES: Final = 100
BACKGROUND_SHARE: Final = 0.06
"""Of its pieces the softest. Of 24 fluent passages of people without a pause, this closes the
gate for 0.5 % of their speech and 200 ms at most, in babble it opens for 60 ms at most; blocks of
100 ms, in which words run together, took 37 % of fluent speech for its own background."""
QUIET_DBFS: Final = -50.0
"""A background below this hides nothing; the gate is open."""
NOMINAL_DBFS: Final = -26.0
"""Active speech on a telephone line (ITU-T P.56), for a caller who has not spoken yet."""
NEAR_DB: Final = 7.0
"""A near voice stands out of the background by this much."""
DECAY_DB_PER_MS: Final = 0.1
"""How fast a loud moment is forgotten: speech is not loud all through a word."""
FALL_DB: Final = 5.0
"""A voice that ends leaves this much less sound behind."""


class Levels:
    """One caller's levels in dB of full scale. ``feed`` the audio in order, PIECE_MS at a time."""

    def __init__(self) -> None:
        self._pieces: deque[float] = deque(maxlen=REMEMBERED_PIECES)
        self._piece_power = 0.0
        self._piece_ms = 0.0
        self._unread = 0
        self._background = SILENCE_DBFS
        self._peak = SILENCE_DBFS
        self._usual: float | None = None
        self._speech_power = self.speech_ms = 0.0

    def feed(self, dbfs: float, ms: float, *, speech: bool) -> None:
        """``ms`` of audio at ``dbfs``; ``speech``: it belongs to the turn in progress."""
        power = 10 ** (dbfs / 10)
        self._peak = max(dbfs, self._peak - DECAY_DB_PER_MS * ms)
        self._piece_power += power * ms
        self._piece_ms += ms
        if self._piece_ms >= PIECE_MS:
            self._pieces.append(self._piece_power / self._piece_ms)
            self._piece_power = self._piece_ms = 0.0
            self._unread += 1
        if self._unread >= PIECES_PER_BLOCK:
            self._unread = 0
            if len(self._pieces) >= LEAST_PIECES:
                softest = sorted(self._pieces)[int(len(self._pieces) * BACKGROUND_SHARE)]
                self._background = 10 * log10(softest)
        if speech:
            self._speech_power += power * ms
            self.speech_ms += ms

    @property
    def is_loud_around(self) -> bool:
        """Whether what is always there could hide a voice, or be taken for one."""
        return self._background >= QUIET_DBFS

    @property
    def snr_db(self) -> float:
        """The caller's usual voice beside what is always there; before a turn, a nominal voice."""
        return (NOMINAL_DBFS if self._usual is None else self._usual) - self._background

    @property
    def is_near(self) -> bool:
        """Whether what is heard now stands out of what is always there."""
        return not self.is_loud_around or self._peak >= self._background + NEAR_DB

    def has_fallen(self, quiet_ms: float) -> bool:
        """Whether the turn left silence behind, ``quiet_ms`` of it, as a voice that ends does.

        A room that goes on as loud as the turn was did not stop speaking.
        """
        size = PIECES_PER_BLOCK
        blocks = max(1, int(quiet_ms / PIECE_MS / size) - 1)
        last = list(self._pieces)[-blocks * size :]
        powers = [fmean(last[at : at + size]) for at in range(0, len(last), size)]
        left = 10 * log10(min(powers)) if powers else SILENCE_DBFS
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
