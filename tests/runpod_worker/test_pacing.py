"""An answer's audio on a line that the worker holds: when each report is passed on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penny.aio.tasks import TaskOwner
from penny.realtime.commands import (
    AudioDelta,
    EngineReport,
    GenerationDone,
    PhraseDelta,
    ToolCallDone,
)
from runpod_worker.hearing import AgentVoice
from runpod_worker.pacing import Pacer


pytestmark = pytest.mark.virtual_time

ANSWER = "resp_1"
LEAD_S = AgentVoice.LEAD_MS / 1000


def session(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}, **fields}


class Line:
    """A pacer and what it passed on, and when."""

    def __init__(self) -> None:
        self.passed: list[tuple[float, EngineReport]] = []
        self.tasks = TaskOwner("line")
        self.pacer = Pacer(self.tasks, self._take)
        self.pacer.configure(session())
        self.tasks.spawn(self._listen(), name="line")
        self.is_open = True
        self.pacer.heard()
        self.began_s = asyncio.get_running_loop().time()

    def _take(self, report: EngineReport) -> None:
        self.passed.append((asyncio.get_running_loop().time() - self.began_s, report))

    async def _listen(self) -> None:
        while self.is_open:
            self.pacer.heard()
            await asyncio.sleep(0.02)

    def say(self, ms: int) -> None:
        self.pacer.put(PhraseDelta(ANSWER, "Hola."))
        self.pacer.put(AudioDelta(ANSWER, bytes(48 * ms)))

    def sent_ms(self) -> int:
        return sum(len(r.pcm) for _, r in self.passed if isinstance(r, AudioDelta)) // 48


async def test_audio_is_no_further_ahead_than_its_lead_and_the_end_stands_behind_it() -> None:
    line = Line()
    line.say(2000)
    line.pacer.put(GenerationDone(ANSWER))
    await asyncio.sleep(1.0)
    assert 1000 < line.sent_ms() <= 1000 + AgentVoice.LEAD_MS
    await asyncio.sleep(2.0)
    assert line.sent_ms() == 2000
    ended_s, last = line.passed[-1]
    assert isinstance(last, GenerationDone)
    assert ended_s == pytest.approx(2.0 - LEAD_S, abs=0.05)


async def test_held_playback_goes_on_where_it_stopped() -> None:
    line = Line()
    line.say(2000)
    await asyncio.sleep(1.0)
    line.pacer.is_held = True
    held_ms = line.sent_ms()
    await asyncio.sleep(3.0)
    assert line.sent_ms() == held_ms
    line.pacer.is_held = False
    await asyncio.sleep(2.0)
    assert line.sent_ms() == 2000


async def test_what_was_cut_is_never_sent_and_the_next_answer_begins_at_once() -> None:
    line = Line()
    line.say(2000)
    await asyncio.sleep(0.5)
    line.pacer.drop(ANSWER)
    before_ms = line.sent_ms()
    line.pacer.put(AudioDelta("resp_2", bytes(48 * 40)))
    await asyncio.sleep(0.01)
    assert line.sent_ms() == before_ms + 40
    await asyncio.sleep(2.0)
    assert line.sent_ms() == before_ms + 40


async def test_a_tool_call_waits_for_no_sound() -> None:
    line = Line()
    line.say(2000)
    line.pacer.put(ToolCallDone(ANSWER, "call_1", "f", "{}"))
    assert line.sent_ms() == 2000
    assert isinstance(line.passed[-1][1], ToolCallDone)


async def test_a_line_that_closes_is_held_no_longer() -> None:
    line = Line()
    line.pacer.is_held = True
    line.say(2000)
    line.pacer.put(GenerationDone(ANSWER))
    await asyncio.sleep(1.0)
    assert line.sent_ms() == 0
    line.is_open = False
    await asyncio.sleep(1.2)
    assert line.sent_ms() == 2000
    assert isinstance(line.passed[-1][1], GenerationDone)


@pytest.mark.parametrize(
    "told",
    [
        session(penny_holds_playback=True),
        {"audio": {"input": {"turn_detection": None}}},
        {"audio": {"input": {"turn_detection": {"interrupt_response": False}}}},
    ],
)
async def test_where_speech_stops_no_playback_of_the_workers_everything_passes_at_once(
    told: dict[str, Any],
) -> None:
    line = Line()
    line.pacer.configure(told)
    line.say(2000)
    assert line.sent_ms() == 2000
