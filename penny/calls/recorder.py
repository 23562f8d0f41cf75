"""The observer that keeps a call: its sound as it passes, its turns as they finish."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from penny.audio.format import PCM24K, AudioFormat
from penny.calls.masking import mask_dialogue, mask_digits, mask_text, without_words
from penny.calls.notice import Consent
from penny.calls.record import KEY, Alert, Stopped, keep_turn
from penny.calls.spool import SpooledCall
from penny.session.observers import MODE_CHANGED
from penny.session.turn_record import TurnReader, TurnRecord


Json = dict[str, Any]

DRIFT_MS = 200.0
"""Audio that arrives so much later than what came before lets on begins a new stretch: the caller
was muted or away, or the network stood still. Less is its jitter."""
AHEAD_MS = 40.0
"""Audio cannot have been spoken after it arrived. What a network held back comes all at once: its
stretch began earlier. A client whose clock runs fast begins a new one, at most once a minute."""
SETTLED_MS = 60_000.0
TOOL_CALL = "penny.tool_call"
"""An action of the call: one whose result has a ``tracking_key`` opened a claim."""
RECORDING = "penny.recording"
"""An action of the call: ``paused``, and ``withdrawn`` where it is for good."""
_HEARD = (
    "conversation.item.input_audio_transcription.completed",
    "penny.transcript",
    "penny.transcription_usage",
)
_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}


class Stretch(NamedTuple):
    """Audio of the caller without a gap: where in the file and on the call's line it begins, and
    where what came before it ends."""

    at_bytes: int = 0
    starts_ms: float = 0.0
    before_ms: float = 0.0

    @property
    def room_ms(self) -> float:
        """How much earlier it may lie."""
        return self.starts_ms - self.before_ms


class CallRecorder(TurnReader):
    """Keeps one call in the spool. One of these is both an observer and a reader of turns.

    Args:
        started_s: when the session began, on the loop's clock.
        consent: whether the sound may be kept, or the record alone.
        totals: the session's, complete when it has ended.
        wall_clock: Unix time in seconds.
        on_ended: called once, last.
    """

    listens_to: tuple[str, ...] = (
        "session.updated",
        "penny.session",
        "penny.speaker",
        MODE_CHANGED,
        RECORDING,
        TOOL_CALL,
    )
    """And the pieces of audio, a hundred a second, where sound may be kept."""

    def __init__(
        self,
        spooled: SpooledCall,
        header: Json,
        started_s: float,
        totals: Json,
        wall_clock: Callable[[], float],
        *,
        consent: Consent,
        on_ended: Callable[[], object],
    ) -> None:
        self._spooled = spooled
        self._started_s = started_s
        self._totals = totals
        self._wall_clock = wall_clock
        self.consent = consent
        if consent.policy != "off":
            self.listens_to += ("input_audio_buffer.append", "response.output_audio.delta")
        if consent.policy == "ask":
            self.listens_to += (*_HEARD, KEY, "conversation.item.create")
        self._keeps = False
        self._on_ended = on_ended
        self._alerts = 0
        self._has_ended = False
        self.on_alert: Callable[[Alert, int], object] = lambda _alert, _number: None
        """Told at once of each alert, and which of the call's it is, from 0."""
        self._formats = {"caller": PCM24K, "penny": PCM24K}
        self._caller_until_ms = float("-inf")
        self._stretch = Stretch()
        self._floor_ms = 0.0  # no sound of before is kept
        self._stream_ms = 0.0
        self._item_id = ""
        self._pauses: list[tuple[float, float]] = []
        self._paused_ms: float | None = None
        started_at = datetime.fromtimestamp(wall_clock(), UTC).isoformat()
        self.header = {**header, "started_at": started_at}
        """Of the call, as it is kept (``record.Call``), with the ``mode`` it began in."""
        spooled.note("call", at_ms=0.0, call=self.header)
        self._set_keeps(consent.keeps_sound, 0.0)

    # -- pausing ------------------------------------------------------------------------------

    def pause(self, at_s: float) -> None:
        """Keep no sound until ``resume``, and no digit of what is said meanwhile. Idempotent."""
        if self._paused_ms is None:
            self._paused_ms = self._ms(at_s)
            self._set_keeps(False, self._paused_ms, "pause")
            self._spooled.note("paused", at_ms=self._paused_ms)

    @property
    def has_paused(self) -> bool:
        """Whether something was said in this call while nothing of it was to be kept."""
        return bool(self._pauses) or self._paused_ms is not None

    def resume(self, at_s: float) -> None:
        """Keep again. Idempotent."""
        if self._paused_ms is not None:
            self._pauses.append((self._paused_ms, self._ms(at_s)))
            self._paused_ms = None
            self._spooled.note("resumed", at_ms=self._ms(at_s))
        self._keep_sound(at_s)

    def withdraw(self, at_s: float) -> None:
        """The caller agrees no more: keep neither sound nor words from now on. Idempotent."""
        if not self.consent.is_withdrawn:
            self.consent.is_withdrawn = True
            self._spooled.note("consent", at_ms=self._ms(at_s), answer="withdrawn")
            self._set_keeps(False, self._ms(at_s), "withdrawn")

    def link(self, **links: Any) -> None:
        """Note ``parent``, ``pbx_recording`` or ``contact`` of the call (``record.Call``)."""
        self.header.update(links)
        self._spooled.note("links", links=links)

    def note_mood(self, mood: Json, at_s: float) -> None:
        """Keep how the caller's mood went until now; the last one counts, and none that is told
        after the call ended."""
        if not self._has_ended:
            self._spooled.note("mood", at_ms=self._ms(at_s), mood=mood)

    def raise_alert(self, alert: Alert, at_s: float) -> None:
        """Keep an alert of this call in its record, and tell it at once.

        The ``reason`` loses what may not be kept: all of it without consent, its numbers where the
        recording was paused, and else cards and codes.
        """
        if self._has_ended:
            return  # an analysis of the record finds it again
        reason = alert.reason if self.consent.keeps_words else None
        if reason:
            reason = (mask_text if self.has_paused else mask_dialogue)(reason)
        alert = alert.model_copy(update={"at_ms": self._ms(at_s), "reason": reason})
        self._spooled.note("alert", at_ms=alert.at_ms, alert=alert.model_dump(mode="json"))
        number, self._alerts = self._alerts, self._alerts + 1
        self.on_alert(alert, number)

    # -- events -------------------------------------------------------------------------------

    def caller_event(self, event: Json, at_s: float) -> None:
        if event["type"] != "input_audio_buffer.append":
            self._typed(event.get("item"), at_s)
            return
        audio = event["audio"]
        length_ms = self._formats["caller"].ms_of_base64(audio)
        if self._keeps:
            self._place(self._spooled.add("caller", audio), length_ms, at_s)
        self._stream_ms += length_ms

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind = event["type"]
        if kind == "response.output_audio.delta":
            if not self._keeps and self.consent.policy == "announce":
                self.consent.speaks()
                self._keep_sound(at_s)
            if self._keeps:
                position = self._spooled.add("penny", event["delta"])
                if event["item_id"] != self._item_id:
                    self._item_id = event["item_id"]
                    self._note_sound("penny", position, self._ms(at_s), item_id=self._item_id)
        elif kind in ("session.updated", "penny.session"):
            self._take_formats(event["session"])
        elif kind == RECORDING:
            if event.get("withdrawn"):
                self.withdraw(at_s)
            else:
                (self.pause if event["paused"] else self.resume)(at_s)
        elif kind == TOOL_CALL:
            if key := (event.get("result") or {}).get("tracking_key"):
                claim = {"key": str(key), "action": str(event.get("name") or "")}
                self._spooled.note("claim", at_ms=self._ms(at_s), claim=claim)
        elif kind == MODE_CHANGED:
            self._spooled.note("mode", at_ms=self._ms(at_s), mode=event["mode"])
        elif kind == KEY:
            self._answered(self.consent.press(str(event.get("event"))), str(event["event"]), at_s)
        else:
            words = str(event.get("transcript") or event.get("text") or "")
            self._answered(self.consent.hear(event.get("item_id", ""), words), words, at_s)

    def ended(self, reason: str, at_s: float) -> None:
        """Added after those who write the totals, and after the recorder of turns."""
        ended_at = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat()
        self._has_ended = True
        self._spooled.end(
            at_ms=self._ms(at_s), reason=reason, ended_at=ended_at, totals=dict(self._totals)
        )
        self._on_ended()

    def turn_finished(self, turn: TurnRecord) -> None:
        kept = keep_turn(turn)
        if turn.number == 0 and self.consent.policy in ("announce", "ask"):
            self._spooled.note("announced", at_ms=kept.from_ms, heard=kept.heard_text)
        if not self.consent.allows_words:
            kept = without_words(kept)
        elif self._was_paused(turn):
            kept = mask_digits(kept)
        self._spooled.note("turn", at_ms=kept.finished_ms, turn=kept.model_dump(mode="json"))

    # -- inside -------------------------------------------------------------------------------

    def _keep_sound(self, at_s: float) -> None:
        """Begin a new stretch of both sides, where sound may be kept now."""
        keeps = self._paused_ms is None and self.consent.keeps_sound
        self._set_keeps(keeps, self._ms(at_s))
        self._caller_until_ms = float("-inf")
        self._floor_ms = self._ms(at_s)
        self._item_id = ""

    def _set_keeps(self, keeps: bool, at_ms: float, stopped: Stopped = "end") -> None:
        if keeps != self._keeps:
            self._keeps = keeps
            self._spooled.note("keeps", at_ms=at_ms, on=keeps, stopped=stopped)

    def _place(self, position: int, length_ms: float, at_s: float) -> None:
        """Lay the caller's newest audio on the call's line, where it ends no later than now."""
        at_ms = (at_s - self._started_s) * 1000
        late_ms = at_ms - length_ms - self._caller_until_ms
        stretch = self._stretch
        is_fast = AHEAD_MS < -late_ms <= DRIFT_MS and at_ms - stretch.starts_ms > SETTLED_MS
        if late_ms > DRIFT_MS or is_fast:
            before_ms = max(self._floor_ms, self._caller_until_ms)
            starts_ms = self._caller_until_ms = max(0.0, at_ms - length_ms)
            self._stretch = Stretch(position, starts_ms, before_ms)
            stream_ms = round(self._stream_ms, 1)
            self._note_sound("caller", position, round(starts_ms, 1), stream_ms=stream_ms)
        elif -late_ms > AHEAD_MS and stretch.room_ms > 0:
            earlier_ms = min(-late_ms, stretch.room_ms)
            self._stretch = Stretch(
                stretch.at_bytes, stretch.starts_ms - earlier_ms, stretch.before_ms
            )
            self._caller_until_ms -= earlier_ms
            starts_ms = round(self._stretch.starts_ms, 1)
            self._spooled.note("moved", at=stretch.at_bytes, at_ms=starts_ms)
        self._caller_until_ms += length_ms

    def _typed(self, item: Any, at_s: float) -> None:
        if isinstance(item, dict) and item.get("role") == "user":
            parts = (part.get("text") for part in item.get("content") or ())
            words = " ".join(part for part in parts if part)
            self._answered(self.consent.hear(item.get("id") or words, words), words, at_s)

    def _answered(self, is_answer: bool, said: str, at_s: float) -> None:
        if is_answer:
            fields = {"answer": self.consent.answer, "said": said}
            self._spooled.note("consent", at_ms=self._ms(at_s), **fields)
            self._keep_sound(at_s)

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
                self._floor_ms = max(self._floor_ms, self._caller_until_ms)
                self._caller_until_ms = float("-inf")
                self._item_id = ""

    def _was_paused(self, turn: TurnRecord) -> bool:
        until_ms = turn.finished_ms or turn.last_ms
        pauses = list(self._pauses)
        if self._paused_ms is not None:
            pauses.append((self._paused_ms, float("inf")))
        return any(from_ms <= until_ms and turn.from_ms <= to_ms for from_ms, to_ms in pauses)
