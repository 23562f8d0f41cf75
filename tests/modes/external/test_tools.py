"""Actions: against the sample's real HTTP service, exactly once, never without the caller's yes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.schema import Config
from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.realtime_server import Connection, RealtimeDouble
from tests.invoices.service import InvoiceService, action_table
from tests.modes.external.caller import calling, configure


pytestmark = pytest.mark.socket


Json = dict[str, Any]

ALL = {"available_actions": ["consultar_factura", "programar_pago", "transferir_humano"]}


@pytest.fixture
async def invoices() -> AsyncIterator[InvoiceService]:
    async with InvoiceService() as service:
        yield service


def config_for(
    tmp_path: Path, speaker: RealtimeDouble, invoices: InvoiceService, **actions: Any
) -> Config:
    table = action_table(invoices.url)
    return configure(
        tmp_path,
        speaker.base_url,
        None,
        brain={"facts_budget_ms": 0},
        actions={"table": table, **actions},
    )


def output(upstream: Connection, call_id: str) -> Json:
    for item in upstream.items.values():
        if item["type"] == "function_call_output" and item["call_id"] == call_id:
            parsed: Json = json.loads(item["output"])
            return parsed
    raise AssertionError(f"no output for {call_id}")


async def test_an_action_runs_and_its_result_is_answered_with(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    config = config_for(tmp_path, speaker, invoices)
    async with calling(config, tmp_path, context=ALL) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Dígame la factura F-2024-1234")
        call_id = await upstream.call("consultar_factura", {"factura_id": "F-2024-1234"})
        await upstream.answer("Son mil quinientos euros.")
        result = output(upstream, call_id)["result"]
        assert (result["importe"], result["vencimiento"]) == (1500.0, "2025-01-15")
        done = await caller.until("penny.tool_call", lambda e: e["status"] == "completed")
        assert done["result"] == result
        # The call itself is nobody's business on the caller's side.
        shown = [e for e in caller.heard if "function_call" in str(e.get("item"))]
        assert shown == []
        assert not [e for e in caller.heard if "function_call_arguments" in e["type"]]


async def test_redelivered_calls_and_both_announcements_run_once_per_call_id(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    config = config_for(tmp_path, speaker, invoices)
    async with calling(config, tmp_path, context=ALL):
        upstream = await speaker.connection()
        await upstream.hear("Dígame la factura F-2024-1234")
        arguments = {"factura_id": "F-2024-1234"}
        await upstream.call("consultar_factura", arguments, call_id="call_1", twice=True)
        await upstream.answer("Son mil quinientos euros.")
        assert len(invoices.requests) == 1


async def test_a_payment_needs_the_callers_yes_in_a_turn_of_its_own(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    config = config_for(tmp_path, speaker, invoices)
    arguments = {"factura_id": "F-2024-1234", "fecha": "2025-01-10"}
    async with calling(config, tmp_path, context=ALL) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Pague la factura el diez de enero")
        # A speaker that claims the yes by itself is not believed.
        first = await upstream.call("programar_pago", {**arguments, "confirmado": True})
        await upstream.answer("¿Programo el pago para el diez de enero?")
        assert output(upstream, first)["status"] == "confirmation_required"
        assert invoices.payments == {}
        await upstream.hear("Sí, por favor")
        second = await upstream.call("programar_pago", {**arguments, "confirmado": True})
        await upstream.answer("Hecho.")
        assert output(upstream, second)["result"]["fecha"] == "2025-01-10"
        [key] = invoices.payments
        assert second not in key, "the key is the wish's, whatever the call is named"
        statuses = [e["status"] for e in caller.all("penny.tool_call")]
        assert statuses == ["refused", "started", "completed"]


async def test_a_hand_over_carries_a_summary_for_the_person(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    config = config_for(tmp_path, speaker, invoices)
    async with calling(config, tmp_path, context=ALL) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Quiero hablar con una persona")
        await upstream.call("transferir_humano", {"motivo": "lo pide"})
        handoff = await caller.until("penny.handoff")
        assert handoff["destination"] == "atencion_cliente"
        assert "Cliente: Quiero hablar con una persona" in handoff["summary"]
        await upstream.answer("Le paso.")


async def test_a_failing_service_is_told_as_it_is(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    config = config_for(tmp_path, speaker, invoices)
    async with calling(config, tmp_path, context=ALL) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Dígame la factura nueve")
        call_id = await upstream.call("consultar_factura", {"factura_id": "F-0"})
        await upstream.answer("No la encuentro.")
        assert output(upstream, call_id)["code"] == "http_error"
        assert (await caller.until("penny.tool_call", lambda e: e["status"] == "failed"))["message"]


async def test_long_work_gets_a_filler_and_a_late_result_is_announced(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    invoices.delay_s = 0.5
    config = config_for(tmp_path, speaker, invoices, filler_after_ms=100, reply_after_ms=200)
    async with calling(config, tmp_path, context=ALL):
        upstream = await speaker.connection()
        await upstream.hear("Dígame la factura F-2024-1234")
        call_id = await upstream.call("consultar_factura", {"factura_id": "F-2024-1234"})
        filler = await upstream.asked()
        assert filler["response"]["metadata"]["penny_say"] == "Un momento, lo estoy consultando."
        await upstream.finish(upstream.active, "completed")
        await upstream.asked()
        assert output(upstream, call_id)["status"] == "in_progress"
        await upstream.finish(upstream.active, "completed")
        await upstream.answer("Ya lo tengo: son mil quinientos euros.")
        assert any(note.startswith("[RESULTADO] consultar_factura") for note in upstream.notes())


async def test_no_filler_is_said_twice_in_a_session(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    invoices.delay_s = 0.3
    config = config_for(tmp_path, speaker, invoices, filler_after_ms=100, reply_after_ms=2000)
    said = []
    async with calling(config, tmp_path, context=ALL):
        upstream = await speaker.connection()
        for _ in range(2):
            await upstream.hear("Dígame la factura F-2024-1234")
            await upstream.call("consultar_factura", {"factura_id": "F-2024-1234"})
            said.append((await upstream.asked())["response"]["metadata"]["penny_say"])
            await upstream.finish(upstream.active, "completed")
            await upstream.asked()
            await upstream.finish(upstream.active, "completed")
    assert len(set(said)) == 2


async def test_the_speaker_looks_things_up_by_itself(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    config = config_for(tmp_path, speaker, invoices)
    async with calling(config, tmp_path):
        upstream = await speaker.connection()
        await upstream.hear("¿Y la F-2024-1234?")
        query = {"query": "cuándo vence la factura F-2024-1234"}
        call_id = await upstream.call("search_knowledge", query)
        await upstream.answer("El quince de enero.")
        assert "15 de enero" in str(output(upstream, call_id))


async def test_undeclared_actions_are_named_in_a_warning(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    config = config_for(tmp_path, speaker, invoices)
    async with calling(config, tmp_path, context={"available_actions": ["volar"]}) as caller:
        await speaker.connection()
        warning = await caller.until("penny.warning", lambda e: "volar" in e["message"])
        assert warning["field"] == "context.available_actions"


async def test_all_outputs_of_a_response_precede_its_one_answer(
    speaker: RealtimeDouble, invoices: InvoiceService, tmp_path: Path
) -> None:
    config = config_for(tmp_path, speaker, invoices)
    async with calling(config, tmp_path, context=ALL):
        upstream = await speaker.connection()
        await upstream.hear("Dígame las dos facturas")
        await upstream.asked()
        response_id, done = upstream.active, []
        for number, call_id in (("F-2024-1234", "call_a"), ("F-2024-1187", "call_b")):
            item = {
                "id": f"item_{call_id}",
                "type": "function_call",
                "status": "completed",
                "name": "consultar_factura",
                "call_id": call_id,
                "arguments": json.dumps({"factura_id": number}),
            }
            await upstream.send(
                "response.output_item.done", response_id=response_id, output_index=0, item=item
            )
            done.append(item)
            upstream.items[item["id"]] = item
        await upstream.finish(response_id, "completed", output=done)
        await upstream.answer("Son estas.")
        kinds = [
            (e["type"], e.get("item", {}).get("call_id"))
            for e in upstream.received
            if e["type"] == "response.create" or "call_id" in e.get("item", {})
        ]
        assert [kind for kind, _ in kinds] == ["conversation.item.create"] * 2 + ["response.create"]
        assert {call_id for _, call_id in kinds[:2]} == {"call_a", "call_b"}


async def test_on_demand_the_speakers_search_is_the_demand(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 2, answer=folio("Consulta sobre factura"))
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    wishes = {"update_frequency": "on_demand"}
    async with calling(config, tmp_path, cerebro=wishes) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Buenas tardes")
        await upstream.answer("Dígame.")
        await upstream.hear("¿Cuándo vence la F-2024-1234?")
        await upstream.call("search_knowledge", {"query": "vencimiento F-2024-1234"})
        await upstream.answer("El quince de enero.")
        await caller.until("penny.context_update")
