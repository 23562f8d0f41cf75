"""The opening of a call on the virtual clock: no noise, word or key of the caller's cuts it."""

from __future__ import annotations

import asyncio
import base64
import random

import pytest

from penny.edges.telephone.edge import PhoneEdge
from penny.edges.telephone.ticker import Ticker
from tests.doubles.phone_wire import SILENCE, TONE_24K, FarSide, Sink


pytestmark = pytest.mark.virtual_time

IDENTITY = "Acme, le atiende el asistente virtual."
LINE = f"{IDENTITY} ¿En qué puedo ayudarle?"
AGAIN = {"metadata": {"penny_say": IDENTITY}}


class OpeningCall:
    """A call whose speaker was asked to say ``LINE``."""

    def __init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.far, self.sink = FarSide(), Sink()
        self.edge = self.far.edge = PhoneEdge(self.far, Ticker(clock), clock)
        self.edge.open_with(lambda heard: "asistente virtual" in heard, LINE, AGAIN)
        self.edge.start(self.sink)

    def say(self, line: str, ms: int, number: int = 1, said: str | None = None) -> None:
        response_id, item_id = f"resp_{number}", f"item_{number}"
        response = {"id": response_id, "metadata": {"penny_say": line}}
        self.edge.deliver({"type": "response.created", "response": response})
        where = {"response_id": response_id, "item_id": item_id, "content_index": 0}
        words = "response.output_audio_transcript.delta"
        self.edge.deliver({"type": words, **where, "delta": line if said is None else said})
        delta = base64.b64encode(TONE_24K * (ms // 20)).decode()
        self.edge.deliver({"type": "response.output_audio.delta", **where, "delta": delta})
        self.edge.deliver({"type": "response.output_audio.done", **where})
        done = {**response, "status": "completed", "output": [{"id": item_id}]}
        self.edge.deliver({"type": "response.done", "response": done})


async def test_the_caller_is_heard_once_they_have_heard_who_speaks_and_loses_no_word() -> None:
    call = OpeningCall()
    call.say(LINE, 4000)
    for _ in range(150):  # they speak all the while
        call.edge.hear(SILENCE)
        if not call.sink.events:
            assert call.far.played_ms() <= 4000 * (len(IDENTITY) + 2) / len(LINE) + 100
        await asyncio.sleep(0.02)
    assert call.far.flushes == []
    assert call.sink.heard_ms() == pytest.approx(3000, abs=60)
    await call.edge.aclose("operator", {})


async def test_no_key_cuts_who_speaks_and_its_entry_comes_after() -> None:
    call = OpeningCall()
    call.say(LINE, 4000)
    await asyncio.sleep(0.2)
    for key in "12#":
        call.edge.press(key)
    assert call.far.flushes == []
    assert call.sink.events == []
    await asyncio.sleep(3.0)
    (item,) = call.sink.of("conversation.item.create")
    assert item["item"]["content"][0]["text"] == "12"
    await call.edge.aclose("operator", {})


async def test_what_was_not_said_is_asked_for_again_and_then_given_up() -> None:
    call = OpeningCall()
    for number in (1, 2, 3):
        call.say(LINE if number == 1 else IDENTITY, 1000, number, said="Hola, soy Marta.")
        call.edge.hear(SILENCE)
        await asyncio.sleep(1.5)
        asked = call.sink.of("response.create")
        assert [each["response"] for each in asked] == [AGAIN] * min(number, 2)
    assert call.sink.heard_ms() > 0, "the call goes on"
    await call.edge.aclose("operator", {})


async def test_a_speaker_that_begins_nothing_keeps_no_caller_unheard() -> None:
    call = OpeningCall()
    call.edge.hear(SILENCE)
    await asyncio.sleep(19.0)
    assert call.sink.events == []
    await asyncio.sleep(1.5)
    assert call.sink.heard_ms() > 0
    await call.edge.aclose("operator", {})


async def test_in_a_hundred_openings_under_noise_and_keys_all_hear_who_speaks() -> None:
    rng, without = random.Random(2), 0
    for _ in range(100):
        call = OpeningCall()
        call.say(LINE, 3000)
        while not call.sink.events:
            call.edge.hear(rng.randbytes(160))
            if rng.random() < 0.1:
                call.edge.press(rng.choice("0123456789*"))
            if rng.random() < 0.05:
                call.edge.pause()
                call.edge.resume()
            await asyncio.sleep(0.02)
        without += call.far.played_ms() < 3000 * len(IDENTITY) / len(LINE) - 60
        await call.edge.aclose("operator", {})
    assert without == 0
