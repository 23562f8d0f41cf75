"""A call's whole world on virtual time, without sockets: vendor, line, tools, brain and caller.

The vendor keeps the protocol's rules and loses events now and then; whatever happens is drawn from
one seed. ``Race.run`` plays a call to its end and returns what went wrong.
"""

from __future__ import annotations

import heapq
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from brain.folio import Folio
from modes.external.context import DeclaredContext
from modes.external.conversation import Conversation
from modes.external.placing import Placer
from modes.external.reducer import next_deadline_s, step
from modes.external.session_view import SessionView
from modes.external.speaker import Capabilities, Step
from modes.external.state import CallState, ToolEnded, What


Json = dict[str, Any]

MUTE_S = 60.0
"""Bound on the silence after a turn: a stalled response, a request made twice, and reconnecting."""
LATENCY_S = 0.03
AUDIO = b64encode(bytes(48 * 200)).decode()
"""200 ms."""
TOOL = {"type": "function", "name": "pagar", "description": "", "parameters": {"type": "object"}}


def make_state(*, answers_turns: bool = True, policy: str = "append") -> CallState:
    """A call that has just begun, with one tool."""
    serial = count(1)
    placer = Placer(policy, None)  # type: ignore[arg-type]  # one of the policies
    new_id = lambda prefix: f"{prefix}_{next(serial)}"  # noqa: E731
    view = SessionView([TOOL], answers_turns=answers_turns, transcription={"model": "w"})
    view.begin({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}, "tools": []}, {})
    return CallState(
        conversation=Conversation(),
        context=DeclaredContext("base", "rules", placer, new_id),
        placer=placer,
        view=view,
        facts_s=0.06 if answers_turns else 0.0,
        new_id=new_id,
        fillers=["un momento", "sigo en ello"],
        has_brain=True,
    )


@dataclass
class Vendor:
    """One upstream session: its rules, and the events that it loses."""

    world: Race
    items: dict[str, Json] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    active: str = ""
    is_open: bool = True
    _serial: count[int] = field(default_factory=lambda: count(1))

    def event(self, kind: str, **fields: Any) -> None:
        if self.is_open:
            event = {"type": kind, "event_id": "e", **fields}
            self.world.later(LATENCY_S, lambda: self._arrive(event))

    def _arrive(self, event: Json) -> None:
        if self.is_open and self.world.vendor is self:
            self.world.happen("upstream", event)

    def take(self, event: Json) -> None:
        """A client event, in order."""
        kind = event["type"]
        if kind == "response.create":
            self._respond(event)
        elif kind == "response.cancel":
            if self.active and event.get("response_id") in (None, self.active):
                self._finish("cancelled", "client_cancelled")
            else:
                self._error(event, "response_cancel_not_active")
        elif kind == "conversation.item.create":
            self.add(event["item"], event.get("event_id"))

    def change(self, change: Step) -> None:
        name = change.folios[0] if change.folios else ""
        if change.act == "append":
            self.notes[name] = change.text
        elif change.act == "remove":
            self.notes.pop(name, None)
        if not self.world.fault("acknowledgement"):
            self.event("penny.placed", step_id=change.id)

    def add(self, item: Json, event_id: str | None = None) -> None:
        calls = {
            each.get("call_id") for each in self.items.values() if each["type"] == "function_call"
        }
        if item["type"] == "function_call_output":
            told = [
                i
                for i in self.items.values()
                if i.get("output") and i["call_id"] == item["call_id"]
            ]
            if told or item["call_id"] not in calls:
                self.world.wrong.append(f"output of {item['call_id']} told twice or without a call")
        self.items[item["id"]] = item
        if event_id is not None and not self.world.fault("acknowledgement"):
            self.event("conversation.item.added", item=item, previous_item_id=None)

    def _error(self, event: Json, code: str, *, named: bool = True) -> None:
        event_id = event.get("event_id") if named else None
        self.event("error", error={"code": code, "message": "", "event_id": event_id})

    def _respond(self, event: Json) -> None:
        if self.active:
            self._error(event, "conversation_already_has_active_response")
        elif self.world.fault("request"):
            pass  # swallowed
        elif self.world.fault("unnamed error"):
            self._error(event, "server_error", named=False)
        else:
            self.begin()

    def begin(self) -> None:
        """A response, of a client's request or of its own."""
        self.active = f"resp_{id(self) % 997}_{next(self._serial)}"
        self.world.check_notes(self)
        if not self.world.fault("created"):
            response = {"id": self.active, "conversation_id": "c", "status": "in_progress"}
            self.event("response.created", response=response)
        if self.world.fault("stall"):
            return  # nothing more comes of it
        wants_tool = self.world.random.random() < 0.3
        act = self._call if wants_tool else self._speak
        self.world.later(self.world.random.uniform(0.1, 1.5), lambda: self._if_active(act))

    def _if_active(self, act: Callable[[str], None]) -> None:
        if self.active and self.is_open:
            act(self.active)

    def _output(self, response_id: str, item: Json) -> None:
        where = {"response_id": response_id, "output_index": 0}
        self.event("response.output_item.added", **where, item={**item, "status": "in_progress"})
        self.items[item["id"]] = {**item, "status": "in_progress"}
        self.event(
            "conversation.item.added", item={**item, "status": "in_progress"}, previous_item_id=None
        )

    def _speak(self, response_id: str) -> None:
        item_id = f"item_{response_id}"
        item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        self._output(response_id, item)
        where = {"response_id": response_id, "item_id": item_id}
        where |= {"output_index": 0, "content_index": 0}  # type: ignore[dict-item]
        self.event("response.content_part.added", **where, part={"type": "audio"})
        self.event("response.output_audio_transcript.delta", **where, delta="hola ")
        for _ in range(5):
            self.event("response.output_audio.delta", **where, delta=AUDIO)
        self.world.later(0.3, lambda: self._end(response_id, item))

    def _call(self, response_id: str) -> None:
        call_id = f"call_{response_id}"
        item = {"id": f"item_{call_id}", "type": "function_call", "name": "pagar"}
        item |= {"call_id": call_id, "arguments": "{}"}
        self._output(response_id, item)
        self._end(response_id, item)

    def _end(self, response_id: str, item: Json) -> None:
        if self.active != response_id or not self.is_open:
            return
        done = {**item, "status": "completed"}
        self.items[item["id"]] = done
        where = {"response_id": response_id, "output_index": 0}
        self.event("response.output_item.done", **where, item=done)
        if self.world.fault("drop before done"):
            self.world.later(LATENCY_S + 0.001, lambda: self.world.drop(self))
            return
        self.world.later(
            0.05, lambda: self._if_active(lambda r: self._finish("completed", "", [done]))
        )

    def _finish(self, status: str, reason: str, output: list[Json] | None = None) -> None:
        response_id, self.active = self.active, ""
        if self.world.fault("done"):
            return
        details = {"type": status, "reason": reason} if reason else None
        response = {"id": response_id, "status": status, "status_details": details}
        self.event("response.done", response={**response, "output": output or [], "usage": {}})

    # -- what it hears --------------------------------------------------------------------------

    def speech_started(self, item_id: str) -> None:
        self.event("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
        if self.active:
            self._finish("cancelled", "turn_detected")

    def speech_ended(self, item_id: str, words_s: float) -> None:
        self.event("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=0)
        if self.world.fault("commit"):
            return
        self.event("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        item = {"id": item_id, "type": "message", "role": "user", "content": []}
        self.items[item_id] = item
        self.event("conversation.item.added", item=item, previous_item_id=None)
        kind = "conversation.item.input_audio_transcription.completed"
        if not self.world.fault("words"):
            say = lambda: self.event(kind, item_id=item_id, transcript="hola")  # noqa: E731
            self.world.later(words_s, say)
        if not self.world.state.view.answers_turns and not self.active:
            self.begin()


class Race:
    """One random call. ``faults``: most events that are lost."""

    def __init__(self, seed: int, *, faults: int = 4, turns: int = 4) -> None:
        self.random = Random(seed)
        self.answers_turns = self.random.random() < 0.7
        self.state = make_state(answers_turns=self.answers_turns)
        self.now_s = 0.0
        self.wrong: list[str] = []
        self._faults = faults
        self._turns = turns
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._pending: list[tuple[What, Any]] = []
        self._is_stepping = False
        self._runs: dict[str, int] = {}
        self._ended: set[str] = set()
        self._open_responses: list[str] = []
        self._is_speaking = self._missed = False
        self._item = ""
        self._owed_s: float | None = None
        self._left: dict[str, float] = {}
        self.vendor = Vendor(self)
        self.happened: list[str] = []

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now_s + delay_s, next(self._order), act))

    def fault(self, what: str) -> bool:
        """Whether this event is lost."""
        if self._faults <= 0 or self.random.random() > 0.04:
            return False
        self._faults -= 1
        self.happened.append(f"{self.now_s:.2f} lost {what}")
        return True

    # -- the call -------------------------------------------------------------------------------

    def happen(self, what: What, about: Any = None) -> None:
        self._pending.append((what, about))
        if self._is_stepping:
            return
        self._is_stepping = True
        while self._pending:
            for effect, detail in step(self.state, *self._pending.pop(0), self.now_s):
                self._carry_out(effect, detail)
        self._is_stepping = False
        self._watch()

    def _watch(self) -> None:
        due_s = next_deadline_s(self.state)
        if due_s is not None:
            self.later(max(0.0, due_s - self.now_s), self._tick)

    def _tick(self) -> None:
        due_s = next_deadline_s(self.state)
        if due_s is not None and due_s <= self.now_s:
            self.happen("tick")

    def _carry_out(self, effect: str, about: Any) -> None:
        vendor = self.vendor
        match effect:
            case "send":
                if about["type"] == "response.create" and self._speaks_over():
                    self.wrong.append("a response was asked for while the caller spoke")
                self.later(LATENCY_S, lambda: vendor.take(about) if vendor.is_open else None)
            case "apply":
                self.later(LATENCY_S, lambda: vendor.change(about) if vendor.is_open else None)
            case "tell":
                self._told(about)
            case "look_up":
                self._pending.insert(0, ("facts", (about[0], self._facts())))
            case "run":
                call_id = about.call_id
                self._runs[call_id] = self._runs.get(call_id, 0) + 1
                self.later(self.random.uniform(0.05, 6.0), lambda: self._tool_ended(call_id))
            case "abandon":
                self.drop(vendor)
            case "outcome" if about.state == "gone":
                self._left[about.folio.id] = self.now_s

    def _speaks_over(self) -> bool:
        wish = self.state.slot.wish
        return self.state.is_speaking and (wish is None or wish.kind != "client")

    def _tool_ended(self, call_id: str) -> None:
        self._ended.add(call_id)
        late = self._folio("results", "speakable", 2)
        self.happen("tool", ToolEnded(call_id, '{"status": "ok"}', late))

    def _told(self, event: Json) -> None:
        kind = event["type"]
        if kind == "response.created":
            self._open_responses.append(event["response"]["id"])
            if len(self._open_responses) > 1:
                self.wrong.append(f"two responses at once: {self._open_responses}")
        elif kind == "response.done" and event["response"]["id"] in self._open_responses:
            self._open_responses.remove(event["response"]["id"])
        elif kind == "response.output_audio.delta":
            self._owed_s = None
        elif kind == "penny.warning":
            self._owed_s = None  # it was given up and told

    def check_notes(self, vendor: Vendor) -> None:
        """At the beginning of an answer: nothing stands there that is not wanted any more."""
        if not self.answers_turns:
            return  # the server begins by itself: what is on its way is not there yet
        wanted = set()
        for section in ("facts", "folio", "results", "correction"):
            wanted |= {f.id for f in self.state.context.in_force(section)}
        # What left the context within the way of the request cannot be known there.
        recent = {
            name for name, left_s in self._left.items() if self.now_s - left_s < 2 * LATENCY_S
        }
        stale = set(vendor.notes) - wanted - recent
        if stale:
            self.wrong.append(f"stale context in an answer: {stale}")

    # -- the line -------------------------------------------------------------------------------

    def drop(self, vendor: Vendor) -> None:
        if vendor is not self.vendor or not vendor.is_open:
            return
        vendor.is_open = False
        self.happened.append(f"{self.now_s:.2f} drop")
        self.happen("lost")
        self.later(self.random.uniform(0.1, 2.0), self._reconnect)

    def _reconnect(self) -> None:
        if self.vendor.is_open:
            return
        self.vendor = vendor = Vendor(self)
        for item in self.state.conversation.seed(self.now_s):
            vendor.add(item)
        self.happen("attached", Capabilities())
        if self._is_speaking:  # the audio is heard again
            self._item = f"{self._item}_again"
            vendor.speech_started(self._item)
        elif self.state.continued or self._missed:
            self._missed = False
            again = f"{self._item}_again"
            vendor.speech_started(again)
            vendor.speech_ended(again, 0.1)

    # -- the caller and the brain -----------------------------------------------------------------

    def _facts(self) -> Folio | None:
        return self._folio("facts", "silent", 0) if self.random.random() < 0.5 else None

    def _folio(self, section: Any, kind: Any, turns: int) -> Folio:
        serial = next(self._order)
        return Folio(
            f"folio_{serial}",
            section,
            kind,
            f"text {serial}",
            self.state.turn,
            expires_after_turns=turns,
        )

    def think(self) -> None:
        folio = self._folio(self.random.choice(["folio", "correction"]), "silent", 2)
        self.happen("offered", folio)
        if self.random.random() < 0.4:
            self.later(
                self.random.uniform(0.5, 8), lambda: self.happen("withdrawn", (folio.id, "said"))
            )

    def speak(self, number: int) -> None:
        if self._is_speaking:
            return
        self._is_speaking, self._item = True, f"item_user_{number}"
        self._owed_s = None
        if self.vendor.is_open:
            self.vendor.speech_started(self._item)
        self.later(self.random.uniform(0.3, 3.0), lambda: self._stop(number))

    def _stop(self, number: int) -> None:
        self._is_speaking = False
        self._owed_s = self.now_s
        self._missed = not self.vendor.is_open
        if self.vendor.is_open:
            self.vendor.speech_ended(self._item, self.random.choice([0.01, 0.05, 0.5, 8.0]))

    def type(self, number: int) -> None:
        content = [{"type": "input_text", "text": "hola"}]
        item = {"type": "message", "role": "user", "content": content, "id": f"item_typed_{number}"}
        self.happen("caller", {"type": "conversation.item.create", "item": item})
        self.happen("caller", {"type": "response.create"})

    def begin(self, *, answers_turns: bool) -> None:
        """Begin without a plan."""
        self.answers_turns = answers_turns
        self.state = make_state(answers_turns=answers_turns)
        self.happen("attached", Capabilities())

    def run(self) -> list[str]:
        """Play it; returns what went wrong."""
        self.happen("attached", Capabilities())
        at_s = 0.5
        for number in range(self._turns):
            act = self.type if self.random.random() < 0.15 else self.speak
            self.later(at_s, lambda act=act, number=number: act(number))  # type: ignore[misc]
            at_s += self.random.choice([1.5, 4.0, 9.0, 20.0])
            for _ in range(self.random.randrange(3)):
                self.later(at_s - self.random.uniform(0, 4), self.think)
            if self.random.random() < 0.15:
                self.later(at_s - self.random.uniform(0, 2), lambda: self.drop(self.vendor))
            if self.random.random() < 0.1:
                cancel = lambda: self.cancel()  # noqa: E731
                self.later(at_s - self.random.uniform(0, 2), cancel)
        self.play(at_s + 2 * MUTE_S)
        self.check_end()
        return self.wrong

    def cancel(self) -> None:
        self._owed_s = None
        self.happen("caller", {"type": "response.cancel"})

    def play(self, until_s: float) -> None:
        for _ in range(20_000):
            if not self._heap or self._heap[0][0] > until_s:
                self.now_s = until_s
                return
            self.now_s, _, act = heapq.heappop(self._heap)
            act()
            if self._owed_s is not None and self.now_s - self._owed_s > MUTE_S:
                self.wrong.append(f"mute since {self._owed_s:.2f}")
                return
        self.wrong.append("it never comes to rest")

    def check_end(self) -> None:
        if self._owed_s is not None:
            self.wrong.append(f"mute since {self._owed_s:.2f}")
        for call_id, runs in self._runs.items():
            if runs != 1:
                self.wrong.append(f"{call_id} ran {runs} times")
            told = [
                i for i in self.vendor.items.values() if i.get("output") and i["call_id"] == call_id
            ]
            if call_id in self._ended and len(told) != 1:
                self.wrong.append(f"the result of {call_id} was told {len(told)} times")
