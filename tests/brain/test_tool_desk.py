"""The tools of one call: each wish runs once, whoever asks for it again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from brain.actions import ActionCall, ActionDesk, offer_tools
from brain.tool_desk import ActionFailed, ActionRunner, ToolDesk
from config.brain import Action


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]

PAY = Action(description="paga", callable="nowhere:pay")
PERSON = Action(description="pasa con una persona", handoff="cola-1")
TABLE = {
    "pagar": PAY,
    "persona": PERSON,
    "cancelar": Action(
        description="da de baja",
        endpoint="http://127.0.0.1:9/baja",
        preview="http://127.0.0.1:9/baja/antes",
        confirm=True,
    ),
    "cobrar": Action(
        description="cobra con tarjeta",
        callable="nowhere:charge",
        parameters={
            "type": "object",
            "properties": {
                "importe": {"type": "number"},
                "tarjeta": {"type": "string", "format": "card-number"},
                "cvv": {"type": "string", "format": "cvv"},
            },
            "required": ["importe", "tarjeta", "cvv"],
        },
    ),
    "callar": Action(description="deja de grabar", recording="pause"),
    "grabar": Action(description="graba otra vez", recording="resume"),
    "no_grabar": Action(description="no graba más", recording="stop"),
}


class Runner(ActionRunner):
    """Notes what runs; takes ``takes_s``, then answers or fails."""

    def __init__(
        self, takes_s: float = 0.0, failure: Exception | None = None, preview_s: float = 0.0
    ) -> None:
        super().__init__({})
        self.takes_s, self.failure, self.preview_s = takes_s, failure, preview_s
        self.ran: list[ActionCall] = []

    async def run(self, action: Action, call: ActionCall, session: Json) -> Json:
        self.ran.append(call)
        await asyncio.sleep(self.takes_s)
        if self.failure is not None:
            raise self.failure
        return {"referencia": "P-77"}

    async def preview(self, action: Action, call: ActionCall, session: Json) -> tuple[str, Json]:
        await asyncio.sleep(self.preview_s)
        if self.failure is not None:
            raise self.failure
        return f"¿Doy de baja {call.arguments['servicio']}?", {"desde": "2025-01-31"}


def desk_of(runner: Runner) -> tuple[ToolDesk, list[Json]]:
    told: list[Json] = []

    async def search(query: str) -> Json:
        return {"status": "ok", "query": query}

    desk = ActionDesk(TABLE, "sess_1")
    return ToolDesk(desk, runner, search, told.append, lambda: "resumen", {"language": "es"}), told


async def test_a_wish_that_is_asked_for_again_while_it_runs_shares_its_result() -> None:
    runner = Runner(takes_s=5.0)
    desk, told = desk_of(runner)

    async def again() -> Json:
        await asyncio.sleep(2.0)  # another worker answers the turn again
        return await desk.run("c2", "pagar", '{"mes": 1}', 1, "paga")

    first, other = await asyncio.gather(desk.run("c1", "pagar", '{"mes": 1}', 1, "paga"), again())

    assert first == other
    assert first["status"] == "ok"
    assert [call.call_id for call in runner.ran] == ["c1"]
    assert [(event["call_id"], event["status"]) for event in told] == [
        ("c1", "started"),
        ("c1", "completed"),
    ]


async def test_one_that_may_have_been_done_carries_the_same_key_when_it_is_tried_again() -> None:
    runner = Runner(failure=ActionFailed("too slow", code="timeout"))
    desk, _ = desk_of(runner)

    result = await desk.run("c1", "pagar", "{}", 1, "paga")
    runner.failure = None
    await desk.run("c2", "pagar", "{}", 2, "paga otra vez")

    assert (result["status"], result["code"]) == ("error", "timeout")
    one, other = runner.ran
    assert one.key == other.key
    assert [record.status for record in desk.records] == ["failed", "completed"]


async def test_a_person_who_takes_over_is_told_what_was_said() -> None:
    desk, told = desk_of(Runner())

    result = await desk.run("c1", "persona", '{"motivo": "una queja"}', 1, "")

    # A model reads the message; an engine without one goes by where the call is handed to.
    said = "Una persona toma la llamada; despídete."
    assert result == {"status": "ok", "message": said, "handoff": "cola-1"}
    [handoff] = [event for event in told if event["type"] == "penny.handoff"]
    assert (handoff["summary"], handoff["reason"], handoff["destination"]) == (
        "resumen",
        "una queja",
        "cola-1",
    )


async def test_what_is_asked_before_a_change_comes_from_its_service() -> None:
    runner = Runner()
    desk, told = desk_of(runner)

    asked = await desk.run("c1", "cancelar", '{"servicio": "agua"}', 1, "cancela el agua")
    assert (asked["status"], asked["question"]) == (
        "confirmation_required",
        "¿Doy de baja agua?",
    )
    assert runner.ran == []
    done = await desk.run("c2", "cancelar", '{"servicio": "agua"}', 2, "sí")
    assert done["status"] == "ok"
    assert runner.ran[0].arguments == {"servicio": "agua", "desde": "2025-01-31"}
    assert [event["status"] for event in told] == ["refused", "started", "completed"]


@pytest.mark.parametrize(
    "failure",
    [ActionFailed("too slow", code="timeout"), ActionFailed("gone", code="connection"), OSError()],
)
async def test_a_yes_to_a_question_that_was_never_asked_does_nothing(failure: Exception) -> None:
    runner = Runner(failure=failure)
    desk, _ = desk_of(runner)

    wish = '{"servicio": "agua"}'
    first = await desk.run("c1", "cancelar", wish, 1, "cancela el agua")
    assert first["status"] == "error"
    runner.failure = None
    second = await desk.run("c2", "cancelar", wish, 2, "vale")
    assert (second["status"], runner.ran) == ("confirmation_required", [])
    runner.failure = failure  # asked, and then asked again in vain: the first question is over
    await desk.run("c3", "cancelar", wish, 3, "no sé")
    runner.failure = None
    assert (await desk.run("c4", "cancelar", wish, 4, "sí"))["status"] == "confirmation_required"
    assert runner.ran == []
    assert (await desk.run("c5", "cancelar", wish, 5, "sí"))["status"] == "ok"


async def test_a_yes_while_the_question_is_still_being_made_does_nothing() -> None:
    runner = Runner(preview_s=5.0)
    desk, _ = desk_of(runner)

    wish = '{"servicio": "agua"}'
    asking = asyncio.create_task(desk.run("c1", "cancelar", wish, 1, "cancela el agua"))
    await asyncio.sleep(1.0)
    early = await desk.run("c2", "cancelar", wish, 2, "sí")
    assert early["status"] == "confirmation_required"
    assert (await asking)["status"] == "confirmation_required"
    assert runner.ran == []


async def test_what_cannot_be_done_is_told_before_anybody_says_yes() -> None:
    runner = Runner(failure=ActionFailed("No tiene agua.", code="http_error"))
    desk, told = desk_of(runner)

    result = await desk.run("c1", "cancelar", '{"servicio": "agua"}', 1, "cancela el agua")
    assert (result["status"], result["message"]) == ("error", "No tiene agua.")
    assert [(event["status"], event["message"]) for event in told] == [
        ("refused", "No tiene agua.")
    ]


async def test_an_action_pauses_the_recording_and_another_goes_on_with_it() -> None:
    desk, told = desk_of(Runner())

    for call_id, name in enumerate(("callar", "grabar", "no_grabar")):
        assert await desk.run(f"c{call_id}", name, "{}", 1, "") == {"status": "ok"}

    said = [event["paused"] for event in told if event["type"] == "penny.recording"]
    assert said == [True, False, True]
    assert [event["withdrawn"] for event in told if event["type"] == "penny.recording"] == [
        False,
        False,
        True,
    ]
    assert [record.status for record in desk.records] == ["completed"] * 3


async def test_a_card_is_asked_for_with_the_recording_paused_and_told_to_none_but_the_service() -> (
    None
):
    runner = Runner()
    desk, told = desk_of(runner)
    opened = await desk.run("c1", "cobrar", '{"importe": 20}', 1, "")
    assert (opened["status"], "tarjeta, cvv" in opened["message"]) == ("error", True)
    assert told[0] == {"type": "penny.recording", "paused": True}
    card = '{"importe": 20, "tarjeta": "4111111111111111", "cvv": "737"}'
    assert (await desk.run("c2", "cobrar", card, 2, ""))["status"] == "ok"
    assert [call.arguments["cvv"] for call in runner.ran] == ["737"]
    assert [event["paused"] for event in told if event["type"] == "penny.recording"] == [
        True,
        False,
    ]
    everything = f"{told} {desk.records}"
    assert "4111111111111111" not in everything
    assert "737" not in everything
    assert "'importe': 20" in everything


def test_a_card_is_not_required_in_what_the_model_is_offered() -> None:
    (tool,) = offer_tools({"cobrar": TABLE["cobrar"]}, "es", search=False)
    assert tool["parameters"]["required"] == ["importe"]
    assert "tarjeta, cvv" in tool["description"]
    assert TABLE["cobrar"].parameters["required"] == ["importe", "tarjeta", "cvv"]


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("search_knowledge", '{"query": "cuota"}', "ok"),
        ("search_knowledge", "{}", "error"),
        ("borrar", "{}", "error"),
        ("pagar", "[", "error"),
    ],
)
async def test_every_call_has_an_answer(name: str, arguments: str, status: str) -> None:
    runner = Runner()
    desk, _ = desk_of(runner)

    assert (await desk.run("c1", name, arguments, 1, ""))["status"] == status
    assert runner.ran == []


async def test_a_fault_of_the_code_is_an_answer_too() -> None:
    desk, _ = desk_of(Runner(failure=RuntimeError("a fault")))

    assert await desk.run("c1", "pagar", "{}", 1, "") == {"status": "error", "code": "tool_failed"}


@pytest.mark.parametrize("failure", [None, ActionFailed("the service answered HTTP 500")])
async def test_13_14_nothing_is_contracted_before_the_document_was_sent(
    failure: Exception | None,
) -> None:
    table = {
        "enviar": Action(description="envía el contrato", callable="nowhere:send"),
        "contratar": Action(description="contrata", callable="nowhere:sign", after="enviar"),
    }
    runner = Runner(failure=failure)

    async def search(query: str) -> Json:
        return {"status": "ok", "query": query}

    desk = ToolDesk(ActionDesk(table, "sess_1"), runner, search, lambda _told: None, lambda: "", {})
    early = await desk.run("c1", "contratar", "{}", 1, "sí, contráteme")
    assert (early["status"], runner.ran) == ("error", [])
    assert "enviar" in early["message"]
    await desk.run("c2", "enviar", "{}", 2, "sí")
    runner.failure = None
    late = await desk.run("c3", "contratar", "{}", 3, "sí")
    assert late["status"] == ("ok" if failure is None else "error")
    assert [call.name for call in runner.ran] == ["enviar", "contratar"][: 2 - bool(failure)]
