"""What each event of the upstream means for the parts of a call.

Handlers are synchronous: nothing here waits, so audio passes as it comes. What is to be sent in
consequence is collected and drained by the call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from modes.external.review import Review
from modes.external.speaker import Json
from penny.ids import new_id


if TYPE_CHECKING:
    from modes.external.call import ExternalCall


log = structlog.get_logger()

ONSET_MS = 1_000
"""Audio before ``speech_started`` arrives that belongs to the speech: padding and detection."""
RETRIED = frozenset({"inference_rate_limit_exceeded", "rate_limit_exceeded"})


class Ear:
    """Listens to the upstream for one call."""

    def __init__(self, call: ExternalCall) -> None:
        self._call = call
        self._outbox: list[Json] = []
        self._hidden: set[str] = set()
        self._open_items: dict[str, str] = {}
        """Items of the running response that have audio -> its id."""
        self._speech_from_ms: float | None = None
        self._speech_item = self._continued = ""
        """The item of the speech that goes on; and of one whose audio the next upstream gets."""
        self._retried_turn = -1
        self.is_speaking = False
        self._review = Review(call)
        self._handlers: dict[str, Callable[[Json], Json | None]] = {
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": self._speech_stopped,
            "input_audio_buffer.committed": self._committed,
            "conversation.item.input_audio_transcription.delta": self._words,
            "conversation.item.input_audio_transcription.completed": self._final_words,
            "conversation.item.input_audio_transcription.failed": self._no_words,
            "conversation.item.added": self._item_added,
            "conversation.item.done": self._item_done,
            "conversation.item.deleted": self._item_deleted,
            "conversation.item.truncated": self._item_truncated,
            "response.created": self._response_created,
            "response.output_item.added": self._output_added,
            "response.output_item.done": self._output_done,
            "response.function_call_arguments.delta": self._arguments,
            "response.function_call_arguments.done": self._arguments,
            "response.output_audio_transcript.delta": self._spoken,
            "response.output_text.delta": self._written,
            "response.output_audio.delta": self._audio,
            "response.output_audio.done": self._audio_done,
            "response.done": self._response_done,
            "session.updated": self._session_updated,
            "penny.placed": self._placed,
            "penny.placement_refused": self._refused,
            "error": self._error,
        }

    def take(self, event: Json) -> Json | None:
        """Note an event; returns what of it goes on to the session."""
        handler = self._handlers.get(event["type"])
        return event if handler is None else handler(event)

    def drain(self) -> list[Json]:
        events, self._outbox = self._outbox, []
        return events

    # -- the caller ---------------------------------------------------------------------------

    def _speech_started(self, event: Json) -> Json:
        call = self._call
        self.is_speaking = True
        self._speech_from_ms = call.upstreams.kept.position_ms - ONSET_MS
        self._continue(event["item_id"])
        self._speech_item = event["item_id"]
        self._begin_turn(event["item_id"])
        call.sequencer.speech_began()
        return event

    def _speech_stopped(self, event: Json) -> Json:
        self.is_speaking = False
        return event

    def _committed(self, event: Json) -> Json:
        call = self._call
        self.is_speaking, self._speech_item = False, ""
        turn = self._begin_turn(event["item_id"])
        item = call.mirror.get(event["item_id"])
        if item is not None:
            item.from_ms, item.until_ms = (
                self._speech_from_ms or 0.0,
                call.upstreams.kept.position_ms,
            )
        self._speech_from_ms = None
        if call.view.creates:
            call.attendant.turn_ended(event["item_id"], turn)
        return event

    def _begin_turn(self, item_id: str) -> int:
        call = self._call
        before = call.mirror.turn
        turn = call.mirror.begin_turn(item_id)
        if turn != before:
            self._continued = ""
            call.injector.desk.turn_began(turn, call.clock())
        return turn

    def _continue(self, item_id: str) -> None:
        """Speech that was replayed after a drop is the turn it was, not another one."""
        old_id, self._continued = self._continued, ""
        if old_id and old_id != item_id:
            self._call.mirror.continue_turn(old_id, item_id)
            self._call.tell(
                {"type": "penny.turn_continued", "item_id": item_id, "continues": old_id}
            )

    def _words(self, event: Json) -> Json | None:
        call = self._call
        item_id = event["item_id"]
        text = call.mirror.add_words(item_id, event.get("delta") or "")
        item = call.mirror.get(item_id)
        if call.brain is not None and item is not None:
            call.brain.partial(item_id, text, item.turn)
        return event if call.view.shows_words else None

    def _final_words(self, event: Json) -> Json | None:
        call = self._call
        item = call.mirror.set_words(event["item_id"], event.get("transcript") or "")
        call.attendant.words_known(event["item_id"])
        if item is not None:
            call.journal.write("turn", turn=item.turn, item_id=item.id, caller=item.words)
            if call.brain is not None:
                call.brain.final(item.id, item.words, item.turn, call.clock())
        return event if call.view.shows_words else _usage_of(event)

    def _no_words(self, event: Json) -> Json | None:
        self._call.attendant.words_known(event["item_id"])
        return event if self._call.view.shows_words else None

    # -- items --------------------------------------------------------------------------------

    def _item_added(self, event: Json) -> Json | None:
        call, raw = self._call, event["item"]
        if self._is_own(raw):
            self._hidden.add(raw["id"])
        is_new = call.mirror.get(raw["id"]) is None
        call.mirror.item_added(raw)
        if raw.get("role") == "user" and is_new:
            item = call.mirror.get(raw["id"])
            if item is not None and item.is_final:
                call.injector.desk.turn_began(item.turn, call.clock())
                call.journal.write("turn", turn=item.turn, item_id=item.id, caller=item.words)
                if call.brain is not None:
                    call.brain.final(item.id, item.words, item.turn, call.clock())
        return None if raw["id"] in self._hidden else event

    def _item_done(self, event: Json) -> Json | None:
        self._call.mirror.item_done(event["item"])
        return None if event["item"]["id"] in self._hidden else event

    def _item_deleted(self, event: Json) -> Json:
        self._call.mirror.delete(event["item_id"])
        return event

    def _item_truncated(self, event: Json) -> Json:
        self._call.mirror.cut(event["item_id"], event["audio_end_ms"], self._call.clock())
        return event

    def _is_own(self, raw: Json) -> bool:
        """A call of one of Penny's tools, or what she answered to it."""
        if raw["type"] == "function_call":
            return raw.get("name") in self._call.view.own_tools
        if raw["type"] == "function_call_output":
            asked = [each for each in map(self._call.mirror.get, self._hidden) if each is not None]
            return any(each.raw.get("call_id") == raw.get("call_id") for each in asked)
        return False

    # -- responses ----------------------------------------------------------------------------

    def _response_created(self, event: Json) -> Json:
        call, response = self._call, event["response"]
        if _is_aside(response):
            return event
        self._outbox += call.sequencer.created(response["id"])
        call.injector.desk.response_started(response["id"], call.mirror.turn, call.clock())
        return event

    def _output_added(self, event: Json) -> Json | None:
        raw = event["item"]
        if self._is_own(raw):
            self._hidden.add(raw["id"])
            return None
        return event

    def _output_done(self, event: Json) -> Json | None:
        call, raw = self._call, event["item"]
        # Arguments come in two events; this one alone is acted on.
        if not self._is_own(raw):
            return event
        self._hidden.add(raw["id"])
        if raw.get("status", "completed") == "completed" and call.tools is not None:
            call.tools.take(raw, event["response_id"], call.mirror.turn)
        return None

    def _arguments(self, event: Json) -> Json | None:
        return None if event["item_id"] in self._hidden else event

    def _spoken(self, event: Json) -> Json:
        self._call.mirror.add_spoken(event["item_id"], event["delta"])
        return event

    def _written(self, event: Json) -> Json:
        self._call.mirror.add_written(event["item_id"], event["delta"])
        return event

    def _audio(self, event: Json) -> Json:
        audio_ms = len(event["delta"]) * 3 / 4 / self._call.view.out_bytes_per_ms
        self._open_items[event["item_id"]] = event["response_id"]
        self._call.mirror.add_audio(event["item_id"], audio_ms, self._call.clock())
        return event

    def _audio_done(self, event: Json) -> Json:
        self._open_items.pop(event["item_id"], None)
        return event

    def _response_done(self, event: Json) -> Json:
        call, response = self._call, event["response"]
        if _is_aside(response):
            return event
        usage = response.get("usage") or {}
        call.injector.note_usage(usage)
        said = [raw for raw in response.get("output") or () if raw["id"] not in self._hidden]
        if call.tools is not None:
            interrupted = response.get("status") == "cancelled"
            call.tools.response_done(response["id"], interrupted=interrupted)
        self._outbox += call.sequencer.done(response["id"])
        self._review.look_at(response, said)
        self._retry(response)
        call.want_pump()
        return {**event, "response": {**response, "output": said}}

    def _retry(self, response: Json) -> None:
        """An answer that the provider was too busy for is asked for once more."""
        details: Any = response.get("status_details") or {}
        code = (details.get("error") or {}).get("code")
        turn = self._call.mirror.turn
        if response.get("status") == "failed" and code in RETRIED and turn != self._retried_turn:
            self._retried_turn = turn
            self._call.attendant.ask_later(1.0)

    def close_response(self) -> list[Json]:
        """Events that end what a lost upstream left open."""
        response_id = self._call.sequencer.active_id
        self.is_speaking = False
        self._continued = self._speech_item or self._call.attendant.unheard_item()
        events: list[Json] = [
            {
                "type": "response.output_audio.done",
                "event_id": new_id("event"),
                "response_id": owner,
                "item_id": item_id,
                "output_index": 0,
                "content_index": 0,
            }
            for item_id, owner in self._open_items.items()
        ]
        output = [{"id": item_id, "type": "message"} for item_id in self._open_items]
        self._open_items.clear()
        if response_id:
            events.append(
                {
                    "type": "response.done",
                    "event_id": new_id("event"),
                    "response": {
                        "id": response_id,
                        "object": "realtime.response",
                        "status": "cancelled",
                        "status_details": {"type": "cancelled", "reason": "client_cancelled"},
                        "output": output,
                        "usage": None,
                    },
                }
            )
        return events

    def replay_from_ms(self, position_ms: float) -> float:
        """Where the audio begins that the next upstream must hear."""
        if self._speech_from_ms is not None:
            return max(0.0, self._speech_from_ms)
        waiting = self._call.attendant.unheard_from_ms()
        return position_ms - 500.0 if waiting is None else max(0.0, waiting)

    # -- the rest -----------------------------------------------------------------------------

    def _session_updated(self, event: Json) -> Json:
        base = self._call.injector.desk.context.base
        return {**event, "session": self._call.view.inward(event["session"], base)}

    def _placed(self, event: Json) -> None:
        self._call.injector.placed(event["placement_id"])
        self._call.want_pump()

    def _refused(self, event: Json) -> None:
        self._call.injector.refused(event["placement_id"], event.get("code"), event.get("message"))
        self._call.want_pump()

    def _error(self, event: Json) -> Json | None:
        fault = event["error"]
        code, event_id = fault.get("code") or "", fault.get("event_id") or ""
        follow = self._call.sequencer.refused(event_id, code)
        if follow is None:
            return event
        self._outbox += follow
        self._call.want_pump()
        benign = code in (
            "conversation_already_has_active_response",
            "response_cancel_not_active",
        )
        return None if benign else event


def _is_aside(response: Json) -> bool:
    """A response outside the conversation, which runs beside all others."""
    return "conversation_id" in response and response["conversation_id"] is None


def _usage_of(event: Json) -> Json:
    """What the meter needs of a transcription that the caller's side did not ask for."""
    return {"type": "penny.transcription_usage", "usage": event.get("usage")}
