"""The observer that keeps a call: its sound as it passes, its turns as they finish."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from penny.audio.format import PCM24K, AudioFormat
from penny.calls.masking import mask_digits
from penny.calls.record import keep_turn
from penny.calls.spool import SpooledCall
from penny.session.observers import MODE_CHANGED
from penny.session.turn_record import TurnReader, TurnRecord


Json = dict[str, Any]

DRIFT_MS = 200.0
"""Audio that arrives so much later than what came before lets on begins a new stretch: the caller
was muted or away. Less is the jitter of a network."""
_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}


class CallRecorder(TurnReader):
    """Keeps one call in the spool. One of these is both an observer and a reader of turns.

    Args:
        started_s: when the session began, on the loop's clock.
        keeps_sound: whether the sound is kept, or the record alone.
        totals: the session's, complete when it has ended.
        wall_clock: Unix time in seconds.
        on_ended: called once, last.
    """

    listens_to: tuple[str, ...] = (
        "session.updated",
        "penny.session",
        "penny.speaker",
        MODE_CHANGED,
    )
    """And the pieces of audio, a hundred a second, where sound is kept."""

    def __init__(
        self,
        spooled: SpooledCall,
        header: Json,
        started_s: float,
        totals: Json,
        wall_clock: Callable[[], float],
        *,
        keeps_sound: bool,
        on_ended: Callable[[], object],
    ) -> None:
        self._spooled = spooled
        self._started_s = started_s
        self._totals = totals
        self._wall_clock = wall_clock
        self._keeps_sound = keeps_sound
        if keeps_sound:
            self.listens_to += ("input_audio_buffer.append", "response.output_audio.delta")
        self._on_ended = on_ended
        self._formats = {"caller": PCM24K, "penny": PCM24K}
        self._caller_until_ms = float("-inf")
        self._item_id = ""
        self._pauses: list[tuple[float, float]] = []
        self._paused_ms: float | None = None
        started_at = datetime.fromtimestamp(wall_clock(), UTC).isoformat()
        spooled.note("call", at_ms=0.0, call={**header, "started_at": started_at})

    # -- pausing ------------------------------------------------------------------------------

    def pause(self, at_s: float) -> None:
        """Keep no sound until ``resume``, and no digit of what is said meanwhile. Idempotent."""
        if self._paused_ms is None:
            self._paused_ms = self._ms(at_s)
            self._spooled.note("paused", at_ms=self._paused_ms)

    def resume(self, at_s: float) -> None:
        """Keep again. Idempotent."""
        if self._paused_ms is not None:
            self._pauses.append((self._paused_ms, self._ms(at_s)))
            self._paused_ms = None
            self._spooled.note("resumed", at_ms=self._ms(at_s))
        self._caller_until_ms = float("-inf")
        self._item_id = ""

    # -- events -------------------------------------------------------------------------------

    def caller_event(self, event: Json, at_s: float) -> None:
        if event["type"] != "input_audio_buffer.append" or not self._is_kept:
            return
        audio, form = event["audio"], self._formats["caller"]
        at_ms = self._ms(at_s)
        length_ms = len(audio) * 0.75 / form.bytes_per_ms
        position = self._spooled.add("caller", audio)
        if at_ms - length_ms - self._caller_until_ms > DRIFT_MS:
            self._caller_until_ms = max(0.0, at_ms - length_ms)
            self._note_sound("caller", position, self._caller_until_ms)
        self._caller_until_ms += length_ms

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind = event["type"]
        if kind == "response.output_audio.delta":
            if self._is_kept:
                position = self._spooled.add("penny", event["delta"])
                if event["item_id"] != self._item_id:
                    self._item_id = event["item_id"]
                    self._note_sound("penny", position, self._ms(at_s), item_id=self._item_id)
        elif kind in ("session.updated", "penny.session"):
            self._take_formats(event["session"])
        elif kind == MODE_CHANGED:
            self._spooled.note("mode", at_ms=self._ms(at_s), mode=event["mode"])

    def ended(self, reason: str, at_s: float) -> None:
        """Added after those who write the totals, and after the recorder of turns."""
        ended_at = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat()
        self._spooled.end(
            at_ms=self._ms(at_s), reason=reason, ended_at=ended_at, totals=dict(self._totals)
        )
        self._on_ended()

    def turn_finished(self, turn: TurnRecord) -> None:
        kept = keep_turn(turn)
        if self._was_paused(turn):
            kept = mask_digits(kept)
        self._spooled.note("turn", at_ms=kept.finished_ms, turn=kept.model_dump(mode="json"))

    # -- inside -------------------------------------------------------------------------------

    @property
    def _is_kept(self) -> bool:
        return self._keeps_sound and self._paused_ms is None

    def _ms(self, at_s: float) -> float:
        return round((at_s - self._started_s) * 1000, 1)

    def _note_sound(self, side: str, position: int, at_ms: float, **fields: Any) -> None:
        form = self._formats[side]
        self._spooled.note(
            "sound",
            side=side,
            at=position,
            at_ms=at_ms,
            encoding=form.encoding,
            rate_hz=form.rate_hz,
            **fields,
        )

    def _take_formats(self, session: Json) -> None:
        audio = session.get("audio") or {}
        for side, name in (("caller", "input"), ("penny", "output")):
            told = (audio.get(name) or {}).get("format") or {}
            encoding = _FORMATS.get(told.get("type", ""))
            if encoding is None:
                continue
            rate_hz = 8000 if encoding != "pcm16" else int(told.get("rate") or PCM24K.rate_hz)
            form = AudioFormat(encoding, rate_hz)  # type: ignore[arg-type]  # one of its names
            if form != self._formats[side]:
                self._formats[side] = form
                self._caller_until_ms = float("-inf")
                self._item_id = ""

    def _was_paused(self, turn: TurnRecord) -> bool:
        until_ms = turn.finished_ms or turn.last_ms
        pauses = list(self._pauses)
        if self._paused_ms is not None:
            pauses.append((self._paused_ms, float("inf")))
        return any(from_ms <= until_ms and turn.from_ms <= to_ms for from_ms, to_ms in pauses)
