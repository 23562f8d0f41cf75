"""Where the time of a turn went, from the caller's last word to the end of the answer.

An observer: it sees Realtime events of both directions with the loop's time and tells the caller
one ``penny.turn_metrics`` per answered turn. All times are ms after the end of the caller's
speech, as it arrived at the gateway; a typed turn counts from the arrival of its text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from penny.turns.audio_clock import AudioClock
from penny.turns.sounding import PCM24K_CHARS_PER_MS, count_chars_per_ms


Json = dict[str, Any]

STAGES = ("turn_decided", "transcript", "first_token", "first_audio", "done")
KEPT_TURNS = 8
LISTENS_TO = (
    "input_audio_buffer.append",
    "conversation.item.create",
    "session.updated",
    "penny.session",
    "conversation.item.added",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "penny.turn.decided",
    "conversation.item.input_audio_transcription.completed",
    "response.created",
    "penny.response.first_token",
    "response.output_audio_transcript.delta",
    "response.output_text.delta",
    "response.output_audio.delta",
    "response.done",
)


@dataclass(slots=True)
class _Turn:
    item_id: str
    typed: bool
    origin_s: float
    speech_ms: int | None = None
    response_id: str = ""
    at_s: dict[str, float] = field(default_factory=dict)
    audio_chars: int = 0

    def note(self, stage: str, at_s: float) -> None:
        self.at_s.setdefault(stage, at_s)

    def latency_ms(self) -> Json:
        known = {
            stage: round((self.at_s[stage] - self.origin_s) * 1000) if stage in self.at_s else None
            for stage in STAGES
        }
        return {"speech_end": 0, **known}


class TurnTiming:
    """Args:
    tell: how an observer reaches the caller.
    record: called with (stage, ms) of every finished turn, for ``/metrics``.
    silence_ms: silence that the speaker counts into ``audio_end_ms``, unless it says better.
    """

    listens_to = LISTENS_TO

    def __init__(
        self,
        tell: Callable[[Json], None],
        record: Callable[[str, int], None],
        *,
        silence_ms: int = 500,
    ) -> None:
        self._tell = tell
        self._record = record
        self._silence_ms = silence_ms
        self._clock = AudioClock()
        self._arrived_ms = 0.0
        self._chars_in = self._chars_out = PCM24K_CHARS_PER_MS
        self._typed_at_s: float | None = None
        self._turns: dict[str, _Turn] = {}
        self._newest: _Turn | None = None
        self._sounding_id = ""
        self._sounding: _Turn | None = None
        self._started_ms = 0

    # -- Observer -----------------------------------------------------------------------------

    def caller_event(self, event: Json, at_s: float) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            audio = event.get("audio")
            if isinstance(audio, str):
                self._arrived_ms += len(audio) / self._chars_in
                self._clock.mark(self._arrived_ms, at_s)
        elif kind == "conversation.item.create":
            # An item without an id gets one from the speaker; its turn begins when that is told.
            item = event.get("item")
            if isinstance(item, dict) and item.get("role") == "user":
                self._typed_at_s = at_s

    def speaker_event(self, event: Json, at_s: float) -> None:
        match event["type"]:
            case "response.output_audio.delta":
                response_id = event["response_id"]
                if response_id != self._sounding_id:  # of fifty pieces a second, one is the first
                    self._sounding_id = response_id
                    self._sounding = self._note_response(response_id, "first_audio", at_s)
                if self._sounding is not None:
                    self._sounding.audio_chars += len(event["delta"])
            case "session.updated" | "penny.session":
                self._note_formats(event["session"])
            case "conversation.item.added":
                self._begin_typed(event["item"])
            case "input_audio_buffer.speech_started":
                self._started_ms = event["audio_start_ms"]
            case "input_audio_buffer.speech_stopped":
                self._speech_stopped(event, at_s)
            case "penny.turn.decided":
                self._correct_origin(event)
            case "conversation.item.input_audio_transcription.completed":
                self._note_item(event["item_id"], "transcript", at_s)
            case "response.created":
                self._answer(event["response"])
            case "penny.response.first_token" | "response.output_audio_transcript.delta":
                self._note_response(event["response_id"], "first_token", at_s)
            case "response.output_text.delta":
                self._note_response(event["response_id"], "first_token", at_s)
            case "response.done":
                self._done(event["response"], at_s)

    def ended(self, reason: str, at_s: float) -> None:
        self._turns.clear()

    # -- inside -------------------------------------------------------------------------------

    def _begin(self, turn: _Turn) -> None:
        self._turns[turn.item_id] = self._newest = turn
        while len(self._turns) > KEPT_TURNS:
            del self._turns[next(iter(self._turns))]

    def _begin_typed(self, item: Json) -> None:
        if self._typed_at_s is not None and item.get("role") == "user":
            self._begin(_Turn(item["id"], typed=True, origin_s=self._typed_at_s))
            self._typed_at_s = None

    def _note_formats(self, session: Json) -> None:
        audio = session.get("audio") or {}
        self._chars_in = count_chars_per_ms((audio.get("input") or {}).get("format"))
        self._chars_out = count_chars_per_ms((audio.get("output") or {}).get("format"))

    def _speech_stopped(self, event: Json, at_s: float) -> None:
        end_ms = max(0, event["audio_end_ms"] - self._silence_ms)
        turn = _Turn(event["item_id"], typed=False, origin_s=self._clock.at(end_ms))
        turn.speech_ms = max(0, end_ms - self._started_ms)
        turn.note("turn_decided", at_s)
        self._begin(turn)

    def _correct_origin(self, event: Json) -> None:
        turn = self._turns.get(event["item_id"])
        if turn is not None:
            turn.origin_s = self._clock.at(event["speech_end_ms"])
            turn.speech_ms = max(0, event["speech_end_ms"] - self._started_ms)

    def _note_item(self, item_id: str, stage: str, at_s: float) -> None:
        turn = self._turns.get(item_id)
        if turn is not None:
            turn.note(stage, at_s)

    def _answer(self, response: Json) -> None:
        in_conversation = response.get("conversation_id", "") is not None
        if self._newest is not None and not self._newest.response_id and in_conversation:
            self._newest.response_id = response["id"]

    def _of_response(self, response_id: str) -> _Turn | None:
        for turn in self._turns.values():
            if turn.response_id == response_id:
                return turn
        return None

    def _note_response(self, response_id: str, stage: str, at_s: float) -> _Turn | None:
        turn = self._of_response(response_id)
        if turn is not None:
            turn.note(stage, at_s)
        return turn

    def _done(self, response: Json, at_s: float) -> None:
        turn = self._note_response(response["id"], "done", at_s)
        if turn is None:
            return
        latency_ms = turn.latency_ms()
        for stage in STAGES:
            if latency_ms[stage] is not None:
                self._record(stage, latency_ms[stage])
        self._tell(
            {
                "type": "penny.turn_metrics",
                "item_id": turn.item_id,
                "latency_ms": latency_ms,
                "input": "text" if turn.typed else "speech",
                "interrupted": response["status"] == "cancelled",
                "speech_ms": turn.speech_ms,
                "audio_ms": round(turn.audio_chars / self._chars_out) or None,
            }
        )
        del self._turns[turn.item_id]
        self._sounding = None
