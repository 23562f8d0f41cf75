"""A card that an action asks for: its digits are in nothing that is kept, told or written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
from structlog.testing import capture_logs

from brain.actions import ActionDesk
from brain.tool_desk import ActionRunner, ToolDesk
from config.brain import Action
from penny.calls.masking import silenced
from penny.calls.record import measure
from penny.calls.sound import write_sound
from penny.calls.spool import CALLER, PENNY, read_log
from penny.session.turn_trace import TurnTrace
from penny.webhooks.telling import events_of
from tests.doubles.kept_spans import KeptSpans
from tests.penny.calls.test_sound import Kept


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]

CHARGE = Action(
    description="cobra con tarjeta",
    callable="nowhere:charge",
    parameters={
        "type": "object",
        "properties": {
            "tarjeta": {"type": "string", "format": "card-number"},
            "cvv": {"type": "string", "format": "cvv"},
            "pin": {"type": "string", "format": "pin"},
        },
        "required": ["tarjeta"],
    },
)
CASES = (
    ("4539 7810 2264 9955", "tarjeta", "4539781022649955"),
    ("cuatro cinco tres nueve 7810, luego 2264 y 9955", "tarjeta", "4539781022649955"),
    ("es el 8264", "cvv", "8264"),
    ("ocho dos seis cuatro, o sea 8264", "cvv", "8264"),
    ("el 7391 de siempre", "pin", "7391"),
)


class Service(ActionRunner):
    def __init__(self) -> None:
        super().__init__({})
        self.took: list[Json] = []

    async def run(self, action: Action, call: Any, session: Json) -> Json:
        self.took.append(call.arguments)
        return {"estado": "cobrado"}


@pytest.mark.parametrize(("words", "slot", "value"), CASES)
async def test_its_digits_are_nowhere(tmp_path: Path, words: str, slot: str, value: str) -> None:
    kept, spans, service = Kept(tmp_path), KeptSpans(), Service()
    kept.turns.add_reader(TurnTrace(spans.trace, 0.0))
    told: list[Json] = []
    now_ms = 1500.0

    def tell(event: Json) -> None:
        told.append(event)
        kept.speaker(event, now_ms)

    async def search(_query: str) -> Json:
        return {}

    action = CHARGE.model_copy(
        update={
            "parameters": {
                **CHARGE.parameters,
                "required": [slot],
                "properties": {slot: CHARGE.parameters["properties"][slot]},
            }
        }
    )
    desk = ToolDesk(ActionDesk({"cobrar": action}, "sess_1"), service, search, tell, lambda: "", {})
    with capture_logs() as logs:
        kept.hears("quiero pagar", 0, "i0")
        opened = await desk.run("c1", "cobrar", "{}", 1, "quiero pagar")
        assert opened["status"] == "error"
        kept.says(1000, 3000, 10)
        kept.hears(words, 3000, "i1")
        kept.says(4000, 4500, 10)
        now_ms = 4500.0
        arguments = json.dumps({slot: value})
        item = {"type": "function_call", "name": "cobrar", "arguments": arguments}
        kept.speaker({"type": "response.output_item.done", "item": item}, now_ms)
        assert (await desk.run("c2", "cobrar", arguments, 2, words))["status"] == "ok"
        kept.says(4500, 9000, 10)
        kept.hears("gracias", 9000, "i2")
        kept.end(15_000)
        call = kept.call()
        call.metrics = measure(call)
        target = tmp_path / "sound.flac"
        assert write_sound(tmp_path, read_log(tmp_path), target, silenced(call.turns)) is not None
    assert service.took == [{slot: value}]
    samples, rate_hz = soundfile.read(target, dtype="int16")
    assert not samples[1500 * rate_hz // 1000 : 4500 * rate_hz // 1000].any()
    assert samples[9500 * rate_hz // 1000 :].any()
    written = [path.read_bytes() for path in tmp_path.iterdir() if path.name not in (CALLER, PENNY)]
    written += [call.model_dump_json().encode(), str(told).encode(), str(logs).encode()]
    written += [event.model_dump_json().encode() for event in events_of(call)]
    # What spans say: their ids and moments have any four digits now and then.
    for span in spans.ended.values():
        told_of = [(each.name, dict(each.attributes or {})) for each in (span, *span.events)]
        written.append(str(told_of).encode())
    groups = [value[at : at + 4] for at in range(0, len(value), 4)]
    assert [group for group in groups if any(group.encode() in each for each in written)] == []
    spoken = {word for turn in call.turns for word in (turn.words or "").split()}
    assert not spoken & {"cuatro", "cinco", "tres", "nueve", "ocho", "dos", "seis"}
    assert "gracias" in spoken
