"""Cleaners that take time on a clock of the test's, or break when they are told to."""

from __future__ import annotations

from penny.errors import EngineError
from runpod_worker.cleaning.stages import FRAME_BYTES, CleanerInfo


CLEAN = b"\1\0" * (FRAME_BYTES // 2)
RAW = b"\2\0" * (FRAME_BYTES // 2)


class Clock:
    """Seconds that pass only when a cleaner works."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class TimedCleaner:
    """Gives out CLEAN for every frame, ``frame_ms`` later on ``clock``."""

    def __init__(self, clock: Clock, frame_ms: float = 1.0) -> None:
        self.info = CleanerInfo("timed", delay_ms=10, cpu_ms_per_s=100, license="none")
        self.clock = clock
        self.frame_ms = frame_ms
        self.breaks = self.opens_broken = False

    def open(self) -> TimedCleaner:
        if self.opens_broken:
            raise EngineError("no memory", stage="vad")
        return self

    def process(self, frame: bytes) -> bytes:
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"frame: {len(frame)} bytes; use {FRAME_BYTES}")
        self.clock.now_s += self.frame_ms / 1000
        if self.breaks:
            raise EngineError("broken", stage="vad")
        return CLEAN
