"""A session's turns as spans: session > turn > endpointing, transcription, generation,
first_audio, playback, interruption.

Spans hold times and identifiers, never words. They are made from the finished record, with the
times of then; the turn's own begins with it, so that what others do meanwhile hangs below.
"""

from __future__ import annotations

from typing import Any

from penny.session.turn_record import Response, TurnReader, TurnRecord
from penny.tracing.attributes import Attributes
from penny.tracing.trace import Span, Trace


class TurnTrace(TurnReader):
    """Reader of turns that writes their spans into a session's trace, and ends it.

    Args:
        started_s: the recorder's.
    """

    def __init__(self, trace: Trace, started_s: float) -> None:
        self._trace = trace
        self._started_s = started_s

    def turn_began(self, turn: TurnRecord) -> None:
        if turn.item_id:
            at_s = self._at_s(turn.from_ms)
            attributes: Attributes = {"penny.turn.input": turn.input}
            self._trace.turn(turn.item_id, at_s=at_s, attributes=attributes)

    def turn_finished(self, turn: TurnRecord) -> None:
        parent = self._trace.turn(turn.item_id) if turn.item_id else self._trace.root
        ends_ms = [turn.last_ms]
        if turn.item_id:
            ends_ms += self._caller_side(turn, parent)
        for response in turn.responses:
            self._generation(parent, response, turn.finished_ms or turn.last_ms)
        first_ms = turn.first_audio_ms
        if first_ms is not None:
            if turn.item_id:
                self._span(parent, "first_audio", turn.until_ms, first_ms)
                parent.set({"penny.wait.ms": round(first_ms - turn.until_ms)})
            playback: Attributes = {"penny.heard.ms": round(turn.heard_ms)}
            self._span(parent, "playback", first_ms, turn.sounds_until_ms, playback)
            ends_ms.append(turn.sounds_until_ms)
        if turn.is_interrupted and turn.cut_ms is not None:
            self._span(parent, "interruption", turn.onset_ms or turn.cut_ms, turn.cut_ms)
            if turn.item_id:
                parent.set({"penny.interrupted": True})
        if turn.item_id:
            parent.end(self._at_s(max(ends_ms)))

    def session_ended(self, reason: str, at_s: float) -> None:
        self._trace.root.set({"penny.end.reason": reason})
        self._trace.root.end(at_s)

    def _caller_side(self, turn: TurnRecord, parent: Span) -> list[float]:
        """Spans of what followed the caller's last word; returns when they ended."""
        until_ms, ends_ms = turn.until_ms, []
        if turn.decided_ms is not None:
            speech: Attributes = {"penny.speech.ms": turn.speech_ms or 0}
            self._span(parent, "endpointing", until_ms, turn.decided_ms, speech)
            ends_ms.append(turn.decided_ms)
        if turn.transcript_ms is not None:
            error = "transcription_failed" if turn.is_transcript_failed else ""
            self._span(parent, "transcription", until_ms, turn.transcript_ms, error=error)
            ends_ms.append(turn.transcript_ms)
        return ends_ms

    def _generation(self, parent: Span, response: Response, finished_ms: float) -> None:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.response.id": response.response_id,
            "penny.status": response.status,
            "penny.audio.ms": round(response.audio_ms),
            **_usage(response),
        }
        if response.model:
            attributes["gen_ai.request.model"] = response.model
        if response.first_token_ms is not None:
            waited_ms = round(response.first_token_ms - response.created_ms)
            attributes["penny.first_token.ms"] = waited_ms
        error = {"failed": "response_failed", "in_progress": "session_ended"}
        ends_ms = finished_ms if response.done_ms is None else response.done_ms
        told: Attributes = attributes  # type: ignore[assignment]  # the literals above
        why = error.get(response.status, "")
        self._span(parent, "generation", response.created_ms, ends_ms, told, error=why)

    def _span(
        self,
        parent: Span,
        name: str,
        from_ms: float,
        until_ms: float,
        attributes: Attributes | None = None,
        *,
        error: str = "",
    ) -> None:
        span = parent.start(name, at_s=self._at_s(from_ms), attributes=attributes)
        span.end(self._at_s(max(from_ms, until_ms)), error=error)

    def _at_s(self, at_ms: float) -> float:
        return self._started_s + at_ms / 1000


def _usage(response: Response) -> dict[str, int]:
    usage = response.usage
    told = {
        "gen_ai.usage.input_tokens": usage.get("input_tokens"),
        "gen_ai.usage.output_tokens": usage.get("output_tokens"),
        "gen_ai.usage.cache_read.input_tokens": (usage.get("input_token_details") or {}).get(
            "cached_tokens"
        ),
    }
    return {name: value for name, value in told.items() if isinstance(value, int)}
