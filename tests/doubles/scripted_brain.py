"""What a brain would say behind the scripted answers: folios, a correction, an action, money."""

from __future__ import annotations

from penny.protocol.brain import ContextUpdate, Correction, Folio, Handoff, Passage, ToolCall
from penny.protocol.message import ServerEvent
from penny.protocol.metering import Cost


PASSAGES = [
    Passage(
        id="facturas.md#3",
        source="facturas/vencimientos.md",
        title="Vencimiento y recargos",
        text="Las facturas vencen a los treinta días de su emisión. Pasado el plazo se aplica "
        "un recargo del 1,5 % mensual.",
        score=0.91,
    ),
    Passage(
        id="cliente-F-2024-1234",
        source="clientes/F-2024-1234.json",
        title="Factura F-2024-1234",
        text="Importe 1.500,00 €, emitida el 16 de diciembre, vence el 15 de enero de 2025.",
        score=0.84,
    ),
    Passage(
        id="pagos.md#1", source="facturas/pagos.md", title="Formas de pago", text="…", score=0.57
    ),
]


def folio(turn: int) -> ContextUpdate:
    return ContextUpdate(
        context_update=Folio(
            timestamp="2025-12-18T10:30:00Z",
            user_intent="Consulta sobre una factura pendiente",
            relevant_data={
                "factura_id": "F-2024-1234",
                "importe": "1.500,00 €",
                "vencimiento": "15 de enero de 2025",
            },
            suggested_response_elements=[
                "Confirmar el importe y la fecha de vencimiento",
                "Ofrecer el pago a plazos si pregunta",
            ],
            tone_guidance="Cercano y claro; la persona parece preocupada.",
            warnings=["No prometer la anulación del recargo."],
        ),
        turn_id=f"turn_{turn}",
        revision=turn,
        placement="system_item",
        passages=PASSAGES,
        latency_ms=1240,
        usd=0.0041,
    )


def correction(turn: int, item_id: str) -> Correction:
    return Correction(
        correction_type="factual_error",
        what_gpt_said="el importe es de mil quinientos euros",
        correct_info="El importe es de 1.500,00 € más un recargo de 22,50 €.",
        turn_id=f"turn_{turn}",
        item_id=item_id,
        revision=turn + 1,
    )


def think(turn: int, item_id: str) -> list[ServerEvent]:
    """What comes after the answer of that turn."""
    events: list[ServerEvent] = [folio(turn)]
    if turn == 1:
        events.append(correction(turn, item_id))
    call = {"call_id": f"call_{turn}", "name": "consultar_factura", "turn_id": f"turn_{turn}"}
    events += [
        ToolCall(status="started", arguments={"factura_id": "F-2024-1234"}, **call),
        ToolCall(
            status="completed",
            arguments={"factura_id": "F-2024-1234"},
            result={"estado": "pendiente"},
            **call,
        ),
    ]
    if turn == 2:
        events.append(
            Handoff(
                summary="Pide aplazar la factura F-2024-1234; conoce el recargo.",
                reason="Lo pidió la persona",
                destination="cobros",
            )
        )
    events.append(
        Cost(
            usd_total=0.0192 * turn,
            usd_turn=0.0192,
            usd_by={"portavoz": 0.0151 * turn, "cerebro": 0.0041 * turn},
            turn_id=f"turn_{turn}",
        )
    )
    return events
