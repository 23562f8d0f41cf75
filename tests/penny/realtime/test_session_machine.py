"""A session driven at random by client, caller and engine at once, with what must always hold."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penny.realtime import commands as c
from tests.penny.realtime.talk import MS, NOW_S, Json, Talk


pytestmark = pytest.mark.slow


PICK = st.integers(0, 1_000_000)
MS_GIVEN = st.integers(1, 700)


class SessionMachine(RuleBasedStateMachine):
    """The model knows only the wire and what the engine said; it never looks inside the core."""

    def __init__(self) -> None:
        super().__init__()
        self.talk = Talk(max_side_responses=3)
        self.seen = 0
        self.created: list[str] = []
        self.ended: Counter[str] = Counter()
        self.in_conversation: set[str] = set()
        self.order: list[str] = []
        self.open_items: set[str] = set()
        self.done_items: Counter[str] = Counter()
        self.user_pending: list[str] = []
        self.spoken: list[str] = []
        self.generated_ms: dict[str, int] = defaultdict(int)
        self.sent_bytes: dict[str, int] = defaultdict(int)
        self.heard_ms: dict[str, int] = {}
        self.cancelled: set[str] = set()

    # --- the model of the wire -------------------------------------------------------------

    def read(self) -> None:
        """Take in what was emitted since the last look."""
        events, self.seen = self.talk.events[self.seen :], len(self.talk.events)
        for event in events:
            kind = event["type"]
            response_id = event.get("response_id")
            if response_id is not None:
                assert response_id in self.created
                assert not self.ended[response_id], f"{kind} after response.done"
            handler = getattr(self, "see_" + kind.replace(".", "_"), None)
            if handler is not None:
                handler(event)

    def see_response_created(self, event: Json) -> None:
        response = event["response"]
        self.created.append(response["id"])
        if response["conversation_id"] is not None:
            assert not self.active(), "two responses write to the conversation"
            self.in_conversation.add(response["id"])

    def see_response_done(self, event: Json) -> None:
        response = event["response"]
        assert response["id"] in self.created
        self.ended[response["id"]] += 1
        for item in response["output"]:
            assert item["status"] != "in_progress"
        if response["status"] == "cancelled":
            self.cancelled.add(response["id"])

    def see_conversation_item_added(self, event: Json) -> None:
        item, previous = event["item"], event["previous_item_id"]
        assert item["id"] not in self.order
        self.order.insert(self.order.index(previous) + 1 if previous else 0, item["id"])
        self.open_items.add(item["id"])

    def see_conversation_item_done(self, event: Json) -> None:
        item_id = event["item"]["id"]
        self.done_items[item_id] += 1
        self.open_items.remove(item_id)

    def see_conversation_item_deleted(self, event: Json) -> None:
        if event["item_id"] in self.order:
            self.order.remove(event["item_id"])
            self.open_items.discard(event["item_id"])

    def see_response_output_audio_delta(self, event: Json) -> None:
        self.sent_bytes[event["item_id"]] += len(base64.b64decode(event["delta"]))
        if event["item_id"] not in self.spoken:
            self.spoken.append(event["item_id"])

    def see_conversation_item_truncated(self, event: Json) -> None:
        self.heard_ms[event["item_id"]] = event["audio_end_ms"]

    def see_input_audio_buffer_committed(self, event: Json) -> None:
        self.user_pending.append(event["item_id"])

    def active(self) -> list[str]:
        return [each for each in self.running() if each in self.in_conversation]

    def running(self) -> list[str]:
        return [each for each in self.created if not self.ended[each]]

    # --- the client ------------------------------------------------------------------------

    @rule(pick=PICK)
    def write_a_message(self, pick: int) -> None:
        where: dict[str, Any] = {}
        if self.order and pick % 3:
            where["previous_item_id"] = ["root", self.order[pick % len(self.order)]][pick % 2]
        self.talk.say("hola", **where)

    @precondition(lambda self: self.order)
    @rule(pick=PICK)
    def delete_an_item(self, pick: int) -> None:
        item_id = self.order[pick % len(self.order)]
        for _ in range(1 + pick % 2):
            (event,) = self.talk.send("conversation.item.delete", item_id=item_id)
            assert event["type"] == "conversation.item.deleted"

    @precondition(lambda self: self.spoken)
    @rule(pick=PICK, ms=st.integers(0, 3000))
    def truncate_an_answer(self, pick: int, ms: int) -> None:
        self.talk.truncate(self.spoken[pick % len(self.spoken)], ms)

    @rule(side=st.booleans(), text=st.booleans())
    def ask_for_a_response(self, side: bool, text: bool) -> None:
        free = len(self.running()) < 3 if side else not self.active()
        response: Json = {"conversation": "none"} if side else {}
        response["output_modalities"] = ["text"] if text else ["audio"]
        (event,) = self.talk.send("response.create", response=response)
        if free:
            assert event["type"] == "response.created"

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        active = self.active()
        if pick % 2 and self.created:
            wanted = self.created[pick % len(self.created)]
            self.talk.send("response.cancel", response_id=wanted)
            self.read()
            assert self.ended[wanted] == 1
        else:
            events = self.talk.send("response.cancel")
            assert (events[0]["type"] == "error") is not bool(active)

    @rule(create=st.booleans(), interrupt=st.booleans(), on=st.integers(0, 5))
    def configure(self, create: bool, interrupt: bool, on: int) -> None:
        vad = {"type": "server_vad", "create_response": create, "interrupt_response": interrupt}
        self.talk.update(
            audio={
                "input": {
                    "turn_detection": vad if on else None,
                    "transcription": {} if create else None,
                }
            }
        )

    @rule()
    def commit(self) -> None:
        self.talk.send("input_audio_buffer.commit")

    @precondition(lambda self: len(self.talk.events) % 4 == 0)
    @rule()
    def clear(self) -> None:
        self.talk.send("input_audio_buffer.clear")

    # --- the caller ------------------------------------------------------------------------

    @rule(ms=MS_GIVEN)
    def audio(self, ms: int) -> None:
        self.talk.append(ms)

    @rule(back=MS_GIVEN)
    def onset(self, back: int) -> None:
        end = sum(len(each.pcm) for each in self.talk.commands if isinstance(each, c.BufferAudio))
        self.talk.report(c.SpeechStarted(max(0, end // MS - back)))

    @rule(back=MS_GIVEN)
    def end_of_turn(self, back: int) -> None:
        end = sum(len(each.pcm) for each in self.talk.commands if isinstance(each, c.BufferAudio))
        self.talk.report(c.SpeechStopped(max(0, end // MS - back)))

    # --- the engine ------------------------------------------------------------------------

    @precondition(lambda self: self.user_pending)
    @rule(pick=PICK, fails=st.booleans())
    def transcript(self, pick: int, fails: bool) -> None:
        item_id = self.user_pending.pop(pick % len(self.user_pending))
        if fails:
            self.talk.report(c.TranscriptFailed(item_id, "stt_timeout", "slow"))
        else:
            self.talk.report(c.TranscriptDone(item_id, "hola", 300, 2, "es"))

    @precondition(lambda self: self.created)
    @rule(pick=PICK, ms=MS_GIVEN)
    def speak(self, pick: int, ms: int) -> None:
        response_id = self.created[-1 - pick % min(4, len(self.created))]
        events = self.talk.phrase(response_id, "uno dos ", ms)
        for event in events:
            if event["type"] == "response.output_audio.delta":
                self.generated_ms[event["item_id"]] += ms
        assert not (self.ended[response_id] and events)

    @precondition(lambda self: self.created)
    @rule(pick=PICK)
    def write(self, pick: int) -> None:
        self.talk.report(c.TextDelta(self.created[-1 - pick % min(4, len(self.created))], "x "))

    @precondition(lambda self: self.created)
    @rule(pick=PICK, done=st.booleans())
    def call(self, pick: int, done: bool) -> None:
        response_id = self.created[-1 - pick % min(4, len(self.created))]
        call_id = f"call_{response_id}_{pick % 2}"
        self.talk.report(c.ToolCallDelta(response_id, call_id, "f", ""))
        if done:
            self.talk.report(c.ToolCallDone(response_id, call_id, "f", "{}"))

    @precondition(lambda self: self.created)
    @rule(pick=PICK, how=st.sampled_from(["done", "length", "fail"]))
    def finish(self, pick: int, how: str) -> None:
        response_id = self.created[-1 - pick % min(4, len(self.created))]
        self.talk.core.request(response_id)
        if how == "fail":
            self.talk.report(c.GenerationFailed(response_id, "engine_failed", "x"))
        else:
            reason = "max_output_tokens" if how == "length" else None
            self.talk.report(c.GenerationDone(response_id, 9, 1, 4, reason))

    # --- what must always hold -------------------------------------------------------------

    @invariant()
    def the_wire_is_consistent(self) -> None:
        self.read()
        assert all(count == 1 for count in self.ended.values())
        assert all(count == 1 for count in self.done_items.values())
        assert len(self.active()) <= 1
        assert self.talk.core.active_response_id == next(iter(self.active()), None)
        for item_id, n_bytes in self.sent_bytes.items():
            sent_ms = n_bytes // MS
            assert self.heard_ms.get(item_id, 0) <= sent_ms <= self.generated_ms[item_id]

    @invariant()
    def nothing_runs_after_its_end(self) -> None:
        self.read()
        for response_id in self.created[-6:]:
            asked = self.talk.core.request(response_id)
            assert (asked is None) is bool(self.ended[response_id])
        # Whoever was cancelled on the wire was also told to stop.
        stopped = [
            each.response_id for each in self.talk.commands if isinstance(each, c.CancelGeneration)
        ]
        assert sorted(stopped) == sorted(self.cancelled)

    @invariant()
    def the_order_on_the_wire_is_the_order_of_the_context(self) -> None:
        self.read()
        running = self.running()
        if running:
            asked = self.talk.core.request(running[-1])
            assert asked is not None
            known = [item["id"] for item in asked.items]
            assert known == [item_id for item_id in self.order if item_id in set(known)]

    def teardown(self) -> None:
        self.read()
        self.talk.take(self.talk.core.tick(NOW_S + 3600))
        self.seen = min(self.seen, len(self.talk.events))
        for event in self.talk.events[self.seen :]:
            if event["type"] == "response.done":
                self.ended[event["response"]["id"]] += 1
        assert all(self.ended[each] == 1 for each in self.created)
        assert self.talk.send("response.create") == []


SessionMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=100, deadline=None)
TestSessionMachine = SessionMachine.TestCase
