"""Fluent speech is heard to its last word, from the first moment of a call, at any frame size."""

from __future__ import annotations

import pytest

from penny.realtime.commands import SpeechStarted, SpeechStopped
from runpod_worker.engines.silero import SileroVad
from runpod_worker.hearing import AgentVoice, TurnListener
from runpod_worker.settings import TurnSettings
from tests.bench.pipeline import speech
from tests.doubles.engines import FixedStt
from tests.doubles.speech import silence


pytestmark = pytest.mark.engines

RATE_HZ = 24_000
BYTES_PER_MS = RATE_HZ * 2 // 1000
SENTENCES = 3
MOST_LATE_MS = 200
"""Silero's memory of a voice that ends, and a window."""


def passages() -> list[bytes]:
    """Sentences one after the other without a pause: of people where there are recordings."""
    found = [b"".join(one.chunks) for one in speech.recorded(RATE_HZ) or speech.made(RATE_HZ)]
    return [b"".join((found * 2)[at : at + SENTENCES]) for at in range(len(found))]


@pytest.mark.parametrize("frame_ms", [10, 20, 500])
async def test_nothing_is_lost_of_a_passage_with_which_a_call_begins(frame_ms: int) -> None:
    vad = SileroVad()
    for passage in passages():
        told, ends_ms = await hear(vad, silence(100) + passage + silence(2000), frame_ms)
        assert [type(one) for one in told] == [SpeechStarted, SpeechStopped]
        assert ends_ms[0] == pytest.approx(100 + len(passage) / BYTES_PER_MS, abs=MOST_LATE_MS)
    await vad.aclose()


async def hear(vad: SileroVad, line: bytes, frame_ms: int) -> tuple[list[object], list[int]]:
    """What a listener reports of a whole line, and where each turn's speech ended."""
    told: list[object] = []
    ends_ms: list[int] = []
    listener = TurnListener(
        vad=vad,
        stt=FixedStt(),
        turns=TurnSettings(),
        agent=AgentVoice(),
        report=told.append,
        on_partial=lambda _words: None,
        on_turn_decided=lambda end_ms, *_: ends_ms.append(end_ms),
        on_words_at_pause=lambda _words: None,
        on_hold=lambda _held: None,
    )
    listener.configure({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    size = frame_ms * BYTES_PER_MS
    for at in range(0, len(line), size):
        listener.feed(line[at : at + size])
    listener.commit(lambda _utterance, _ms: listener.close())
    await listener.run()
    return told, ends_ms
