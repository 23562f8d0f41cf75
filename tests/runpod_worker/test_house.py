"""What the gateway knows and does for a call, as the worker asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from penny.aio.tasks import TaskOwner
from penny.realtime.commands import (
    EngineReport,
    GenerationDone,
    GenerationRequest,
    PhraseDelta,
    ToolCallDone,
)
from runpod_worker.chat import write_request
from runpod_worker.house import UNANSWERED, House, Knowledge, read_event
from runpod_worker.responder import Responder
from runpod_worker.settings import DeadlineSettings
from runpod_worker.stages import (
    EngineInfo,
    LlmDelta,
    LlmRequest,
    LlmText,
    LlmToolCall,
    LlmUsage,
)
from tests.doubles.engines import FixedTts


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]

PAY = {"type": "function", "name": "pagar", "parameters": {"type": "object"}}
ASKED = {
    "type": "message",
    "id": "item_1",
    "role": "user",
    "content": [{"type": "input_audio", "transcript": "paga la factura"}],
}
REQUEST = GenerationRequest(
    response_id="resp_1",
    instructions="Eres Penny.",
    items=(ASKED,),
    tools=(),
    tool_choice="auto",
    modality="audio",
    voice="",
    speed=1.0,
    max_output_tokens=None,
)


class Gateway:
    """Answers a house's calls after ``delay_s``; None answers nothing."""

    def __init__(self, delay_s: float | None = 0.0) -> None:
        self.delay_s = delay_s
        self.calls: list[Json] = []
        self.tasks = TaskOwner("test")
        self.house = House(self.ask, self.tasks)
        self.house.take({"type": "penny.house.open", "rules": "Reglas.", "tools": [PAY]})

    def ask(self, kind: str, **fields: Any) -> None:
        assert kind == "penny.house.call"
        self.calls.append(fields)
        if self.delay_s is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self.delay_s, self.answer, fields)

    def answer(self, call: Json) -> None:
        told: Json = {"type": "penny.house.result", "call_id": call["call_id"]}
        if call["name"] == "look_up":
            told |= {"notes": "Hoy es lunes.", "passages": ["- La tarifa: «84 €»"]}
        else:
            told |= {"output": '{"status": "ok"}'}
        self.house.take(told)


class ScriptedLlm:
    """Says the deltas of each prompt in turn."""

    def __init__(self, *answers: list[LlmDelta]) -> None:
        self.info = EngineInfo("scripted", ("es",), reads=True)
        self.answers = list(answers)
        self.requests: list[LlmRequest] = []

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        self.requests.append(request)
        for delta in self.answers.pop(0):
            yield delta

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def prime(self, request: LlmRequest) -> None:
        return None

    async def aclose(self) -> None:
        return None


def paying(*said: str) -> list[LlmDelta]:
    call = LlmToolCall("call_1", "pagar", "{}", done=True)
    return [*(LlmText(text) for text in said), call, LlmUsage(10, 0, 2, "tool")]


def saying(text: str) -> list[LlmDelta]:
    return [LlmText(text), LlmUsage(20, 5, 3)]


async def answer(
    llm: ScriptedLlm, gateway: Gateway, request: GenerationRequest = REQUEST
) -> list[EngineReport]:
    reports: list[EngineReport] = []
    responder = Responder(
        llm=llm,
        tts=FixedTts(),
        deadlines=DeadlineSettings(),
        report=reports.append,
        on_first_token=lambda _: None,
        house=gateway.house,
        fillers=("Un momento…", "Sigo en ello…"),
    )
    await responder.run(request, language="es")
    await gateway.tasks.aclose()
    return reports


def heard(reports: list[EngineReport]) -> str:
    return "".join(report.text for report in reports if isinstance(report, PhraseDelta))


async def test_the_model_reads_the_rules_the_day_and_the_passages_of_the_turn() -> None:
    gateway, llm = Gateway(), ScriptedLlm(saying("Son 84 euros."))

    reports = await answer(llm, gateway)

    assert heard(reports) == "Son 84 euros."
    [call] = gateway.calls
    assert (call["words"], call["item_id"]) == ("paga la factura", "item_1")
    system, user = write_request(llm.requests[0])
    assert system["content"] == "Eres Penny.\n\nReglas."
    assert user["content"] == "Hoy es lunes.\n- La tarifa: «84 €»\n---\npaga la factura"


async def test_a_tool_of_the_house_is_run_within_the_answer_and_no_client_sees_it() -> None:
    gateway, llm = Gateway(), ScriptedLlm(paying("Ahora la pago."), saying("Hecho."))

    reports = await answer(llm, gateway)

    assert heard(reports).split() == ["Ahora", "la", "pago.", "Hecho."]
    assert not [report for report in reports if isinstance(report, ToolCallDone)]
    [done] = [report for report in reports if isinstance(report, GenerationDone)]
    assert (done.input_text_tokens, done.output_text_tokens) == (30, 5)
    called = [call for call in gateway.calls if call["name"] == "pagar"]
    assert [(c["call_id"], c["words"], c["item_id"]) for c in called] == [
        ("call_1", "paga la factura", "item_1")
    ]
    roles = [m["role"] for m in write_request(llm.requests[1])]
    assert roles == ["system", "user", "assistant", "tool"]


async def test_while_a_tool_takes_long_the_caller_is_told_so() -> None:
    gateway, llm = Gateway(delay_s=9.0), ScriptedLlm(paying("La pago."), saying("Hecho."))

    reports = await answer(llm, gateway)

    assert heard(reports).split("\n") == ["La pago.", "Un momento…", "Sigo en ello…", "Hecho."]


async def test_a_clients_tool_of_the_same_name_is_the_clients() -> None:
    gateway, llm = Gateway(), ScriptedLlm(paying())

    reports = await answer(llm, gateway, replace(REQUEST, tools=(PAY,)))

    assert [r.name for r in reports if isinstance(r, ToolCallDone)] == ["pagar"]
    assert [call["name"] for call in gateway.calls] == ["look_up"]
    assert len(llm.requests[0].tools) == 1


async def test_a_model_that_calls_for_ever_is_stopped_and_answers_in_words() -> None:
    gateway = Gateway()
    llm = ScriptedLlm(paying(), paying(), paying(), saying("Hecho."))

    reports = await answer(llm, gateway)

    assert heard(reports) == "Hecho."
    assert [request.tool_choice for request in llm.requests] == ["auto", "auto", "auto", "none"]


async def test_a_gateway_that_does_not_answer_delays_an_answer_by_no_more_than_its_limit() -> None:
    gateway, llm = Gateway(delay_s=None), ScriptedLlm(saying("No lo sé."))
    clock = asyncio.get_running_loop().time

    started = clock()
    known = await gateway.house.look_up("hola")
    assert known == Knowledge()
    assert clock() - started == pytest.approx(0.7)
    reports = await answer(llm, gateway)
    assert heard(reports) == "No lo sé."


async def test_an_action_without_an_answer_is_in_doubt() -> None:
    gateway, llm = Gateway(), ScriptedLlm(paying(), saying("No sé si se hizo."))
    gateway.delay_s = None

    await answer(llm, gateway)

    output = llm.requests[1].items[-1]
    assert (output["type"], output["output"]) == ("function_call_output", UNANSWERED)


async def test_the_same_words_are_looked_up_once_a_turn_and_anew_in_the_next() -> None:
    gateway = Gateway()
    house = gateway.house

    await asyncio.gather(house.look_up("sí"), house.look_up("sí", "item_2"))
    assert len(gateway.calls) == 1
    house.forget()
    await house.look_up("sí", "item_4")
    assert len(gateway.calls) == 2
    await gateway.tasks.aclose()


async def test_another_look_up_meanwhile_takes_nothing_from_the_first() -> None:
    gateway = Gateway(delay_s=0.3)
    one, other = await asyncio.gather(gateway.house.look_up("una"), gateway.house.look_up("otra"))

    assert one == other == Knowledge("Hoy es lunes.", ("- La tarifa: «84 €»",))
    await gateway.tasks.aclose()


@pytest.mark.parametrize(
    "message",
    [b"{}", '{"type":"session.update"}', '{"type":"penny.house.open"', '{"type":"penny.house."x}'],
)
def test_other_messages_are_the_protocols(message: str | bytes) -> None:
    assert read_event(message) is None
