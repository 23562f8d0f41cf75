"""What the recogniser hears of a line: raw, or cleaned where that is asked for or measured."""

from __future__ import annotations

from typing import Literal

from runpod_worker.cleaning.budget import Budget, Cost
from runpod_worker.cleaning.line import CleanLine
from runpod_worker.cleaning.stages import Cleaner


When = Literal["never", "asked", "noisy", "always"]


class EarsCleaning:
    """A worker's cleaner of the recogniser's branch; ``cleaner`` None leaves every call raw."""

    def __init__(
        self,
        cleaner: Cleaner | None = None,
        budget: Budget | None = None,
        *,
        when: When = "asked",
        noisy_below_db: float = 5.0,
    ) -> None:
        self._cleaner = cleaner
        self._budget = budget or Budget(0.0)
        self._cost = Cost(cleaner.info.cpu_ms_per_s if cleaner else 0.0)
        self.when = when
        self.noisy_below_db = noisy_below_db

    def open(self) -> EarsLine:
        """One caller's."""
        if self._cleaner is None or self.when == "never":
            return EarsLine(self, None)
        return EarsLine(self, CleanLine(self._cleaner, self._budget, self._cost))


class EarsLine:
    """One caller's sound on its way to the recogniser."""

    def __init__(self, cleaning: EarsCleaning, line: CleanLine | None) -> None:
        self._cleaning = cleaning
        self._line = line
        self._wanted = False
        self.is_asked = False
        """The session has ``audio.input.noise_reduction``."""

    def process(self, pcm: bytes, snr_db: float, *, in_turn: bool) -> bytes:
        """As much as came in. Begins and ends only between turns, except where it must."""
        if self._line is None:
            return pcm
        if not in_turn:
            self._wanted = self._is_wanted(snr_db)
        return self._line.process(pcm, wanted=self._wanted)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    def _is_wanted(self, snr_db: float) -> bool:
        when = self._cleaning.when
        is_noisy = when == "noisy" and snr_db < self._cleaning.noisy_below_db
        return self.is_asked or when == "always" or is_noisy
