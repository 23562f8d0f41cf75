"""Realtime server events -> the session protocol, for one caller. Pure: the time is an argument.

The translator is the caller's side of the Realtime protocol: it owns the player, cuts the
history to what was heard when the caller interrupts, and knows which turn everything belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pybase64 import b64decode

from penny.edges.player import ItemHeard, ItemSent, ItemStarted, Player
from penny.edges.socket.turns import TurnBook
from penny.edges.socket.typed import ALREADY_ACTIVE, TypedWish
from penny.protocol.brain import ContextUpdate, Correction, Handoff, Sources, ToolCall
from penny.protocol.conversation import (
    AudioDone,
    AudioStarted,
    Interruption,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptHeard,
)
from penny.protocol.error import SessionError, SessionWarning
from penny.protocol.message import ServerEvent
from penny.protocol.metering import Cost, TurnMetrics
from penny.protocol.session import ModeChanged, SessionProgress


Json = dict[str, Any]

BENIGN_ERRORS = frozenset({"response_cancel_not_active", ALREADY_ACTIVE})
"""Races that every Realtime client meets and none can avoid."""

PENNY_EVENTS: dict[str, type[ServerEvent]] = {
    "penny.context_update": ContextUpdate,
    "penny.correction": Correction,
    "penny.sources": Sources,
    "penny.tool_call": ToolCall,
    "penny.handoff": Handoff,
    "penny.cost": Cost,
    "penny.mode_changed": ModeChanged,
    "penny.progress": SessionProgress,
    "penny.warning": SessionWarning,
    "penny.error": SessionError,
}
"""Events of Penny's own rooms that reach the caller as they are, their type apart."""


@dataclass(slots=True)
class Effects:
    """What one event causes: messages to the caller, Realtime events to the speaker, in order."""

    to_caller: list[ServerEvent] = field(default_factory=list)
    to_speaker: list[Json] = field(default_factory=list)

    @classmethod
    def of(cls, caused: Iterable[ServerEvent | Json]) -> Effects:
        effects = cls()
        for each in caused:
            if isinstance(each, ServerEvent):
                effects.to_caller.append(each)
            else:
                effects.to_speaker.append(each)
        return effects


Caused = Iterator[ServerEvent | Json]
NOTHING = Effects()
"""What a piece of audio causes, fifty times a second. Nobody may add to it."""


class Translator:
    """One caller's view of the conversation.

    Args:
        player: what the caller hears.
    """

    def __init__(self, player: Player) -> None:
        self._player = player
        self._turns = TurnBook()
        self._played_id = ""
        self._understood: dict[str, tuple[bool, str | None]] = {}
        self._active: set[str] = set()
        self._cut_responses: set[str] = set()
        self.wish = TypedWish()
        self.interruptions = 0

    @property
    def turns(self) -> int:
        return self._turns.count

    def speaker_event(self, event: Json, now_s: float) -> Effects:
        """Take one event of the speaker's."""
        kind = event["type"]
        if kind == "response.output_audio.delta" and self._play(event):
            return NOTHING
        handler = _HANDLERS.get(kind)
        if handler is not None:
            return Effects.of(handler(self, event, now_s))
        if kind in PENNY_EVENTS:
            return Effects([self._penny_event(PENNY_EVENTS[kind], event)])
        return NOTHING

    def interrupt(self, now_s: float) -> Effects:
        """The caller pressed the button: stop talking."""
        return Effects.of(self._stop(now_s))

    def _stop(self, now_s: float) -> Caused:
        for response_id in self._active - self._cut_responses:
            yield {"type": "response.cancel", "response_id": response_id}
        yield from self._interrupt(now_s)

    def _penny_event(self, model: type[ServerEvent], event: Json) -> ServerEvent:
        fields = {name: value for name, value in event.items() if name not in _ENVELOPE}
        item_id = event.get("item_id")
        if item_id is not None and fields.get("turn_id") is None:
            fields["turn_id"] = self._turns.of_item(item_id)
        return model.model_validate(fields)

    def typed(self, item_id: str, text: str) -> ServerEvent:
        """A typed turn begins with this item; what was typed stands in the transcript as it is."""
        turn_id = self._turns.begin(item_id)
        return TranscriptFinal(
            role="user", turn_id=turn_id, item_id=item_id, text=text, understood=True
        )

    def played(self, due: ItemStarted | ItemSent | ItemHeard) -> ServerEvent:
        """What the caller is told of the audio that the player lets go."""
        match due:
            case ItemStarted(item_id=item_id, response_id=response_id):
                turn_id = self._turns.of_response(response_id)
                return AudioStarted(turn_id=turn_id, response_id=response_id, item_id=item_id)
            case ItemSent(item_id=item_id, response_id=response_id, duration_ms=duration_ms):
                return AudioDone(
                    turn_id=self._turns.of_response(response_id),
                    response_id=response_id,
                    item_id=item_id,
                    duration_ms=duration_ms,
                )
            case ItemHeard(item_id=item_id, heard_ms=heard_ms, text=text):
                return TranscriptHeard(
                    turn_id=self._turns.of_item(item_id),
                    item_id=item_id,
                    text=text,
                    heard_ms=heard_ms,
                    complete=True,
                )

    # -- the caller ---------------------------------------------------------------------------

    def _speech_started(self, event: Json, now_s: float) -> Caused:
        if self._player.is_playing(now_s) or self._active:
            yield from self._interrupt(now_s)
        turn_id = self._turns.begin(event["item_id"])
        yield SpeechStarted(turn_id=turn_id, at_ms=event["audio_start_ms"])

    def _hold(self, _event: Json, now_s: float) -> Iterable[Json]:
        """The caller may be interrupting: wait for what it is."""
        self._player.hold(now_s)
        return ()

    def _resume(self, _event: Json, _now_s: float) -> Iterable[Json]:
        self._player.resume()
        return ()

    def _speech_stopped(self, event: Json, _now_s: float) -> Caused:
        turn_id = self._turns.of_item(event["item_id"])
        yield SpeechStopped(turn_id=turn_id, at_ms=event["audio_end_ms"])

    def _item_added(self, event: Json, _now_s: float) -> Iterable[Json]:
        item = event["item"]
        if item.get("role") == "user":
            self._turns.begin(item["id"])
        return ()

    def _turn_continued(self, event: Json, _now_s: float) -> Iterable[Json]:
        """Another speaker hears the same speech again, as an item of its own."""
        self._turns.note_item(event["item_id"], self._turns.of_item(event["continues"]))
        return ()

    def _user_delta(self, event: Json, _now_s: float) -> Caused:
        item_id, delta = event["item_id"], event.get("delta") or ""
        turn_id = self._turns.of_item(item_id)
        yield TranscriptDelta(role="user", turn_id=turn_id, item_id=item_id, delta=delta)

    def _note_understood(self, event: Json, _now_s: float) -> Iterable[Json]:
        self._understood[event["item_id"]] = (bool(event["understood"]), event.get("language"))
        return ()

    def _user_final(self, event: Json, _now_s: float) -> Caused:
        item_id = event["item_id"]
        understood, language = self._understood.pop(item_id, (None, None))
        yield TranscriptFinal(
            role="user",
            turn_id=self._turns.of_item(item_id),
            item_id=item_id,
            text=event["transcript"],
            understood=understood,
            language=language,
        )

    def _user_failed(self, event: Json, _now_s: float) -> Caused:
        reason = event["error"].get("message", "no reason given")
        yield _engine_failed(f"the transcription failed: {reason}")

    # -- Penny --------------------------------------------------------------------------------

    def _response_created(self, event: Json, _now_s: float) -> Iterable[Json]:
        response = event["response"]
        if response.get("conversation_id", "") is not None:  # else it is an aside
            self._active.add(response["id"])
            self._turns.answer(response["id"])
        return ()

    def _spoken_delta(self, event: Json, now_s: float) -> Caused:
        if event["response_id"] not in self._cut_responses:
            self._player.queue_text(
                event["item_id"], event["response_id"], event["content_index"], event["delta"]
            )
            yield from self._written_delta(event, now_s)

    def _written_delta(self, event: Json, _now_s: float) -> Caused:
        item_id = event["item_id"]
        turn_id = self._turns.of_response(event["response_id"])
        self._turns.note_item(item_id, turn_id)
        yield TranscriptDelta(role="penny", turn_id=turn_id, item_id=item_id, delta=event["delta"])

    def _spoken_final(self, event: Json, _now_s: float) -> Caused:
        yield self._penny_final(event, event["transcript"], None)

    def _written_final(self, event: Json, _now_s: float) -> Caused:
        # What is read on the screen needs no loudspeaker: it is heard as it stands.
        yield self._penny_final(event, event["text"], event["text"])

    def _penny_final(self, event: Json, text: str, heard: str | None) -> ServerEvent:
        turn_id = self._turns.of_response(event["response_id"])
        return TranscriptFinal(
            role="penny", turn_id=turn_id, item_id=event["item_id"], text=text, heard=heard
        )

    def _play(self, event: Json) -> bool:
        """Queue a piece of audio; False when that is too much."""
        item_id, response_id = event["item_id"], event["response_id"]
        if response_id in self._cut_responses:
            return True
        if item_id != self._played_id:  # of fifty pieces a second, one is the first
            self._played_id = item_id
            self._turns.note_answer(item_id, response_id)
        audio = b64decode(event["delta"])
        return self._player.queue_audio(item_id, response_id, event["content_index"], audio)

    def _cut_long(self, event: Json, _now_s: float) -> Caused:
        self._cut_responses.add(event["response_id"])
        self._player.finish(event["item_id"])
        message = "the answer is longer than Penny keeps; its end is cut"
        yield SessionWarning(code="degraded", message=message)

    def _audio_done(self, event: Json, _now_s: float) -> Iterable[Json]:
        self._player.finish(event["item_id"])
        return ()

    def _response_done(self, event: Json, _now_s: float) -> Caused:
        response = event["response"]
        response_id = response["id"]
        if response_id not in self._active:
            return
        self._active.discard(response_id)
        self._cut_responses.discard(response_id)
        for item in response.get("output") or ():
            self._player.finish(item["id"])
            self._player.forget(item["id"])
        turn_id = self._turns.of_response(response_id)
        if response["status"] == "failed":
            fault = (response.get("status_details") or {}).get("error") or {}
            told = (fault.get("code"), fault.get("message"))
            yield _engine_failed(": ".join(filter(None, told)) or "the answer failed")
        yield ResponseDone(turn_id=turn_id, response_id=response_id, status=response["status"])

    def _turn_metrics(self, event: Json, _now_s: float) -> Caused:
        fields = {name: value for name, value in event.items() if name not in _ENVELOPE}
        turn_id = self._turns.of_item(fields.pop("item_id"))
        yield TurnMetrics.model_validate({**fields, "turn_id": turn_id})

    def _error(self, event: Json, now_s: float) -> Caused:
        fault = event["error"]
        if (again := self.wish.again(fault)) is not None:
            cut = self.interrupt(now_s)  # what was typed replaces what had begun
            yield from cut.to_caller
            yield from cut.to_speaker or [{"type": "response.cancel"}]
            yield again
        elif fault.get("code") not in BENIGN_ERRORS or self.wish.is_refused(fault):
            yield SessionError(
                code="engine_failed",
                message=fault.get("message") or "the speaker reported an error",
                retryable=fault.get("type") != "invalid_request_error",
                field=fault.get("param"),
            )

    # -- interruption -------------------------------------------------------------------------

    def _interrupt(self, now_s: float) -> Caused:
        cuts = self._player.interrupt(now_s)
        self._cut_responses |= self._active
        if not cuts and not self._active:
            return
        self.interruptions += 1
        yield from (cut.as_event() for cut in cuts)
        unheard = "".join(cut.cut_text for cut in cuts)
        if not cuts:
            turn_id = self._turns.last_answered
            yield Interruption(turn_id=turn_id, heard_ms=0, heard_text="", cut_text=unheard)
            return
        heard = cuts[0]
        turn_id, item_id = self._turns.of_response(heard.response_id), heard.item_id
        heard_ms, words = heard.heard_ms, heard.heard_text
        yield Interruption(
            turn_id=turn_id, item_id=item_id, heard_ms=heard_ms, heard_text=words, cut_text=unheard
        )
        yield TranscriptHeard(
            turn_id=turn_id, item_id=item_id, text=words, heard_ms=heard_ms, complete=False
        )


def _engine_failed(message: str) -> SessionError:
    return SessionError(code="engine_failed", message=message, retryable=True)


_ENVELOPE = frozenset({"type", "event_id"})


# A table of the class, not of each caller's translator, for whom it would be memory.
_HANDLERS: dict[str, Callable[[Translator, Json, float], Iterable[ServerEvent | Json]]] = {
    "input_audio_buffer.speech_started": Translator._speech_started,
    "input_audio_buffer.speech_stopped": Translator._speech_stopped,
    "conversation.item.input_audio_transcription.delta": Translator._user_delta,
    "conversation.item.input_audio_transcription.completed": Translator._user_final,
    "conversation.item.input_audio_transcription.failed": Translator._user_failed,
    "conversation.item.added": Translator._item_added,
    "response.created": Translator._response_created,
    "response.output_audio_transcript.delta": Translator._spoken_delta,
    "response.output_audio_transcript.done": Translator._spoken_final,
    "response.output_text.delta": Translator._written_delta,
    "response.output_text.done": Translator._written_final,
    "response.output_audio.delta": Translator._cut_long,
    "response.output_audio.done": Translator._audio_done,
    "response.done": Translator._response_done,
    "error": Translator._error,
    "penny.playback.held": Translator._hold,
    "penny.playback.resumed": Translator._resume,
    "penny.transcript": Translator._note_understood,
    "penny.turn_continued": Translator._turn_continued,
    "penny.turn_metrics": Translator._turn_metrics,
}
