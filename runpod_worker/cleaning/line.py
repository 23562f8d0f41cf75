"""One caller's line through a cleaner, and raw wherever it must be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from penny.errors import EngineError
from runpod_worker.cleaning.budget import Budget, Cost
from runpod_worker.cleaning.stages import FRAME_BYTES, FRAME_MS, Cleaner, CleanStream


log = structlog.get_logger()

REST_MS: Final = 10_000
"""A line that found the cores full does not ask again sooner."""


class CleanLine:
    """Frames in, as many out, cleaned while that is wanted, affordable and works.

    Going raw takes one frame. It is told once a call and counted; a cleaner that failed is not
    tried again in the same call.
    """

    def __init__(
        self,
        cleaner: Cleaner,
        budget: Budget,
        cost: Cost,
        clock_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._cleaner = cleaner
        self._budget = budget
        self._cost = cost
        self._clock_s = clock_s
        self._stream: CleanStream | None = None
        self._rest = b""
        self._wait_ms = 0.0
        self._has_failed = self._was_told = False

    @property
    def is_on(self) -> bool:
        """Whether the last frame was cleaned."""
        return self._stream is not None

    def process(self, pcm: bytes, *, wanted: bool) -> bytes:
        """PCM16 at 16 kHz that follows on what came before: its whole frames, the rest is kept."""
        line = self._rest + pcm
        whole = len(line) - len(line) % FRAME_BYTES
        self._rest = line[whole:]
        self._wait_ms = max(0.0, self._wait_ms - whole / FRAME_BYTES * FRAME_MS)
        if wanted and self._stream is None:
            self._begin()
        elif not wanted:
            self.close()
        if self._stream is None:
            return line[:whole]
        frames = range(0, whole, FRAME_BYTES)
        return b"".join(self._clean(line[at : at + FRAME_BYTES]) for at in frames)

    def close(self) -> None:
        """What comes from here on is raw."""
        if self._stream is not None:
            self._stream = None
            self._budget.leave()

    def _begin(self) -> None:
        if self._has_failed or self._wait_ms > 0:
            return
        if not self._budget.enter(self._cost.ms_per_s):
            self._give_way()
            return
        try:
            self._stream = self._cleaner.open()
        except EngineError as error:
            self._budget.leave()
            self._fail(error)

    def _clean(self, frame: bytes) -> bytes:
        if self._stream is None:
            return frame
        began_s = self._clock_s()
        try:
            cleaned = self._stream.process(frame)
        except EngineError as error:
            self.close()
            self._fail(error)
            return frame
        self._cost.note((self._clock_s() - began_s) * 1000)
        if not self._budget.holds(self._cost.ms_per_s):
            self.close()
            self._give_way()
        return cleaned

    def _give_way(self) -> None:
        self._wait_ms = REST_MS
        if not self._was_told:
            self._was_told = True
            self._budget.bypassed += 1
            log.warning(
                "sound_not_cleaned",
                cleaner=self._cleaner.info.name,
                reason="no processor time left: worker.hearing.cpu_ms_per_s",
                cleaned_calls=self._budget.active,
                cost_ms_per_s=round(self._cost.ms_per_s),
            )

    def _fail(self, error: EngineError) -> None:
        self._has_failed = True
        self._budget.failed += 1
        log.error("cleaner_failed", cleaner=self._cleaner.info.name, exc_info=error)
