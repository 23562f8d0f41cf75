"""The turn detector's opinion of one caller's pauses."""

from __future__ import annotations

import asyncio

import pytest

from penny.errors import EngineError
from runpod_worker.hearing.turn_judge import HEARD_MS, TurnJudge
from runpod_worker.stages import EngineInfo


pytestmark = pytest.mark.pure


SECOND = bytes(32_000)


class Detector:
    def __init__(self) -> None:
        self.info = EngineInfo("scripted", ("es",))
        self.time_limit_ms = 50
        self.heard_ms: list[int] = []
        self.go = asyncio.Event()
        self.failure: EngineError | None = None

    async def judge(self, pcm: bytes) -> float:
        self.heard_ms.append(len(pcm) // 32)
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return 0.9

    async def aclose(self) -> None:
        return None


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_hears_the_turn_alone_and_answers_without_being_waited_for() -> None:
    detector = Detector()
    judge = TurnJudge(detector)
    for _ in range(12):
        judge.feed(SECOND)
    judge.ask(2500, 0)
    await settle()
    assert judge.probability is None
    detector.go.set()
    await settle()
    assert judge.probability == 0.9
    judge.ask(60_000, 0)
    await settle()
    assert detector.heard_ms == [2500, HEARD_MS]


async def test_most_of_the_silence_is_left_out() -> None:
    detector = Detector()
    judge = TurnJudge(detector)
    judge.feed(SECOND)
    judge.feed(SECOND)
    judge.ask(1500, 132)
    await settle()
    assert detector.heard_ms == [1400]
    judge.forget()


async def test_speech_that_goes_on_takes_the_opinion_back() -> None:
    detector = Detector()
    judge = TurnJudge(detector)
    judge.feed(SECOND)
    judge.ask(1000, 0)
    await settle()
    judge.forget()
    detector.go.set()
    await settle()
    assert judge.probability is None


async def test_a_late_or_failed_opinion_is_none() -> None:
    detector = Detector()
    detector.time_limit_ms = 1
    judge = TurnJudge(detector)
    judge.feed(SECOND)
    judge.ask(1000, 0)
    waiting = judge._asked
    assert waiting is not None
    await asyncio.wait((waiting,))
    assert judge.probability is None

    detector.failure = EngineError("x", stage="turn")
    detector.go.set()
    judge.ask(1000, 0)
    await settle()
    assert judge.probability is None


async def test_without_a_detector_there_is_no_opinion() -> None:
    judge = TurnJudge(None)
    judge.feed(SECOND)
    judge.ask(1000, 0)
    assert judge.probability is None
