"""The one observer that records a session's turns; all other parts read them here.

A turn begins with an item of the caller's, spoken or typed, and is finished when its answer has
been heard, its words are known and nothing more is to come of it. Edges and modes keep copies for
their own work, which are no records: ``TurnBook`` and the player's items are what the client has
been told, a mode's conversation is what the model remembers. All begin turns by the same rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from penny.audio.format import PCM24K
from penny.realtime.formats import read_format
from penny.session.caller_audio import CallerAudio
from penny.session.timed_words import join_tokens, mean_confidence, place_words
from penny.session.turn_record import Mark, Response, TurnReader, TurnRecord


log = structlog.get_logger()

Json = dict[str, Any]

SETTLE_MS = 1000.0
"""What may still come of a turn whose answer has been heard: a cut position, a next response."""
WORDS_WITHIN_MS = 5000.0
"""A transcript is waited for this long: it may come after the answer, or never."""
LOOK_EVERY_MS = 100.0
"""While only audio arrives, what is over by then is looked for this often."""
KEPT_OPEN = 8
"""Turns that may be unfinished at once; past that the oldest is finished as it stands."""
KEPT_ITEMS = 512
"""Items of finished turns that are remembered: one that is told again begins no turn."""
KEPT_MARKS = 256
"""Marks that one turn holds; what a loop of tool calls has beyond is left out."""


class TurnRecorder:
    """Observer that builds the ``TurnRecord`` of each turn and shows them to its readers.

    It holds the unfinished turns alone: a call of hours takes no more memory than one of minutes.

    Args:
        started_s: when the session began, on the loop's clock: 0 ms of every record.
        silence_ms: silence that the speaker counts into ``audio_end_ms``, unless it says better.
    """

    listens_to: tuple[str, ...] = ()  # set below, where its handlers are known

    def __init__(self, started_s: float, *, silence_ms: int = 500) -> None:
        self.started_s = started_s
        self.count = 0
        """Turns of the caller so far."""
        self.interrupted = 0
        """Those whose answer was cut."""
        self._silence_ms = silence_ms
        self._readers: list[TurnReader] = []
        self._audio_in = CallerAudio(started_s)
        self._format_out = PCM24K
        self._speech_from_ms = 0
        self._typed_ms: float | None = None
        self._model = ""
        self._open: list[TurnRecord] = []
        self._by_item: dict[str, TurnRecord | None] = {}
        """None for items of finished turns."""
        self._by_response: dict[str, tuple[TurnRecord, Response]] = {}
        self._sounding: tuple[TurnRecord, Response] | None = None
        self._marks: list[Mark] = []
        self._looks_ms = 0.0

    def add_reader(self, reader: TurnReader) -> None:
        """Let ``reader`` see what begins, is answered and finishes from now on."""
        self._readers.append(reader)

    def left_s(self, at_s: float) -> float:
        """Seconds until what was sent is played; 0 once the caller speaks over it."""
        ends_ms = (turn.sounds_until_ms for turn in self._open if turn.onset_ms is None)
        return max(0.0, max(ends_ms, default=0.0) / 1000 - (at_s - self.started_s))

    # -- Observer -----------------------------------------------------------------------------

    def caller_event(self, event: Json, at_s: float) -> None:
        kind, now_ms = event["type"], (at_s - self.started_s) * 1000
        if kind == "input_audio_buffer.append":
            audio = event.get("audio")
            if isinstance(audio, str):
                self._audio_in.take(audio, at_s)
            if now_ms < self._looks_ms:
                return
        elif kind == "conversation.item.create":
            # Its id may be the speaker's to give: the turn begins when that is told.
            item = event.get("item")
            if isinstance(item, dict) and item.get("role") == "user":
                self._typed_ms = now_ms
        elif kind == "conversation.item.truncate":
            self._cut_item(event.get("item_id"), event.get("audio_end_ms"), now_ms)
        else:
            self._cut_item(event.get("item_id"), 0, now_ms)
        self._settle(now_ms)

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind, now_ms = event["type"], (at_s - self.started_s) * 1000
        if kind == "response.output_audio.delta":
            self._audio(event, now_ms)
            return
        handle = _HANDLERS.get(kind)
        if handle is not None:
            handle(self, event, now_ms)
        else:
            self._mark(kind.removeprefix("penny."), event, now_ms)
        self._settle(now_ms)

    def ended(self, reason: str, at_s: float) -> None:
        now_ms = (at_s - self.started_s) * 1000
        if self._marks and not self._open:
            self._begin(TurnRecord(self.count, now_ms))
        while self._open:
            self._finish(now_ms)
        self._tell(lambda reader: reader.session_ended(reason, at_s))

    # -- the caller's side --------------------------------------------------------------------

    def _formats(self, event: Json, now_ms: float) -> None:
        audio = event["session"].get("audio") or {}
        self._audio_in.format = read_format((audio.get("input") or {}).get("format"))
        self._format_out = read_format((audio.get("output") or {}).get("format"))

    def _speaker(self, event: Json, now_ms: float) -> None:
        self._model = str(event["model"])

    def _item_added(self, event: Json, now_ms: float) -> None:
        item = event["item"]
        if item.get("role") != "user" or item["id"] in self._by_item:
            return
        typed_ms, self._typed_ms = self._typed_ms, None
        if typed_ms is not None:
            turn = TurnRecord(self.count + 1, typed_ms, item["id"], "text", typed_ms)
            texts = [part.get("text") for part in item.get("content") or ()]
            turn.words = " ".join(text for text in texts if text) or None
            self._begin(turn)
        else:  # committed by the client itself
            until_ms = self._audio_in.arrival_ms(self._audio_in.length_ms, now_ms)
            self._begin(TurnRecord(self.count + 1, until_ms, item["id"], until_ms=until_ms))

    def _speech_started(self, event: Json, now_ms: float) -> None:
        self._speech_from_ms = event["audio_start_ms"]
        onset_ms = min(now_ms, self._audio_in.arrival_ms(self._speech_from_ms, now_ms))
        for turn in self._open:
            if turn.onset_ms is None and turn.is_live(onset_ms):
                turn.onset_ms = onset_ms
        if event["item_id"] not in self._by_item:
            self._begin(TurnRecord(self.count + 1, onset_ms, event["item_id"], until_ms=onset_ms))

    def _speech_stopped(self, event: Json, now_ms: float) -> None:
        item_id = event["item_id"]
        if item_id not in self._by_item:
            self._begin(TurnRecord(self.count + 1, now_ms, item_id))
        turn = self._by_item[item_id]
        if turn is None:
            return
        self._end_speech(turn, max(0, event["audio_end_ms"] - self._silence_ms), now_ms)
        turn.decided_ms = now_ms

    def _decided(self, event: Json, now_ms: float) -> None:
        turn = self._by_item.get(event["item_id"])
        if turn is not None:
            self._end_speech(turn, event["speech_end_ms"], now_ms)

    def _end_speech(self, turn: TurnRecord, position_ms: float, now_ms: float) -> None:
        turn.until_ms = self._audio_in.arrival_ms(position_ms, now_ms)
        turn.speech_ms = round(max(0, position_ms - self._speech_from_ms))
        turn.stream_ms = (self._speech_from_ms, position_ms)
        turn.last_ms = now_ms

    def _continued(self, event: Json, now_ms: float) -> None:
        """Another speaker hears the same speech again, as an item of its own."""
        turn = self._by_item.get(event["continues"])
        if turn is not None:
            self._by_item[event["item_id"]] = turn

    def _understood(self, event: Json, now_ms: float) -> None:
        turn = self._by_item.get(event["item_id"])
        if turn is not None:
            turn.is_understood = bool(event["understood"])
            turn.language = event.get("language") or ""
            turn.confidence = event.get("confidence")
            turn.timed_words = place_words(event.get("words") or (), turn.from_ms)
            if turn.transcript_ms is None and event.get("text"):  # all that is told of the words
                turn.words = event["text"]
                turn.transcript_ms = turn.last_ms = now_ms

    def _transcribed(self, event: Json, now_ms: float) -> None:
        turn = self._by_item.get(event["item_id"])
        if turn is not None:
            turn.is_transcript_failed = event["type"].endswith(".failed")
            turn.words = event.get("transcript")
            turn.transcript_ms = turn.last_ms = now_ms
            if event.get("logprobs"):
                turn.timed_words = join_tokens(event["logprobs"])
                turn.confidence = mean_confidence(event["logprobs"])

    # -- the answer ---------------------------------------------------------------------------

    def _created(self, event: Json, now_ms: float) -> None:
        response_id = event["response"]["id"]
        is_aside = event["response"].get("conversation_id", "") is None
        response = Response(response_id, now_ms, self._model, is_aside)
        if not is_aside:  # there is one at a time: the end of an earlier one never came
            for turn in self._open:
                for other in turn.answers:
                    if other.done_ms is None:
                        other.status, other.done_ms = "lost", now_ms
            if not self._open:
                self._begin(TurnRecord(self.count, now_ms))
        if not self._open:
            return
        turn = self._open[-1]
        turn.responses.append(response)
        turn.last_ms = now_ms
        self._by_response[response_id] = turn, response

    def _token(self, event: Json, now_ms: float) -> None:
        _, response = self._by_response.get(event["response_id"], (None, None))
        if response is None:
            return
        if response.first_token_ms is None:
            response.first_token_ms = now_ms
        if delta := event.get("delta"):
            response.item(event["item_id"]).say(delta)

    def _audio(self, event: Json, now_ms: float) -> None:
        known = self._sounding
        if known is None or known[1].response_id != event["response_id"]:
            known = self._sounding = self._by_response.get(event["response_id"])
        if known is None:
            return
        turn, response = known
        audio_ms = self._format_out.ms_of_base64(event["delta"])
        turn.add_audio(response, event["item_id"], audio_ms, now_ms)

    def _done(self, event: Json, now_ms: float) -> None:
        told = event["response"]
        turn, response = self._by_response.get(told["id"], (None, None))
        if turn is None or response is None or response.done_ms is not None:
            return
        response.status, response.done_ms = str(told["status"]), now_ms
        response.usage = told.get("usage") or {}
        turn.last_ms = now_ms
        if response.is_aside:
            return
        if response.status == "cancelled":
            self._interrupt(turn, now_ms)
        if not response.is_silent:
            self._answer(turn)

    def _answer(self, turn: TurnRecord) -> None:
        if not turn.is_answered:
            turn.is_answered = True
            self._tell(lambda reader: reader.turn_answered(turn))

    # -- interruption -------------------------------------------------------------------------

    def _cut_item(self, item_id: object, heard_ms: object, now_ms: float) -> None:
        """The caller's side tells how much of an item was heard."""
        for turn in self._open:
            if turn.onset_ms is None and not turn.is_live(now_ms):
                continue  # tidied up afterwards: it was heard
            for item in turn.items:
                if item.item_id == item_id:
                    if isinstance(heard_ms, int | float):
                        item.heard_ms = min(float(heard_ms), item.audio_ms)
                    self._interrupt(turn, now_ms)

    def _interrupt(self, turn: TurnRecord, now_ms: float) -> None:
        self.interrupted += not turn.is_interrupted
        turn.interrupt(now_ms)

    # -- marks --------------------------------------------------------------------------------

    def _item_done(self, event: Json, now_ms: float) -> None:
        if event["item"].get("type") == "function_call":
            self._mark("function_call", event["item"], now_ms)

    def _mark(self, kind: str, fields: Json, now_ms: float) -> None:
        """Note it with the turn it names, else the newest; else with the next record."""
        fields = {name: value for name, value in fields.items() if name not in _ENVELOPE}
        turn = self._by_item.get(fields.get("item_id") or "")
        turn = turn or (self._open[-1] if self._open else None)
        marks = turn.marks if turn is not None else self._marks
        if len(marks) < KEPT_MARKS:
            marks.append(Mark(kind, now_ms, fields))

    # -- beginning and end of a record --------------------------------------------------------

    def _begin(self, turn: TurnRecord) -> None:
        if self._open:
            newest = self._open[-1]
            newest.last_ms = max(newest.last_ms, turn.from_ms)
        turn.last_ms = turn.from_ms
        turn.marks, self._marks = self._marks, []
        self._open.append(turn)
        if turn.item_id:
            self.count = turn.number
            self._by_item[turn.item_id] = turn
        while len(self._open) > KEPT_OPEN:
            self._finish(turn.from_ms)
        self._tell(lambda reader: reader.turn_began(turn))

    def _settle(self, now_ms: float) -> None:
        while self._open and self._is_over(self._open[0], now_ms):
            self._finish(now_ms)
        self._looks_ms = now_ms + LOOK_EVERY_MS

    def _is_over(self, turn: TurnRecord, now_ms: float) -> bool:
        """Whether nothing more is to come of the oldest unfinished turn."""
        knows_words = turn.transcript_ms is not None or turn.input == "text" or not turn.item_id
        settled_ms = max(turn.last_ms, turn.sounds_until_ms)
        if now_ms < settled_ms + (SETTLE_MS if knows_words else WORDS_WITHIN_MS):
            return False
        answers = turn.answers
        if any(response.done_ms is None for response in answers):
            return False
        # The newest waits for its answer, and for what follows a tool.
        return turn is not self._open[-1] or (bool(answers) and not answers[-1].is_silent)

    def _finish(self, now_ms: float) -> None:
        turn = self._open.pop(0)
        turn.finish(now_ms)
        for item_id, known in self._by_item.items():
            if known is turn:
                self._by_item[item_id] = None
        while len(self._by_item) > KEPT_ITEMS:
            del self._by_item[next(iter(self._by_item))]
        self._by_response = {
            name: known for name, known in self._by_response.items() if known[0] is not turn
        }
        self._sounding = None
        if any(response.done_ms is not None for response in turn.answers):
            self._answer(turn)
        self._tell(lambda reader: reader.turn_finished(turn))

    def _tell(self, tell: Callable[[TurnReader], None]) -> None:
        for reader in self._readers:
            try:
                tell(reader)
            except Exception:
                log.exception("turn_reader_failed", reader=type(reader).__name__)


_ENVELOPE = frozenset({"type", "event_id"})
_MARKS = (
    "input_audio_buffer.dtmf_event_received",
    "penny.clarification",
    "penny.clarified",
    "penny.context_update",
    "penny.correction",
    "penny.handoff",
    "penny.mode_changed",
    "penny.note",
    "penny.recording",
    "penny.tool_call",
)
# A table of the class, not of each recorder, for which it would be memory.
_HANDLERS: dict[str, Callable[[TurnRecorder, Json, float], None]] = {
    "session.updated": TurnRecorder._formats,
    "penny.session": TurnRecorder._formats,
    "penny.speaker": TurnRecorder._speaker,
    "conversation.item.added": TurnRecorder._item_added,
    "input_audio_buffer.speech_started": TurnRecorder._speech_started,
    "input_audio_buffer.speech_stopped": TurnRecorder._speech_stopped,
    "penny.turn.decided": TurnRecorder._decided,
    "penny.turn_continued": TurnRecorder._continued,
    "penny.transcript": TurnRecorder._understood,
    "conversation.item.input_audio_transcription.completed": TurnRecorder._transcribed,
    "conversation.item.input_audio_transcription.failed": TurnRecorder._transcribed,
    "penny.transcription_usage": TurnRecorder._transcribed,  # of a client that asked for no words
    "response.created": TurnRecorder._created,
    "penny.response.first_token": TurnRecorder._token,
    "response.output_audio_transcript.delta": TurnRecorder._token,
    "response.output_text.delta": TurnRecorder._token,
    "response.output_item.done": TurnRecorder._item_done,
    "response.done": TurnRecorder._done,
}
TurnRecorder.listens_to = (
    "input_audio_buffer.append",
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.output_audio.delta",
    *_HANDLERS,
    *_MARKS,
)
