"""One caller's opinions of the turn detector: asked at a pause, dropped when speech goes on."""

from __future__ import annotations

import asyncio

import structlog

from penny.audio.ring import PreRoll
from penny.errors import EngineError
from runpod_worker.stages import STT_RATE_HZ, TurnDetector


log = structlog.get_logger()

HEARD_MS = 8000
"""What Smart Turn, the longest listener among the models, takes in."""

KEPT_SILENCE_MS = 32


class TurnJudge:
    """Asks the turn detector about one caller's pauses.

    Never waited for: ``probability`` is None until an opinion on this pause is there.

    Args:
        detector: None where there is no model; every answer is then None.
    """

    def __init__(self, detector: TurnDetector | None) -> None:
        self._detector = detector
        self._heard = PreRoll(HEARD_MS, STT_RATE_HZ) if detector is not None else None
        self._asked: asyncio.Task[float] | None = None
        self.probability: float | None = None

    def feed(self, pcm: bytes) -> None:
        """The caller's audio as it comes (16 kHz), in a turn or not."""
        if self._heard is not None:
            self._heard.feed(pcm)

    def ask(self, turn_ms: float, quiet_ms: float) -> None:
        """A pause began ``quiet_ms`` ago; the turn's audio is the last ``turn_ms``.

        Asks how complete it sounds. Most of the silence is left out: the more of it the model
        hears, the more complete everything sounds to it.
        """
        self.forget()
        if self._detector is None or self._heard is None:
            return
        pcm = self._heard.last(min(HEARD_MS, int(turn_ms)))
        left_out = max(0, int(quiet_ms) - KEPT_SILENCE_MS) * STT_RATE_HZ * 2 // 1000
        pcm = pcm[: len(pcm) - left_out]
        self._asked = asyncio.create_task(self._judge(self._detector, pcm), name="turn judge")
        self._asked.add_done_callback(self._take)

    def forget(self) -> None:
        """Speech went on, or the turn is over."""
        self.probability = None
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None

    async def _judge(self, detector: TurnDetector, pcm: bytes) -> float:
        async with asyncio.timeout(detector.time_limit_ms / 1000):
            return await detector.judge(pcm)

    def _take(self, asked: asyncio.Task[float]) -> None:
        if asked.cancelled():
            return
        failure = asked.exception()
        if failure is None:
            if asked is self._asked:
                self.probability = asked.result()
        elif isinstance(failure, TimeoutError | EngineError):
            # The silence rule goes on without an opinion, as where there is no detector.
            log.warning("turn_not_judged", reason=type(failure).__name__)
        else:
            log.error("turn_judge_failed", exc_info=failure)
