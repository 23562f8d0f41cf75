"""A whole connection driven at random: core, ears, voice and their faults, on a jumping clock."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from penny.errors import EngineError
from penny.ids import new_id
from penny.realtime.commands import Hangup
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings
from runpod_worker.connection import Connection
from runpod_worker.engines.registry import Engines
from runpod_worker.filler import Fillers
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import (
    EngineInfo,
    LlmDelta,
    LlmRequest,
    LlmToolCall,
    Transcript,
    Voice,
    Window,
)
from tests.doubles.engines import FixedLlm, FixedStt, FixedTts, FixedUtterance, tone
from tests.realtime_schema import assert_server_event_valid
from tests.virtual_time import VirtualTimeLoop


pytestmark = pytest.mark.slow


Json = dict[str, Any]
NOW_S = 1_800_000_000.0
MS = 48
PICK = st.integers(0, 1_000_000)
HOW = st.sampled_from(["truncate", "delete", "retrieve"])
TOOL = {"type": "function", "name": "consultar_factura", "parameters": {"type": "object"}}


class LoudnessVad:
    """Loud is speech: what a window holds decides, so a test says what is heard."""

    info = EngineInfo("loudness", ("*",))
    WINDOW_BYTES = 32 * 32

    def open(self) -> LoudnessVad:
        fresh = LoudnessVad()
        fresh.rest = b""
        return fresh

    async def feed(self, pcm: bytes) -> list[Window]:
        self.rest += pcm
        heard = []
        while len(self.rest) >= self.WINDOW_BYTES:
            window, self.rest = self.rest[: self.WINDOW_BYTES], self.rest[self.WINDOW_BYTES :]
            loud = max(window[1::2]) > 2 and any(window)
            heard.append(Window(0.95 if loud else 0.02, 32))
        return heard

    def reset(self) -> None:
        self.rest = b""

    async def aclose(self) -> None:
        return None


class Breakable:
    """Raises once when told to: an EngineError as engines do, or a bug of ours."""

    fault = ""

    def break_now(self, stage: str) -> None:
        fault, self.fault = self.fault, ""
        if fault == "engine":
            raise EngineError("broken on purpose", stage=stage)
        if fault == "bug":
            raise LookupError("a bug on purpose")


class BreakableUtterance(FixedUtterance):
    async def finish(self) -> Transcript:
        self.stt.break_now("stt")  # type: ignore[attr-defined]  # it is a BreakableStt
        return await super().finish()


class BreakableStt(Breakable, FixedStt):
    def begin(self, options: Any) -> BreakableUtterance:
        return BreakableUtterance(self)


class BreakableLlm(Breakable, FixedLlm):
    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        self.break_now("llm")
        async for delta in super().generate(request):
            yield delta


class BreakableTts(Breakable, FixedTts):
    generated_bytes = 0

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        self.break_now("tts")
        async for pcm in super().synthesize(phrase, voice):
            self.generated_bytes += len(pcm)
            yield pcm


class CountedFillers(Fillers):
    """Fillers that count what is taken: each is made once, and said in many turns."""

    taken_bytes = 0

    def take(self, voice: Voice) -> tuple[str, bytes]:
        text, pcm = super().take(voice)
        self.taken_bytes += len(pcm)
        return text, pcm


class ConnectionMachine(RuleBasedStateMachine):
    """The model knows the wire alone, and what the engines were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.logs = capture_logs()  # hundreds of faults on purpose, each with its traceback
        self.logs.__enter__()
        self.loop = VirtualTimeLoop()
        self.stt = BreakableStt("hola", "", default="cuándo vence", latency_s=0.1)
        self.llm = BreakableLlm("Una frase. " + "Otra frase más larga, sí. " * 6, gap_s=0.05)
        self.tts = BreakableTts(first_s=0.05)
        worker = WorkerSettings()
        self.filler_tts = BreakableTts(first_s=0.05)  # their making is no saying
        self.fillers = CountedFillers(self.filler_tts, worker.spoken.fillers)
        self.hangups: list[Hangup] = []
        self.events: list[Json] = []
        self.ids: set[str] = set()
        self.created: dict[str, bool] = {}
        self.ended: Counter[str] = Counter()
        self.sent_bytes: dict[str, int] = defaultdict(int)
        self.items: list[str] = []
        engines = Engines(LoudnessVad(), self.stt, self.llm, self.tts)
        core = RealtimeCore(CoreSettings(session_max_s=10**6), new_id)
        self.connection = Connection(
            core,
            engines,
            worker,
            penny_events=True,
            send_event=self.take,
            hang_up=self.hang_up,
            fillers=self.fillers,
            apologies=Fillers(self.tts, {}),  # each made when it is said, so that it is counted
        )
        self.run(self.connection.open(NOW_S))
        self.send(
            "session.update",
            session={"type": "realtime", "audio": {"input": {"transcription": {}}}},
        )

    def run(self, work: Any) -> None:
        """Run to its end, and let all that is ready now happen."""

        async def settled() -> None:
            await work
            await asyncio.sleep(0.001)

        self.loop.run_until_complete(settled())

    def send(self, kind: str, **fields: Any) -> None:
        self.run(self.connection.receive(json.dumps({"type": kind, **fields})))

    async def hang_up(self, hangup: Hangup) -> None:
        self.hangups.append(hangup)

    # --- the wire ----------------------------------------------------------------------------

    async def take(self, event: Json) -> None:
        assert_server_event_valid(event)
        assert event["event_id"] not in self.ids
        self.ids.add(event["event_id"])
        self.events.append(event)
        kind = event["type"]
        response_id = event.get("response_id")
        if response_id is not None:
            assert response_id in self.created
            assert not self.ended[response_id], f"{kind} after response.done"
        if kind == "response.created":
            response = event["response"]
            self.created[response["id"]] = response["conversation_id"] is not None
        elif kind == "response.done":
            self.ended[event["response"]["id"]] += 1
        elif kind == "response.output_audio_transcript.delta":
            is_filler = event["delta"].strip() in self.filler_tts.phrases
            assert self.created[response_id] or not is_filler, "a filler nobody is to hear"
        elif kind == "response.output_audio.delta":
            self.sent_bytes[event["item_id"]] += len(base64.b64decode(event["delta"]))
        elif kind == "conversation.item.added":
            self.items.append(event["item"]["id"])
        elif kind == "conversation.item.truncated":
            assert event["audio_end_ms"] <= self.sent_bytes[event["item_id"]] // MS
        elif kind == "penny.item.heard":
            assert event["audio_ms"] <= self.sent_bytes[event["item_id"]] // MS

    def running(self) -> list[str]:
        return [each for each in self.created if not self.ended[each]]

    # --- the caller --------------------------------------------------------------------------

    @rule(
        speech_ms=st.sampled_from([0, 100, 500, 1200]),
        quiet_ms=st.sampled_from([0, 100, 700]),
        then=st.sampled_from(["", "", "", "commit", "clear"]),
        fault=st.sampled_from(["", "", "engine", "bug"]),
    )
    def speak(self, speech_ms: int, quiet_ms: int, then: str, fault: str) -> None:
        self.stt.fault = fault
        pcm = tone(speech_ms) + bytes(quiet_ms * MS)
        self.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())
        if then:
            self.send(f"input_audio_buffer.{then}")

    @rule(seconds=st.sampled_from([0.02, 0.3, 2.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    # --- the client --------------------------------------------------------------------------

    @rule(
        side=st.booleans(),
        kind=st.sampled_from(["audio", "audio", "text", "tools"]),
        fault=st.sampled_from(["", "", "llm engine", "llm bug", "tts engine", "tts bug", "slow"]),
    )
    def ask(self, side: bool, kind: str, fault: str) -> None:
        response: Json = {"output_modalities": ["text"] if kind == "text" else ["audio"]}
        if side:
            response["conversation"] = "none"
        if kind == "tools":
            response["tools"] = [TOOL]
            self.llm.call = LlmToolCall(new_id("call"), "consultar_factura", "{}", done=True)
        self.llm.first_s = 30.0 if fault == "slow" else 0.0
        self.llm.fault, self.tts.fault = (
            fault.removeprefix(stage) if fault.startswith(stage) else ""
            for stage in ("llm ", "tts ")
        )
        self.filler_tts.fault = self.tts.fault
        self.send("response.create", response=response)

    @precondition(lambda self: self.running())
    @rule(by_id=st.booleans(), pick=PICK)
    def cancel(self, by_id: bool, pick: int) -> None:
        running = self.running()
        which = {"response_id": running[pick % len(running)]} if by_id else {}
        self.send("response.cancel", **which)

    @rule(ms=st.sampled_from([0, 50, 400]), known=st.booleans())
    def write(self, ms: int, known: bool) -> None:
        part: Json = {"type": "input_text", "text": "hola"}
        if ms:
            part = {"type": "input_audio", "audio": base64.b64encode(tone(ms)).decode()}
            if known:
                part["transcript"] = "hola"
        item = {"type": "message", "role": "user", "content": [part]}
        self.send("conversation.item.create", item=item)

    @precondition(lambda self: self.items)
    @rule(
        how=st.sampled_from(["truncate", "delete", "retrieve"]), pick=PICK, ms=st.integers(0, 5000)
    )
    def touch_an_item(self, how: str, pick: int, ms: int) -> None:
        spoken = list(self.sent_bytes) if how == "truncate" else []
        items = spoken or self.items
        at = {"content_index": 0, "audio_end_ms": ms} if how == "truncate" else {}
        self.send(f"conversation.item.{how}", item_id=items[pick % len(items)], **at)

    @rule(
        kind=st.sampled_from(["server_vad", "server_vad", "semantic_vad", None]),
        create=st.booleans(),
        interrupt=st.booleans(),
        silence_ms=st.sampled_from([0, 200, 500]),
        idle=st.booleans(),
        wire=st.sampled_from(["audio/pcm", "audio/pcm", "audio/pcmu", "audio/pcma"]),
    )
    def configure(
        self,
        kind: str | None,
        create: bool,
        interrupt: bool,
        silence_ms: int,
        idle: bool,
        wire: str,
    ) -> None:
        detection: Json | None = None
        if kind is not None:
            detection = {"type": kind, "create_response": create, "interrupt_response": interrupt}
        if detection is not None and kind == "server_vad":
            detection["silence_duration_ms"] = silence_ms
            detection["idle_timeout_ms"] = 5000 if idle else None
        audio = {"input": {"turn_detection": detection, "format": {"type": wire}}}
        self.send("session.update", session={"type": "realtime", "audio": audio})

    @precondition(lambda self: len(self.events) % 5 == 0)
    @rule(text=st.text(max_size=30))
    def send_garbage(self, text: str) -> None:
        self.run(self.connection.receive(text))

    # --- what must always hold ---------------------------------------------------------------

    @invariant()
    def the_wire_is_consistent(self) -> None:
        assert all(count == 1 for count in self.ended.values())
        assert sum(self.created[each] for each in self.running()) <= 1
        assert sum(self.sent_bytes.values()) <= self.tts.generated_bytes + self.fillers.taken_bytes
        assert not self.hangups

    def teardown(self) -> None:
        try:
            self.end()
        finally:  # what failed here must not be laid to the next test's charge
            self.run(self.connection.aclose())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            self.logs.__exit__(None, None, None)

    def end(self) -> None:
        """All comes to an end, and nothing is left."""
        for engine in (self.stt, self.llm, self.tts, self.filler_tts):
            engine.fault = ""
        self.run(asyncio.sleep(600))
        assert not self.running(), "a response never ended"
        assert all(count == 1 for count in self.ended.values())
        committed = {
            e["item_id"] for e in self.events if e["type"] == "input_audio_buffer.committed"
        }
        # Every turn was finished with a transcript or a failure, or its item was deleted.
        ends = ("transcription.completed", "transcription.failed", "conversation.item.deleted")
        finished = {e["item_id"] for e in self.events if e["type"].endswith(ends)}
        assert committed <= finished
        names = {task.get_name() for task in asyncio.all_tasks(self.loop)}
        assert names == {"realtime writer", "realtime listener"}
        self.run(self.connection.aclose())
        assert not asyncio.all_tasks(self.loop)


ConnectionMachine.TestCase.settings = settings(
    max_examples=50, stateful_step_count=80, deadline=None
)
TestConnectionMachine = ConnectionMachine.TestCase
