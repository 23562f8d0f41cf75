"""A VAD that hears a line without its noise and its other talkers, where there is any."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from penny.audio.level import rms_dbfs
from penny.turns.levels import Levels
from runpod_worker.cleaning.budget import Budget, Cost
from runpod_worker.cleaning.line import CleanLine
from runpod_worker.cleaning.stages import Cleaner
from runpod_worker.stages import STT_RATE_HZ, Vad, VadStream, Window


SURE: Final = 0.75
"""Speech on a cleaned line: a talker in the distance who is left over comes to less. Chosen in
babble of another seed than the bench's: at 5 dB 14 false starts became 9, with 0.5 they were 13."""
LOUD_MS: Final = 15_000
"""A line stays loud so long: music has soft bars, and a cleaner that begins anew knows nothing."""
DOUBTED: Final = 0.45
"""What is less is scaled below the segmenter's end of speech (0.35 of a threshold of 0.5)."""


class CleanedVad:
    """Vad behind a cleaner. A quiet line costs nothing: it is heard raw."""

    def __init__(self, vad: Vad, cleaner: Cleaner, budget: Budget) -> None:
        self.info = replace(vad.info, name=f"{vad.info.name} behind {cleaner.info.name}")
        self._vad = vad
        self._cleaner = cleaner
        self._budget = budget
        self._cost = Cost(cleaner.info.cpu_ms_per_s)

    def open(self) -> CleanedVadStream:
        line = CleanLine(self._cleaner, self._budget, self._cost)
        return CleanedVadStream(self._vad.open(), line)

    async def aclose(self) -> None:
        await self._vad.aclose()


class CleanedVadStream:
    """VadStream of one caller. A stream that is dropped gives its time back."""

    def __init__(self, stream: VadStream, line: CleanLine) -> None:
        self._stream = stream
        self._line = line
        self._levels = Levels()
        self._loud_ms = 0.0
        """What is left of the time for which the line counts as loud."""

    async def feed(self, pcm: bytes) -> list[Window]:
        """See ``stages.VadStream``. Raises EngineError where the VAD itself fails."""
        ms = len(pcm) * 500 / STT_RATE_HZ
        self._levels.feed(rms_dbfs(pcm), ms, speech=False)
        self._loud_ms = LOUD_MS if self._levels.is_loud_around else self._loud_ms - ms
        cleaned = self._line.process(pcm, wanted=self._loud_ms > 0)
        windows = await self._stream.feed(cleaned)
        return [_doubt(window) for window in windows] if self._line.is_on else windows

    def reset(self) -> None:
        self._stream.reset()

    def __del__(self) -> None:
        self._line.close()  # the Protocol has no close: a stream ends by being dropped


def _doubt(window: Window) -> Window:
    if window.probability >= SURE:
        return window
    return Window(window.probability * DOUBTED, window.ms)
