"""A session's spans as they go by: session > turn > endpointing, transcription, generation,
first_audio, playback, interruption.

An observer: it reads the Realtime events of both directions with the loop's time, and where the
caller's speech lay from the clock of the audio that arrived. Spans hold times and identifiers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penny.tracing.current import Attributes
from penny.turns.audio_clock import AudioClock


if TYPE_CHECKING:
    from penny.tracing.trace import Span, Trace


Json = dict[str, Any]
CallLater = Callable[[float, Callable[[], None]], asyncio.TimerHandle]

PCM24K_CHARS_PER_MS = 64.0
"""24 000 Hz x 2 bytes = 48 bytes a millisecond, 64 characters of base64."""
G711_CHARS_PER_MS = 32 / 3
AFTER_TURN_S = 1.0
"""What may still come of a turn whose answer has been heard: a function's next response."""
KEPT_TURNS = 8


@dataclass(slots=True)
class _Turn:
    span: Span
    began_s: float
    speech_end_s: float
    typed: bool
    decided_s: float | None = None
    end_s: float = 0.0
    answering: int = 0
    heard_audio: bool = False
    playback: Span | None = None
    sounds_until_s: float = 0.0
    interruption: Span | None = None
    timer: asyncio.TimerHandle | None = None

    def saw(self, at_s: float) -> None:
        self.end_s = max(self.end_s, at_s)


@dataclass(slots=True)
class _Response:
    span: Span
    turn: _Turn | None
    began_s: float
    tokens_seen: bool = False
    audio_chars: int = 0
    items: set[str] = field(default_factory=set)


class TurnTrace:
    """One per traced session.

    Args:
        silence_ms: silence that the speaker counts into ``audio_end_ms``, unless it says better.
    """

    def __init__(self, trace: Trace, call_later: CallLater, *, silence_ms: int = 500) -> None:
        self._trace = trace
        self._call_later = call_later
        self._silence_ms = silence_ms
        self._clock = AudioClock()
        self._arrived_ms = 0.0
        self._chars_in = self._chars_out = PCM24K_CHARS_PER_MS
        self._typed_at_s: float | None = None
        self._turns: dict[str, _Turn] = {}
        self._newest: _Turn | None = None
        self._responses: dict[str, _Response] = {}
        self._model = ""

    # -- Observer -----------------------------------------------------------------------------

    def caller_event(self, event: Json, at_s: float) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            audio = event.get("audio")
            if isinstance(audio, str):
                self._arrived_ms += len(audio) / self._chars_in
                self._clock.mark(self._arrived_ms, at_s)
        elif kind == "conversation.item.create":
            item = event.get("item")
            if isinstance(item, dict) and item.get("role") == "user":
                self._typed_at_s = at_s
        elif kind == "conversation.item.truncate":
            self._truncated(event, at_s)

    def speaker_event(self, event: Json, at_s: float) -> None:
        handle = _HANDLERS.get(event["type"])
        if handle is not None:
            handle(self, event, at_s)

    def ended(self, reason: str, at_s: float) -> None:
        for response in self._responses.values():
            response.span.end(at_s, error="session_ended")
        for turn in list(self._turns.values()):
            self._close(turn, at_s)
        self._turns.clear()
        self._responses.clear()
        self._trace.root.set({"penny.end.reason": reason})
        self._trace.root.end(at_s)

    # -- the caller's side of a turn ----------------------------------------------------------

    def _formats(self, event: Json, at_s: float) -> None:
        audio = event["session"].get("audio") or {}
        self._chars_in = _chars_per_ms((audio.get("input") or {}).get("format"))
        self._chars_out = _chars_per_ms((audio.get("output") or {}).get("format"))

    def _speaker(self, event: Json, at_s: float) -> None:
        self._model = str(event["model"])

    def _added(self, event: Json, at_s: float) -> None:
        item = event["item"]
        if self._typed_at_s is None or item.get("role") != "user":
            return
        typed_s, self._typed_at_s = self._typed_at_s, None
        if item["id"] not in self._turns:
            self._begin(item["id"], typed_s, typed=True)

    def _started(self, event: Json, at_s: float) -> None:
        onset_s = min(at_s, self._arrival(event["audio_start_ms"], at_s))
        self._interrupt(onset_s)
        self._begin(event["item_id"], onset_s, typed=False)

    def _stopped(self, event: Json, at_s: float) -> None:
        turn = self._turns.get(event["item_id"])
        if turn is None:
            turn = self._begin(event["item_id"], at_s, typed=False)
        turn.speech_end_s = self._arrival(event["audio_end_ms"] - self._silence_ms, at_s)
        turn.decided_s = at_s

    def _decided(self, event: Json, at_s: float) -> None:
        turn = self._turns.get(event["item_id"])
        if turn is not None:
            turn.speech_end_s = self._arrival(event["speech_end_ms"], at_s)
            self._tell_endpointing(turn)

    def _transcribed(self, event: Json, at_s: float) -> None:
        turn = self._turns.get(event["item_id"])
        if turn is None:
            return
        self._tell_endpointing(turn)
        error = "" if event["type"].endswith("completed") else "transcription_failed"
        turn.span.start("transcription", at_s=turn.speech_end_s).end(at_s, error=error)
        turn.saw(at_s)

    def _begin(self, item_id: str, at_s: float, *, typed: bool) -> _Turn:
        kind = "text" if typed else "speech"
        attributes: Attributes = {"penny.turn.input": kind}
        span = self._trace.turn(item_id, at_s=at_s, attributes=attributes)
        turn = _Turn(span, began_s=at_s, speech_end_s=at_s, typed=typed, end_s=at_s)
        self._turns[item_id] = self._newest = turn
        while len(self._turns) > KEPT_TURNS:
            self._close(next(iter(self._turns.values())), at_s)
        return turn

    def _arrival(self, position_ms: float, at_s: float) -> float:
        """When the audio at ``position_ms`` arrived; now where none did (a client without it)."""
        return self._clock.at(max(0.0, position_ms)) if self._arrived_ms else at_s

    def _tell_endpointing(self, turn: _Turn) -> None:
        if turn.decided_s is None:
            return
        speech_ms = round(max(0.0, turn.speech_end_s - turn.began_s) * 1000)
        attributes: Attributes = {"penny.speech.ms": speech_ms}
        span = turn.span.start("endpointing", at_s=turn.speech_end_s, attributes=attributes)
        span.end(max(turn.decided_s, turn.speech_end_s))
        turn.saw(turn.decided_s)
        turn.decided_s = None

    # -- the answer ---------------------------------------------------------------------------

    def _created(self, event: Json, at_s: float) -> None:
        response = event["response"]
        turn = self._newest if response.get("conversation_id", "") is not None else None
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.response.id": response["id"],
            **({"gen_ai.request.model": self._model} if self._model else {}),
        }
        if turn is not None:
            self._tell_endpointing(turn)
            turn.answering += 1
            self._keep_open(turn)
            span = turn.span.start("generation", at_s=at_s, attributes=attributes)
        else:
            span = self._trace.start("generation", at_s=at_s, attributes=attributes)
        self._responses[response["id"]] = _Response(span, turn, at_s)

    def _token(self, event: Json, at_s: float) -> None:
        response = self._responses.get(event["response_id"])
        if response is not None and not response.tokens_seen:
            response.tokens_seen = True
            waited_ms = round((at_s - response.began_s) * 1000)
            response.span.set({"penny.first_token.ms": waited_ms})

    def _audio(self, event: Json, at_s: float) -> None:
        response = self._responses.get(event["response_id"])
        if response is None:
            return
        self._token(event, at_s)
        response.audio_chars += len(event["delta"])
        response.items.add(event["item_id"])
        turn = response.turn
        if turn is None:
            return
        if turn.playback is None:
            self._first_audio(turn, at_s)
        seconds = len(event["delta"]) / self._chars_out / 1000
        turn.sounds_until_s = max(turn.sounds_until_s, at_s) + seconds

    def _first_audio(self, turn: _Turn, at_s: float) -> None:
        if not turn.heard_audio:
            turn.heard_audio = True
            turn.span.start("first_audio", at_s=turn.speech_end_s).end(at_s)
            turn.span.set({"penny.wait.ms": round((at_s - turn.speech_end_s) * 1000)})
        turn.playback = turn.span.start("playback", at_s=at_s)
        turn.sounds_until_s = at_s

    def _done(self, event: Json, at_s: float) -> None:
        told = event["response"]
        response = self._responses.pop(told["id"], None)
        if response is None:
            return
        status = str(told["status"])
        response.span.set(_usage(told))
        response.span.set(
            {
                "penny.status": status,
                "penny.audio.ms": round(response.audio_chars / self._chars_out),
            }
        )
        response.span.end(at_s, error="response_failed" if status == "failed" else "")
        turn = response.turn
        if turn is None:
            return
        turn.saw(at_s)
        turn.answering -= 1
        if status == "cancelled":
            self._silence(turn, at_s)
        if not turn.answering:
            self._close_later(turn, at_s)

    # -- interruption, playback ---------------------------------------------------------------

    def _interrupt(self, at_s: float) -> None:
        """The caller speaks: is anything being answered or sounding?"""
        for turn in self._turns.values():
            sounding = turn.playback is not None and turn.sounds_until_s > at_s
            if (sounding or turn.answering) and turn.interruption is None:
                turn.interruption = turn.span.start("interruption", at_s=at_s)

    def _truncated(self, event: Json, at_s: float) -> None:
        """The caller's side tells how much of an item was heard."""
        for turn in reversed(self._turns.values()):
            if turn.playback is not None:
                turn.playback.set({"penny.heard.ms": int(event.get("audio_end_ms") or 0)})
                self._silence(turn, at_s)
                return

    def _silence(self, turn: _Turn, at_s: float) -> None:
        """What sounded of a turn has stopped."""
        interruption, turn.interruption = turn.interruption, None
        if interruption is not None:
            interruption.end(at_s)
        turn.span.set({"penny.interrupted": True})
        turn.saw(at_s)
        self._end_playback(turn, at_s)
        if not turn.answering:
            self._close_later(turn, at_s)

    def _end_playback(self, turn: _Turn, at_s: float) -> None:
        playback, turn.playback = turn.playback, None
        if playback is not None:
            playback.end(min(at_s, turn.sounds_until_s))
            turn.saw(min(at_s, turn.sounds_until_s))

    # -- a turn's end -------------------------------------------------------------------------

    def _keep_open(self, turn: _Turn) -> None:
        if turn.timer is not None:
            turn.timer.cancel()
            turn.timer = None

    def _close_later(self, turn: _Turn, at_s: float) -> None:
        self._keep_open(turn)
        tail_s = max(0.0, turn.sounds_until_s - at_s) if turn.playback is not None else 0.0
        ends_s = at_s + tail_s
        turn.timer = self._call_later(
            tail_s + AFTER_TURN_S, lambda: self._close(turn, max(ends_s, turn.end_s))
        )

    def _close(self, turn: _Turn, at_s: float) -> None:
        self._keep_open(turn)
        self._tell_endpointing(turn)
        self._end_playback(turn, at_s)
        if turn.interruption is not None:
            turn.interruption.end(turn.end_s)  # it spoke on: a word in passing stopped nothing
        turn.span.end(max(turn.end_s, turn.began_s))
        for item_id in [name for name, known in self._turns.items() if known is turn]:
            del self._turns[item_id]
        if self._newest is turn:
            self._newest = None


def _usage(response: Json) -> Attributes:
    usage = response.get("usage") or {}
    cached = (usage.get("input_token_details") or {}).get("cached_tokens")
    told: dict[str, Any] = {
        "gen_ai.usage.input_tokens": usage.get("input_tokens"),
        "gen_ai.usage.output_tokens": usage.get("output_tokens"),
        "gen_ai.usage.cache_read.input_tokens": cached,
    }
    return {name: value for name, value in told.items() if isinstance(value, int)}  # type: ignore[misc]  # the literals above


def _chars_per_ms(audio_format: Json | None) -> float:
    g711 = (audio_format or {}).get("type") in ("audio/pcmu", "audio/pcma")
    return G711_CHARS_PER_MS if g711 else PCM24K_CHARS_PER_MS


_HANDLERS: dict[str, Callable[[TurnTrace, Json, float], None]] = {
    "session.updated": TurnTrace._formats,
    "penny.speaker": TurnTrace._speaker,
    "conversation.item.added": TurnTrace._added,
    "input_audio_buffer.speech_started": TurnTrace._started,
    "input_audio_buffer.speech_stopped": TurnTrace._stopped,
    "penny.turn.decided": TurnTrace._decided,
    "conversation.item.input_audio_transcription.completed": TurnTrace._transcribed,
    "conversation.item.input_audio_transcription.failed": TurnTrace._transcribed,
    "response.created": TurnTrace._created,
    "penny.response.first_token": TurnTrace._token,
    "response.output_text.delta": TurnTrace._token,
    "response.output_audio_transcript.delta": TurnTrace._token,
    "response.output_audio.delta": TurnTrace._audio,
    "response.done": TurnTrace._done,
}
