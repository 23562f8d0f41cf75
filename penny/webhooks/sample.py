"""Events that never happened, for a receiver to be tried with, and for the documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from config.webhooks import EventType
from penny.calls.record import Call, Turn, measure
from penny.ids import new_id
from penny.webhooks.deliverer import Posts
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import EndpointDisabled, Event, tell
from penny.webhooks.policy import Answer
from penny.webhooks.signing import sign, write_body
from penny.webhooks.telling import events_of


CALL_ID = "sess_example"


class Test(BaseModel):
    """What a test sends."""

    model_config = ConfigDict(extra="forbid")
    __test__ = False  # of the house, not of the test runner

    type: EventType = "call.ended"


def make_sample(kind: EventType, now: datetime) -> Event:
    """An event of this type, of a call that ended ``now``; its call id is ``CALL_ID``."""
    if kind == EndpointDisabled.type:
        since = now - timedelta(days=5)
        data = tell(EndpointDisabled, endpoint="crm", reason="failing", failing_since=since)
        return Event(id=new_id("msg"), type=kind, at=now, data=data)
    call = _call(now, status="failed" if kind == "call.failed" else "completed")
    event = next(each for each in events_of(call) if each.type == kind)
    return event.model_copy(update={"id": new_id("msg")})


async def send_test(sender: Posts, endpoint: Endpoint, kind: EventType, now_s: float) -> Answer:
    """Send an event that never happened, and what came of it. The outbox has no part in it."""
    event = make_sample(kind, datetime.fromtimestamp(now_s, UTC))
    if endpoint.deliver is not None:
        return await endpoint.deliver(event)
    body = write_body(event, endpoint)
    return await sender.post(endpoint.url, body, sign(event.id, body, endpoint, now_s))


def _call(now: datetime, status: str) -> Call:
    handoff = {"reason": "quiere hablar con una persona", "destination": "atencion_cliente"}
    turn = Turn(
        number=1,
        from_ms=0,
        until_ms=1500,
        finished_ms=4000,
        words="¿Cuándo vence mi factura?",
        heard_text="Vence el quince de diciembre.",
        language="es",
        latency_ms={"transcript": 200, "first_token": 300, "first_audio": 450, "done": 900},
        marks=[{"kind": "handoff", "at_ms": 3500.0, "fields": {**handoff, "summary": "Pregunta."}}],
    )
    call = Call(
        id=CALL_ID,
        tenant="default",
        edge="socket",
        modes=["EXTERNAL"],
        caller="+34600000000",
        language="es",
        started_at=now - timedelta(seconds=30),
        ended_at=now,
        end_reason="busy" if status == "failed" else "client",
        status=status,  # type: ignore[arg-type]  # one of its names
        consent={"policy": "on"},
        sound={"state": "stored", "duration_ms": 30_000, "bytes": 480_000, "sha256": "0" * 64},
        turns=[turn],
        derived={
            "alerts": [{"kind": "sentiment", "reason": "enfado", "turns": [1], "score": -0.8}]
        },
    )
    call.metrics = measure(call)
    return call
