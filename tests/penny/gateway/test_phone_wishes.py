"""A wish for no more calls, or for a person, does what it says, whatever the model makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from penny.aio.tasks import TaskOwner
from penny.gateway.phone_wishes import PhoneWishes
from runpod_worker.stages import EngineInfo, LlmDelta, LlmRequest, LlmToolCall
from tests.doubles.engines import FixedLlm, FixedStt
from tests.doubles.house import make_engines
from tests.doubles.phone_wire import FarSide, PhoneCall
from tests.doubles.twilio_api import twilio_api
from tests.doubles.twilio_stream import AUTH_TOKEN, calling_in, until
from tests.penny.gateway.test_dialer import TO, desk
from tests.penny.gateway.test_twilio import NUMBER, line, say


Json = dict[str, Any]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)


class Obedient(FixedLlm):
    """A model that talks on and hands nobody over, unless the request leaves it no choice."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.info = EngineInfo("obedient", ("es", "en"), reads=True)

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        told = isinstance(request.tool_choice, dict)
        self.call = (
            LlmToolCall("call_1", "persona", '{"motivo": "lo pide"}', True) if told else None
        )
        async for delta in super().generate(request):
            yield delta


class Hearing:
    """A call on the virtual clock, and who hears its wishes."""

    def __init__(self, *, is_shown: bool = True) -> None:
        self.call = PhoneCall(FarSide())
        self.written = 0
        self._is_shown = is_shown
        owner = TaskOwner("test")
        self.wishes = PhoneWishes(self.call.edge, owner, "es", self._write, "9", "persona")
        self.call.answer(4000)
        self.call.edge.deliver({"type": "response.created", "response": {"id": "resp_9"}})

    async def _write(self) -> bool:
        self.written += 1
        return self._is_shown

    async def said(self, words: str, item_id: str = "item_u") -> list[Json]:
        """What it makes of the caller's words."""
        await asyncio.sleep(0.5)
        about = {"item_id": item_id, "transcript": words}
        kind = "conversation.item.input_audio_transcription.completed"
        self.wishes.speaker_event({"type": kind, **about}, 0.0)
        self.wishes.speaker_event({"type": "penny.transcript", "text": words, **about}, 0.0)
        await asyncio.sleep(0.1)
        return self.call.sink.events


@pytest.mark.virtual_time
async def test_no_more_calls_is_written_down_and_confirmed_in_one_sentence() -> None:
    hearing = Hearing()
    cancel, cut, create = await hearing.said("Quítenme de la lista, por favor.")
    assert cancel == {"type": "response.cancel", "response_id": "resp_9"}
    assert cut["type"] == "conversation.item.truncate"
    told = create["response"]["metadata"]["penny_say"]
    assert told == "De acuerdo: no volveremos a llamar a su número."
    assert hearing.written == 1
    fault = {"code": "conversation_already_has_active_response", "event_id": create["event_id"]}
    hearing.call.edge.deliver({"type": "error", "error": fault})
    assert hearing.call.sink.events[-1] == create, "the same sentence, not any answer"


@pytest.mark.virtual_time
async def test_the_key_means_the_same_and_a_number_that_is_not_shown_is_said_to_be_none() -> None:
    hearing = Hearing(is_shown=False)
    item = {"content": [{"type": "input_text", "text": "9"}]}
    hearing.wishes.caller_event({"type": "conversation.item.create", "item": item}, 0.0)
    other = {"content": [{"type": "input_text", "text": "99"}]}
    hearing.wishes.caller_event({"type": "conversation.item.create", "item": other}, 0.0)
    await asyncio.sleep(0.1)
    assert hearing.written == 1
    told = hearing.call.sink.of("response.create")[-1]["response"]["metadata"]["penny_say"]
    assert told.startswith("Su número no se muestra")


@pytest.mark.virtual_time
async def test_a_wish_for_a_person_is_answered_by_the_action_alone_and_once() -> None:
    hearing = Hearing()
    *_, create = await hearing.said("Vull parlar amb una persona.")
    choice = {"type": "function", "name": "persona"}
    assert create["response"] == {"tool_choice": choice}
    hearing.wishes.speaker_event({"type": "penny.handoff", "destination": "soporte"}, 0.0)
    assert (await hearing.said("Una persona, por favor.", "item_v"))[-1] is create
    assert (await hearing.said("¿Cuánto cuesta por persona?", "item_w"))[-1] is create


@pytest.mark.engines
async def test_who_said_no_more_calls_is_called_by_no_dial_from_then_on(tmp_path: Path) -> None:
    engines = make_engines(FixedStt("Por favor, no me llamen más."))
    async with (
        desk(tmp_path, engines=engines) as at,
        calling_in(at.http, at.url, From=TO) as stream,
    ):
        say(stream, "Por favor, no me llamen más.")
        async with asyncio.timeout(90):
            code = ""
            while code != "do_not_call":
                status, told = await at.place(**{"from": "+34999999999"})
                code = told["error"]["code"]
                assert status in (400, 403)
                await asyncio.sleep(0.05)
        await until(lambda: stream.loud_ms() >= 1500)  # the confirmation
    assert at.api.placed == []


@pytest.mark.engines
async def test_a_model_that_talks_on_keeps_no_caller_from_a_person() -> None:
    llm = Obedient("Con mucho gusto le explico todas nuestras tarifas.")
    table = {"persona": {"description": "Pasa con una persona", "handoff": "soporte"}}
    async with twilio_api() as api:
        opened = line(
            make_engines(FixedStt("no, no, quiero hablar con una persona"), llm),
            numbers={NUMBER: {"actions": ["persona"], "fallback": {"say": "No."}}},
            twilio={"api_url": api.url},
            telephony={"dialing": {"default": {"transfers": {"soporte": "+34911111111"}}}},
            actions={"table": table},
        )
        async with opened as (http, url), calling_in(http, url) as stream:
            api.live.add(stream.call_sid)
            say(stream, "No, no, quiero hablar con una persona.")
            await until(lambda: bool(api.updates))
    ((_, fields),) = api.updates
    assert ">+34911111111</Number>" in fields["Twiml"]
