"""Turns of one caller by loudness alone: 400 Hz is a voice, its amplitude how loud it is."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from runpod_worker.hearing import AgentVoice, TurnListener
from runpod_worker.hearing.echo import EchoRemover
from runpod_worker.settings import TurnSettings
from tests.doubles.engines import FixedStt, FixedUtterance
from tests.doubles.loudness_vad import LoudnessVad


pytestmark = pytest.mark.virtual_time

DETECTION = {"type": "semantic_vad", "eagerness": "auto"}
HELD, RESUMED = "held", "resumed"


def voice(ms: int, amplitude: float = 0.1) -> bytes:
    """A voice as a microphone gives it: PCM16 at 24 kHz."""
    at = np.arange(24 * ms)
    wave = np.sin(at * 2 * np.pi * 400 / 24_000) * amplitude * 32768
    return (wave + np.random.default_rng(ms).integers(-8, 9, at.size)).astype("<i2").tobytes()


def quiet(ms: int) -> bytes:
    return voice(ms, 0.0)


def name(told: Any) -> str:
    return told if isinstance(told, str) else type(told).__name__


class Ears:
    """A listener and what it told, in order."""

    def __init__(self, *, words: str = "") -> None:
        self.told: list[Any] = []
        self.agent = AgentVoice()
        self.stt = FixedStt()
        utterance = FixedUtterance
        if words:
            utterance = type("Known", (FixedUtterance,), {"partial": lambda _: words})
        self.stt.begin = lambda _options: utterance(self.stt)  # type: ignore[method-assign]
        self.listener = TurnListener(
            vad=LoudnessVad(),
            stt=self.stt,
            turns=TurnSettings(),
            agent=self.agent,
            report=self._take,
            on_partial=lambda _words: None,
            on_turn_decided=lambda *_: None,
            on_words_at_pause=lambda _words: None,
            on_hold=lambda held: self.told.append(HELD if held else RESUMED),
        )
        self.detect(DETECTION)

    def detect(self, detection: dict[str, Any] | None) -> None:
        audio = {"input": {"turn_detection": detection}}
        self.listener.configure({"audio": audio})

    def _take(self, report: Any) -> None:
        self.told.append(report)
        if type(report).__name__ == "SpeechStopped":
            self.listener.commit(lambda utterance, _ms: utterance.cancel())

    async def hear(self, *pieces: bytes) -> list[str]:
        """What was told of these."""
        before = len(self.told)
        pcm = b"".join(pieces)
        for at in range(0, len(pcm), 960):
            await self.listener._hear(self.listener._to_16k.process(pcm[at : at + 960]))
        return [name(one) for one in self.told[before:]]

    def speak(self, ms: int) -> None:
        """Penny's answer begins: silent here, so that the line is without any likeness."""
        self.agent.sent(self.listener.position_ms, bytes(48 * ms))


TURN = ["SpeechStarted", "SpeechStopped"]


async def test_a_short_sound_over_the_answer_holds_it_and_lets_it_go_on() -> None:
    ears = Ears()
    ears.speak(20_000)
    assert await ears.hear(quiet(2500), voice(300), quiet(3000)) == [HELD, RESUMED]


async def test_a_sentence_over_the_answer_interrupts_it() -> None:
    ears = Ears()
    ears.speak(20_000)
    assert await ears.hear(quiet(2500), voice(1500), quiet(1500)) == [HELD, *TURN]


async def test_what_may_be_an_echo_interrupts_only_when_the_next_look_finds_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ears = Ears()
    ears.speak(20_000)
    with monkeypatch.context() as patch:
        patch.setattr(EchoRemover, "is_suspected", True)
        assert await ears.hear(quiet(2500), voice(1000)) == [HELD]
    assert await ears.hear(voice(100)) == ["SpeechStarted"]


@pytest.mark.parametrize(("said_ms", "told"), [(1500, [HELD, *TURN]), (300, [HELD, RESUMED])])
async def test_what_came_before_a_client_fell_silent_is_heard_to_its_end(
    said_ms: int, told: list[str]
) -> None:
    ears = Ears()
    ears.speak(20_000)
    before = len(ears.told)
    ears.listener.feed(quiet(2500) + voice(said_ms) + quiet(900))
    ears.listener.give_up()  # while none of it was heard yet
    hearing = asyncio.ensure_future(ears.listener.run())
    await ears.listener.room(wholly=True)
    ears.listener.close()
    await hearing
    assert [
        one if isinstance(one, str) else type(one).__name__ for one in ears.told[before:]
    ] == told


async def test_words_decide_before_length_does() -> None:
    encourages, stops = Ears(words="Ajá."), Ears(words="Espera.")
    for ears in (encourages, stops):
        ears.speak(20_000)
    assert await encourages.hear(quiet(2500), voice(400), quiet(2000)) == [HELD, RESUMED]
    assert await stops.hear(quiet(2500), voice(400), quiet(2000)) == [HELD, *TURN]


async def test_who_goes_on_after_an_aja_is_held_for_again_and_interrupts() -> None:
    ears = Ears()
    ears.speak(20_000)
    told = await ears.hear(quiet(2500), voice(300), quiet(500), voice(1500), quiet(1500))
    assert told == [HELD, RESUMED, HELD, *TURN]


async def test_side_talk_takes_no_floor_and_wants_no_answer() -> None:
    ears = Ears()
    assert await ears.hear(quiet(1000), voice(1500), quiet(1500)) == TURN
    assert ears.told[-1].wants_answer
    ears.speak(20_000)
    far = 0.1 * 10 ** (-12 / 20)
    assert "SpeechStarted" not in await ears.hear(quiet(2500), voice(2000, far), quiet(2000))
    ears.agent.stop(ears.listener.position_ms)
    await ears.hear(quiet(1000), voice(1500, far), quiet(1500))
    assert not ears.told[-1].wants_answer


async def test_an_answer_to_the_end_of_a_question_is_a_turn() -> None:
    ears = Ears()
    ears.speak(2700)
    ears.agent.finish()
    assert await ears.hear(quiet(2500), voice(400), quiet(2000)) == TURN


async def test_detection_off_and_on_again_keeps_the_clock() -> None:
    ears = Ears()
    await ears.hear(quiet(500))
    ears.detect(None)
    await ears.hear(quiet(3000))
    ears.detect(DETECTION)
    await ears.hear(quiet(1000), voice(1000))
    assert ears.told[-1].audio_start_ms == pytest.approx(4500 - 300, abs=100)


async def test_a_room_that_goes_on_talking_is_not_answered() -> None:
    ears = Ears()
    room = 0.05
    await ears.hear(*[piece for _ in range(40) for piece in (voice(240, room), voice(40, 0.02))])
    stopped = [one for one in ears.told if type(one).__name__ == "SpeechStopped"]
    assert not any(one.wants_answer for one in stopped)
