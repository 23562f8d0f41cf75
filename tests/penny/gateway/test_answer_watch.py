"""Who answers a placed call, and what they hear, on the virtual clock: nothing before that."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import numpy as np
import pytest

from penny.edges.telephone.edge import PhoneEdge
from penny.edges.telephone.ticker import Ticker
from penny.gateway.answer_watch import SCREENED_S, AnswerPlan, AnswerWatch
from penny.telephony.opening import open_call, open_to_screener
from tests.doubles.phone_wire import TONE_24K, FarSide, Sink


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]

GREETING = "Le llamo por la factura de Juan Pérez."
MESSAGE = "Por favor, llámenos al 910 000 000."
GREETED = "Hola, no estoy en casa. Deje su mensaje después de la señal."
VAD_S, WORDS_S = 0.5, 0.25


def tone(hz: float, ms: int) -> bytes:
    """At 24 000 Hz."""
    at = np.arange(24 * ms)
    return (8000 * np.sin(2 * np.pi * hz * at / 24_000)).astype("<i2").tobytes()


class Placed(Sink):
    """A placed call: its speaker says what it is asked to, 15 characters a second."""

    def __init__(self, message: str | None = MESSAGE, reason: str = "su pedido") -> None:
        super().__init__()
        loop = asyncio.get_running_loop()
        clock = loop.time
        self.far = FarSide()
        self.edge = self.far.edge = PhoneEdge(self.far, Ticker(clock), clock)
        self.ends: list[tuple[float, str]] = []
        self.found: list[str] = []
        self.said: list[tuple[float, str]] = []
        company = "Acme"
        left = open_call(company, "es", "", message, is_outbound=True) if message else None
        plan = AnswerPlan(
            open_call(company, "es", "", GREETING, is_outbound=True),
            open_call(company, "es", "", "", is_outbound=True),
            open_to_screener(company, "es", reason),
            left,
        )
        self.edge.start(self)
        self.watch = AnswerWatch(
            self.edge,
            plan,
            lambda why: self.ends.append((clock(), why)),
            self.found.append,
            clock,
        )

    def on_event(self, event: Json, /) -> None:
        super().on_event(event)
        loop = asyncio.get_running_loop()
        if event["type"] == "input_audio_buffer.append":
            self.watch.caller_event(event, loop.time())
        elif event["type"] == "response.create" and "response" in event:
            loop.call_soon(self._speak, event["response"])

    def _speak(self, response: Json) -> None:
        line, number = response["metadata"]["penny_say"], len(self.said)
        self.said.append((asyncio.get_running_loop().time(), line))
        about = {"id": f"resp_{number}", "metadata": response["metadata"]}
        where = {"response_id": about["id"], "item_id": f"item_{number}", "content_index": 0}
        tell = self.edge.deliver
        tell({"type": "response.created", "response": about})
        tell({"type": "response.output_audio_transcript.delta", **where, "delta": line})
        audio = base64.b64encode(TONE_24K * (len(line) * 1000 // 15 // 20)).decode()
        tell({"type": "response.output_audio.delta", **where, "delta": audio})
        tell({"type": "response.output_audio.done", **where})
        done = {**about, "status": "completed", "output": [{"id": where["item_id"]}]}
        tell({"type": "response.done", "response": done})

    async def hear(self, words: str) -> None:
        """They say this, 14 characters a second; back when its words are known."""
        now = asyncio.get_running_loop().time
        self.watch.speaker_event({"type": "input_audio_buffer.speech_started"}, now())
        await asyncio.sleep(len(words) / 14 + VAD_S)
        self.watch.speaker_event({"type": "input_audio_buffer.speech_stopped"}, now())
        await asyncio.sleep(WORDS_S)
        told = {"item_id": f"heard_{now()}", "transcript": words}
        kind = "conversation.item.input_audio_transcription.completed"
        self.watch.speaker_event({"type": kind, **told}, now())

    def sound(self, pcm: bytes) -> None:
        audio = base64.b64encode(pcm).decode()
        event = {"type": "input_audio_buffer.append", "audio": audio}
        self.watch.caller_event(event, asyncio.get_running_loop().time())

    async def close(self) -> None:
        self.watch.ended("operator", 0.0)
        await self.edge.aclose("operator", {})

    @property
    def answers_turns(self) -> bool:
        updates = self.of("session.update")
        detections = [each["session"]["audio"]["input"]["turn_detection"] for each in updates]
        return bool(detections) and detections[-1]["create_response"]


async def test_a_person_hears_the_opening_within_a_second_and_is_answered_then() -> None:
    call = Placed()
    await asyncio.sleep(1.0)
    await call.hear("¿Diga?")
    over_s = asyncio.get_running_loop().time() - VAD_S - WORDS_S
    assert (call.said, call.answers_turns) == ([], False)
    await asyncio.sleep(1.0)
    ((at_s, line),) = call.said
    assert line == f"Acme, le llama el asistente virtual. {GREETING}"
    assert at_s - over_s <= 1.0
    assert call.answers_turns
    assert (call.found, call.ends) == (["human"], [])
    await call.close()


async def test_what_they_key_in_waits_until_it_is_known_who_they_are() -> None:
    call = Placed()
    for key in "12#":
        call.edge.press(key)
    await asyncio.sleep(1.0)
    assert (call.of("conversation.item.create"), call.said) == ([], [])
    await call.hear("¿Diga?")
    await asyncio.sleep(15.0)
    assert len(call.of("conversation.item.create")) == 1
    await call.close()


async def test_who_says_nothing_hears_who_calls_and_no_more() -> None:
    call = Placed()
    await asyncio.sleep(4.5)
    assert [line for _, line in call.said] == ["Acme, le llama el asistente virtual."]
    assert (call.found, call.answers_turns) == (["unknown"], True)
    await call.close()


async def test_after_the_beep_a_voicemail_gets_the_message_and_the_call_ends() -> None:
    call = Placed()
    await call.hear(GREETED)
    await asyncio.sleep(0.5)
    call.sound(tone(1000, 400))
    beeped_s = asyncio.get_running_loop().time()
    call.sound(bytes(4800))
    await asyncio.sleep(15)
    ((at_s, line),) = call.said
    assert at_s - beeped_s <= 0.5
    assert line == f"Acme, le llama el asistente virtual. {MESSAGE}"
    assert [why for _, why in call.ends] == ["voicemail"]
    # To its last word, and not a moment longer than it takes.
    assert 0 <= call.ends[0][0] - (at_s + len(line) / 15) <= 0.5
    assert call.far.played_ms() == pytest.approx(len(line) * 1000 / 15, abs=60)
    await call.close()


async def test_a_voicemail_that_does_not_beep_gets_it_after_its_greeting() -> None:
    call = Placed()
    await call.hear(GREETED)
    await asyncio.sleep(1.0)
    assert call.said == []
    await asyncio.sleep(1.0)
    assert len(call.said) == 1
    await call.close()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (GREETED, "voicemail"),
        ("Para siniestros, pulse uno.", "menu"),
        ("El número marcado no existe.", "network"),
    ],
)
async def test_a_machine_that_gets_no_message_is_hung_up_on(words: str, kind: str) -> None:
    call = Placed(message=None)
    await call.hear(words)
    await asyncio.sleep(0.2)
    assert (call.said, [why for _, why in call.ends]) == ([], [kind])
    await call.close()


async def test_a_screener_hears_company_and_reason_in_eight_seconds_and_then_its_person() -> None:
    call = Placed(reason="la entrega de su pedido de ayer, que ha llegado a la tienda de Cuenca")
    await call.hear("Diga su nombre y el motivo de la llamada.")
    await asyncio.sleep(0.2)
    ((said_s, line),) = call.said
    assert line.startswith("Acme, le llama el asistente virtual. la entrega de su pedido")
    assert len(line) / 15 <= 8.0
    assert MESSAGE not in line
    await asyncio.sleep(len(line) / 15 + 0.5)
    await call.hear("Espere un momento, por favor, estamos conectando.")
    await asyncio.sleep(5.0)
    await call.close()
    assert len(call.said) == 2, "a person is taken for one"
    assert GREETING in call.said[1][1]
    assert call.found == ["screener", "human"]


async def test_a_screener_behind_which_nobody_comes_is_left_after_thirty_seconds() -> None:
    call = Placed()
    await call.hear("Diga su nombre y el motivo de la llamada.")
    await asyncio.sleep(0.2)
    ((said_s, line),) = call.said
    await asyncio.sleep(SCREENED_S + len(line) / 15 + 2)
    ((ended_s, why),) = call.ends
    assert why == "screener"
    assert ended_s - said_s - len(line) / 15 == pytest.approx(SCREENED_S, abs=1.0)
    assert len(call.said) == 1
    await call.close()


async def test_the_carriers_own_word_is_taken() -> None:
    call = Placed()
    call.watch.carrier_told("machine_end_beep")
    await asyncio.sleep(0.2)
    assert [line for _, line in call.said] == [f"Acme, le llama el asistente virtual. {MESSAGE}"]
    assert call.found == ["voicemail"]
    await call.close()
