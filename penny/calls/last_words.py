"""What a caller said last is still recognised after they hang up, so that it stands in the record.

An edge around the caller's own: the session is told of the end once the words in flight are known,
or after ``WITHIN_S``. Nothing is delivered to the caller meanwhile.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

from penny.session.edge import Edge, EdgeSink


Json = dict[str, Any]

WITHIN_S = 2.5
"""Words come in a second; three is what a record may be late."""


class Timers(Protocol):
    """The loop, as far as it is needed."""

    def call_later(self, delay: float, callback: Any, /) -> asyncio.TimerHandle: ...


@dataclass(frozen=True, slots=True)
class _Sink:
    """What the caller's own edge is given to call."""

    on_event: Any
    on_closed: Any


class LastWords:
    """An edge whose end waits for the transcript of what was being said."""

    def __init__(self, edge: Edge, timers: Timers) -> None:
        self._edge = edge
        self._timers = timers
        self._sink: EdgeSink | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._speaking = ""
        self._awaited: set[str] = set()
        self._has_left = self._is_over = False
        self.name = edge.name
        self.end_reason = edge.end_reason
        self.pause = edge.pause
        self.resume = edge.resume

    def start(self, sink: EdgeSink) -> None:
        self._sink = sink
        self._edge.start(_Sink(sink.on_event, self._left))

    def deliver(self, event: Json) -> None:
        watch = _WATCHED.get(event["type"])
        if watch is not None:
            watch(self, event)
        if not self._has_left:
            self._edge.deliver(event)
        elif watch is not None and not (self._awaited or self._speaking):
            self._end()

    async def aclose(self, reason: str, totals: Json) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        await self._edge.aclose(reason, totals)

    def _left(self) -> None:
        assert self._sink is not None
        self._has_left = True
        self.end_reason = self._edge.end_reason
        if not (self._speaking or self._awaited):
            self._end()
            return
        self._timer = self._timers.call_later(WITHIN_S, self._end)
        if self._speaking:
            self._sink.on_event({"type": "input_audio_buffer.commit"})

    def _end(self) -> None:
        if not self._is_over and self._sink is not None:
            self._is_over = True
            if self._timer is not None:
                self._timer.cancel()
            self._sink.on_closed()

    # -- what is in flight --------------------------------------------------------------------

    def _begins(self, event: Json) -> None:
        self._speaking = event["item_id"]

    def _is_said(self, event: Json) -> None:
        self._speaking = ""
        self._awaited.add(event["item_id"])

    def _is_known(self, event: Json) -> None:
        self._awaited.discard(event.get("item_id", ""))

    def _is_nothing(self, _event: Json) -> None:
        self._speaking = ""

    def _goes_on(self, event: Json) -> None:
        if event["continues"] in self._awaited:
            self._awaited.add(event["item_id"])
        self._awaited.discard(event["continues"])

    def _failed(self, _event: Json) -> None:
        if self._has_left:  # there was nothing to commit
            self._speaking = ""


_WATCHED = {
    "input_audio_buffer.speech_started": LastWords._begins,
    "input_audio_buffer.speech_stopped": LastWords._is_said,
    "input_audio_buffer.committed": LastWords._is_said,
    "input_audio_buffer.cleared": LastWords._is_nothing,
    "penny.turn_continued": LastWords._goes_on,
    "conversation.item.input_audio_transcription.completed": LastWords._is_known,
    "conversation.item.input_audio_transcription.failed": LastWords._is_known,
    "penny.transcript": LastWords._is_known,
    "penny.transcription_usage": LastWords._is_known,
    "error": LastWords._failed,
}
