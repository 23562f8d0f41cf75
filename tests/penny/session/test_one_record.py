"""One call, and every reader of its turns tells the same of it.

The edge's own copy (what goes over the wire) and the command line's log of that are asked too.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from prometheus_client import generate_latest

from penny.audio.format import PCM24K
from penny.cli.turn_log import TurnLog
from penny.edges.player import Frame, Player
from penny.edges.socket.translate import Effects, Translator
from penny.gateway.metrics import Metrics
from penny.gateway.overview import Overview
from penny.gateway.session_watch import SessionWatches
from penny.protocol.codec import dump
from penny.protocol.message import ServerEvent
from penny.session.broker import Broker, BrokerSettings
from penny.session.mode import SessionSpec
from penny.session.session import Session, SessionLimits
from penny.session.turn_record import TurnReader, TurnRecord
from penny.session.turn_recorder import KEPT_ITEMS, TurnRecorder
from penny.session.turn_timing import TurnTiming
from penny.session.turn_trace import TurnTrace
from tests.doubles.kept_spans import KeptSpans
from tests.doubles.parties import ScriptedEdge, ScriptedMode


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]

FRAME = "A" * 1280
"""20 ms of PCM16 at 24 000 Hz, in base64."""
FAILED = {"error": {"code": "rate_limit_exceeded", "message": "later"}}


class Wire(ScriptedEdge):
    """An edge that hears as a socket's does: its translator cuts what was not heard."""

    def __init__(self) -> None:
        super().__init__()
        self.log = TurnLog()
        self._clock = asyncio.get_running_loop().time
        self._player = Player(PCM24K, lead_ms=20, limit_ms=60_000)
        self.view = Translator(self._player)

    def deliver(self, event: Json) -> None:
        super().deliver(event)
        self._apply(self.view.speaker_event(event, self._clock()))
        self.play()

    def play(self) -> None:
        for due in self._player.due(self._clock()):
            if not isinstance(due, Frame):
                self._show(self.view.played(due))

    def type(self, item_id: str, text: str) -> None:
        if self._player.is_playing(self._clock()):
            self._apply(self.view.interrupt(self._clock()))
        self._show(self.view.typed(item_id, text))
        self.said.try_send({"type": "conversation.item.create", "item": user_item(item_id)})
        self.said.try_send({"type": "response.create"})

    def _apply(self, effects: Effects) -> None:
        for message in effects.to_caller:
            self._show(message)
        for event in effects.to_speaker:
            self.said.try_send(event)

    def _show(self, message: ServerEvent) -> None:
        self.log.feed(orjson.loads(dump(message)))


class Kept(TurnReader):
    """Every turn, in the order in which it was finished: what a store would write."""

    def __init__(self) -> None:
        self.turns: list[TurnRecord] = []

    def turn_finished(self, turn: TurnRecord) -> None:
        self.turns.append(turn)


class Call:
    """A session on virtual time with every reader of its turns."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.mode = ScriptedMode("SELF_HOSTED")
        settings = BrokerSettings("SELF_HOSTED", True, 2, SessionLimits(600, 600))
        self.broker = Broker({"SELF_HOSTED": self.mode}, settings, (), loop.time)
        self.metrics = Metrics(self.broker)
        self.watches = SessionWatches({}, loop.time)
        self.overview = Overview(loop.time, lambda s: self.watches.live[s.id].price)
        self.kept, self.spans = Kept(), KeptSpans()
        self.edge = Wire()
        self.told: list[Json] = []
        self.broker.add_observer(self.watches.watch)
        self.broker.add_observer(self.overview.observe)
        self.broker.add_observer(self._read)

    def _read(self, session: Session, turns: TurnRecorder) -> None:
        self.turns = turns
        turns.add_reader(TurnTiming(session.tell_caller, self.metrics.record_stage))
        turns.add_reader(TurnTrace(self.spans.trace, turns.started_s))
        turns.add_reader(self.kept)

    async def start(self) -> asyncio.Task[str]:
        spec = SessionSpec(session_id="sess_1", language="es")
        speaker = await self.broker.open(self.mode, spec)
        task = asyncio.create_task(self.broker.run(self.mode, spec, self.edge, speaker))
        await self.wait(0.02)
        return task

    async def wait(self, seconds: float) -> None:
        """Time passes with the caller's microphone on."""
        for _ in range(round(seconds / 0.02)):
            self.edge.said.try_send({"type": "input_audio_buffer.append", "audio": FRAME})
            await asyncio.sleep(0.02)
            self.edge.play()

    async def say(self, kind: str, **fields: Any) -> None:
        self.mode.speakers[0].says.try_send({"type": kind, **fields})
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def speech(self, item_id: str, words: str, from_ms: int) -> None:
        await self.say("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=from_ms)
        await self.wait(1.5)
        end_ms = from_ms + 1500
        await self.say("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=end_ms)
        await self.say("input_audio_buffer.committed", item_id=item_id)
        await self.say("conversation.item.added", item=user_item(item_id))
        transcribed = "conversation.item.input_audio_transcription.completed"
        await self.say(transcribed, item_id=item_id, transcript=words)

    async def answer(self, name: str, text: str, seconds: float, status: str = "completed") -> None:
        response = {"id": f"resp_{name}", "conversation_id": "conv_1"}
        await self.say("response.created", response=response)
        place = {"response_id": response["id"], "item_id": f"item_{name}", "content_index": 0}
        if text:
            await self.say("response.output_audio_transcript.delta", **place, delta=text)
        for _ in range(round(seconds / 0.02)):
            await self.say("response.output_audio.delta", **place, delta=FRAME)
        if status != "in_progress":
            await self.done(name, status)

    async def done(self, name: str, status: str) -> None:
        response: Json = {"id": f"resp_{name}", "status": status, "output": []}
        if status == "failed":
            response["status_details"] = FAILED
        place = {"response_id": response["id"], "item_id": f"item_{name}"}
        await self.say("response.output_audio.done", **place)
        await self.say("response.done", response=response)


def user_item(item_id: str) -> Json:
    return {"id": item_id, "type": "message", "role": "user"}


async def test_every_reader_counts_the_same_turns_interruptions_and_failures() -> None:
    call = Call()
    session = await call.start()
    await call.answer("hi", "Buenos días.", 1.0)  # a greeting is no turn of the caller's
    await call.wait(3.0)
    await call.speech("u1", "¿Cuándo vence?", 3_000)
    await call.answer("1", "Vence el quince de enero del año que viene.", 4.0, "in_progress")
    await call.wait(1.0)
    await call.speech("u2", "No, la otra.", 6_500)  # spoken over the answer
    await call.done("1", "cancelled")
    function = {"type": "function_call", "name": "find_invoice", "call_id": "c1"}
    await call.answer("2a", "", 0.0, "in_progress")
    await call.say("response.output_item.done", response_id="resp_2a", item=function)
    await call.done("2a", "completed")
    await call.wait(3.0)  # the tool takes its time
    await call.say("penny.tool_call", call_id="c1", name="find_invoice", status="completed")
    await call.answer("2b", "La otra vence el dos de mayo.", 2.0)
    await call.wait(0.5)
    call.edge.type("u3", "gracias")  # typed while the answer sounds
    await call.wait(0.1)
    content = [{"type": "input_text", "text": "gracias"}]
    await call.say("conversation.item.added", item={**user_item("u3"), "content": content})
    await call.answer("3", "", 0.0, "failed")
    await call.wait(3.0)
    await call.speech("u4", "¿Hola?", 16_000)
    await call.answer("4", "Aquí estoy.", 1.0)
    await call.wait(4.0)
    live = call.overview.describe()["live"]["sess_1"]
    listed = call.watches.live["sess_1"].describe(asyncio.get_running_loop().time())
    call.edge.said.close()
    assert await session == "client_gone"

    greeting, *turns = call.kept.turns
    assert (greeting.item_id, greeting.text, greeting.number) == ("", "Buenos días.", 0)
    assert [turn.number for turn in turns] == [1, 2, 3, 4]
    assert [turn.item_id for turn in turns] == ["u1", "u2", "u3", "u4"]
    assert [turn.input for turn in turns] == ["speech", "speech", "text", "speech"]
    assert [turn.words for turn in turns] == ["¿Cuándo vence?", "No, la otra.", "gracias", "¿Hola?"]
    assert [turn.is_interrupted for turn in turns] == [True, True, False, False]
    assert [turn.status for turn in turns] == ["cancelled", "completed", "failed", "completed"]
    assert [len(turn.responses) for turn in turns] == [1, 2, 1, 1]
    assert [(mark.kind, mark.fields["name"]) for mark in turns[1].marks] == [
        ("function_call", "find_invoice"),
        ("tool_call", "find_invoice"),
    ]
    # The caller's count, in every place that tells it.
    wire = call.edge.log.turns
    spoken = [turn for turn in wire if turn.turn_id != "turn_0"]
    spans = call.spans.all("turn")
    metrics = [e for e in call.edge.delivered if e["type"] == "penny.turn_metrics"]
    stages = generate_latest(call.metrics.registry).decode()
    assert call.turns.count == len(turns) == 4
    assert live["turns"] == listed["turns"] == 4
    assert call.edge.view.turns == call.edge.log.count == 4
    assert len(spans) == len(metrics) == 4
    assert 'penny_turn_stage_seconds_count{stage="done"} 4.0' in stages
    assert [event["item_id"] for event in metrics] == [turn.item_id for turn in turns]
    # Interruptions, failures and what was heard.
    assert call.turns.interrupted == call.edge.view.interruptions == 2
    assert [turn.interrupted for turn in spoken] == [turn.is_interrupted for turn in turns]
    cut = [span for span in spans if (span.attributes or {}).get("penny.interrupted")]
    assert len(cut) == len(call.spans.all("interruption")) == 2
    assert [turn.status for turn in spoken] == [turn.status for turn in turns]
    failed = [span for span in call.spans.all("generation") if not span.status.is_ok]
    assert len(failed) == len(call.overview.describe()["errors"]) == 1
    assert [turn.heard for turn in spoken] == [turn.heard_text for turn in turns]
    assert turns[0].text.startswith(turns[0].heard_text)
    assert 0 < len(turns[0].heard_text) < len(turns[0].text)
    # Latencies.
    for event, turn, span in zip(metrics, turns, spans, strict=True):
        first_audio = turn.latency_ms()["first_audio"]
        assert event["latency_ms"]["first_audio"] == first_audio
        assert (span.attributes or {}).get("penny.wait.ms") == first_audio
    known = [ms for turn in turns if (ms := turn.latency_ms()["first_audio"]) is not None]
    assert live["latency_ms"]["p95"] == max(known)


async def test_a_call_of_an_hour_takes_the_memory_of_its_open_turns() -> None:
    turns, kept = TurnRecorder(0.0), Kept()
    turns.add_reader(kept)
    for number in range(1000):
        at_s = number * 3.6
        item = user_item(f"u{number}")
        turns.caller_event({"type": "conversation.item.create", "item": item}, at_s)
        turns.speaker_event({"type": "conversation.item.added", "item": item}, at_s)
        response = {"id": f"r{number}", "conversation_id": "c", "status": "completed"}
        turns.speaker_event({"type": "response.created", "response": response}, at_s)
        place = {"response_id": f"r{number}", "item_id": f"p{number}", "delta": "hola"}
        turns.speaker_event({"type": "response.output_text.delta", **place}, at_s)
        turns.speaker_event({"type": "response.done", "response": response}, at_s)
    assert turns.count == 1000
    assert len(turns._open) == len(turns._by_response) == 1
    assert len(turns._by_item) <= KEPT_ITEMS + 1
    assert [turn.number for turn in kept.turns] == list(range(1, 1000))


async def test_history_that_is_told_again_begins_no_turn() -> None:
    turns = TurnRecorder(0.0)
    for at_s in (1.0, 20.0):  # as after a change of speaker
        turns.speaker_event({"type": "conversation.item.added", "item": user_item("u1")}, at_s)
        response = {"id": f"r{at_s}", "conversation_id": "c", "status": "completed"}
        turns.speaker_event({"type": "response.created", "response": response}, at_s)
        place = {"response_id": f"r{at_s}", "item_id": "p", "delta": "hola"}
        turns.speaker_event({"type": "response.output_text.delta", **place}, at_s)
        turns.speaker_event({"type": "response.done", "response": response}, at_s)
        turns.caller_event({"type": "input_audio_buffer.append"}, at_s + 10.0)
    assert turns.count == 1


async def test_a_reader_that_fails_keeps_no_other_from_its_turns() -> None:
    class Broken(TurnReader):
        def turn_began(self, turn: TurnRecord) -> None:
            raise ValueError("broken")

    turns, kept = TurnRecorder(0.0), Kept()
    turns.add_reader(Broken())
    turns.add_reader(kept)
    turns.speaker_event({"type": "conversation.item.added", "item": user_item("u1")}, 1.0)
    turns.ended("client_ended", 2.0)
    assert [turn.item_id for turn in kept.turns] == ["u1"]
