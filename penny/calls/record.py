"""What is kept of a call: the record with its turns, as it is written, stored and shown.

Raw and derived stand apart: a later analysis replaces ``derived`` of a call or a turn and nothing
else. Moments inside a call are ms since it began; moments of the calendar are UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import fmean
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from penny.calls.parts import STAGES, stage_ms
from penny.session.turn_record import TurnRecord


Json = dict[str, Any]

KEY = "input_audio_buffer.dtmf_event_received"
"""A key of the telephone: ``event`` is its sign."""

Status = Literal["completed", "interrupted", "failed"]
"""``interrupted``: the gateway ended before the call did; what was finished by then is kept.
``failed``: the call never connected; ``end_reason`` says why."""


class _Kept(BaseModel):
    """Base of what is kept: fields of a later version are passed over."""

    model_config = ConfigDict(extra="ignore")


class Heard(_Kept):
    """One spoken item of an answer: where its sound lies on the call's line."""

    item_id: str
    starts_ms: float | None = None
    audio_ms: float = 0.0
    heard_ms: float = 0.0
    text: str = ""
    heard_text: str = ""
    is_masked: bool = False


class TimedWord(_Kept):
    """A word as recognised. Times are of the call's line; None where the engine tells none, as
    ``confidence`` (0..1) is."""

    text: str
    start_ms: int | None = None
    end_ms: int | None = None
    confidence: float | None = None


class Turn(_Kept):
    """One turn: what the caller said, what was answered, what of the answer was heard.

    ``number`` is 0 for what was said before the caller's first turn; ``latency_ms`` counts from
    the end of the caller's speech, by stage (``penny.session.turn_record.STAGES``).
    """

    number: int
    from_ms: float
    until_ms: float
    finished_ms: float
    stream_ms: tuple[float, float] | None = None
    """From when to when it was spoken, on the line of the caller's audio alone; None where only the
    client knows."""
    input: Literal["speech", "text"] = "speech"
    words: str | None = None
    confidence: float | None = None
    timed_words: list[TimedWord] = Field(default_factory=list)
    is_understood: bool | None = None
    language: str = ""
    text: str = ""
    heard_text: str = ""
    is_interrupted: bool = False
    cut_ms: float | None = None
    status: str = ""
    models: list[str] = Field(default_factory=list)
    latency_ms: dict[str, int | None] = Field(default_factory=dict)
    items: list[Heard] = Field(default_factory=list)
    marks: list[Json] = Field(default_factory=list)
    """Actions, folios, corrections, changes of mode, keys pressed (``KEY``), and what the brain
    notes of its own work (kind ``note``): ``kind``, ``at_ms``, ``fields``."""
    is_masked: bool = False
    """Its numbers were taken out, and its sound is silence."""
    derived: Json = Field(default_factory=dict)


Stopped = Literal["pause", "withdrawn", "transfer", "end", "fault"]


class Recorded(_Kept):
    """A stretch of the call in which its sound was kept, and what ended it: a pause, the caller's
    no, a person who took over, the end of the call, or a fault that ended it."""

    from_ms: float
    until_ms: float
    stopped: Stopped


class Claim(_Kept):
    """A query or claim of the caller's, by the key that they were told."""

    key: str
    at_ms: float
    action: str = ""


class Exposure(_Kept):
    """A call's part in an experiment: which arm of which phase, and the hash of what the arm is
    fixed by (the caller, or the call)."""

    arm: str
    phase: str
    unit: str
    kept: bool = False
    """The arm is that of an earlier phase."""


class Alert(_Kept):
    """Something of a call that a person should see, raised while it was live (``at_ms``, since it
    began) or by an analysis of its record. ``turns`` are those it rests on."""

    kind: Literal["sentiment", "intent", "compliance"]
    at_ms: float | None = None
    turns: list[int] = Field(default_factory=list)
    score: float | None = None
    reason: str | None = None


class Links(BaseModel):
    """What a call belongs to: the call that it is a leg of, and a telephone system's recording."""

    model_config = ConfigDict(extra="forbid")

    parent: str | None = Field(None, max_length=64)
    pbx_recording: str | None = Field(None, max_length=256)


class RecordingWish(BaseModel):
    """What is to become of a live call's recording; ``withdrawn``: the caller agrees no more."""

    model_config = ConfigDict(extra="forbid")

    paused: StrictBool = False
    withdrawn: StrictBool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError('send {"paused": true} or false, or {"withdrawn": true}')
        return self


class Metrics(_Kept):
    """The metrics of a call by the names the user's documents give them.

    What only a later analysis knows (sentiment, outcome, topics, quality) is None until then.
    """

    conversation_id: str
    duration_seconds: float
    total_turns: int
    avg_stt_latency_ms: float | None
    avg_llm_latency_ms: float | None
    avg_tts_latency_ms: float | None
    total_latency_ms: float | None
    interruptions_count: int
    sentiment_trend: list[float] | None = None
    final_sentiment: str | None = None
    outcome: str | None = None
    topics: list[str] | None = None
    quality_score: float | None = None


class Call(_Kept):
    """One call. ``caller`` and ``callee`` are numbers or names that the edge knows, or ''."""

    id: str
    tenant: str
    key_id: str = ""
    direction: Literal["inbound", "outbound"] = "inbound"
    edge: str
    modes: list[str]
    caller: str = ""
    user_id: str = ""
    """The application's own name for the caller."""
    callee: str = ""
    caller_e164: str = ""
    callee_e164: str = ""
    """Both as the line sent them, read by the line's country; '' where one is no number."""
    attempt: int = 1
    """Which attempt to reach the same person this was."""
    is_last_attempt: bool = True
    parent: str = ""
    """The id of the call that this one is a leg of."""
    is_test: bool = False
    """Made to try something out (``test: true`` in the session's context): no figure has it."""
    experiments: dict[str, Exposure] = Field(default_factory=dict)
    """Those that it took part in, by name: written when the arm took effect."""
    contact: Json = Field(default_factory=dict)
    """What a CRM knew of the caller when the call began: ``status`` (found, several, unknown),
    ``people``, ``company_id``, ``matters``, ``took_ms``; {} where it was not asked in time."""
    claims: list[Claim] = Field(default_factory=list)
    """Queries and claims that were opened in it."""
    pbx_recording: str = ""
    """The id under which a telephone system keeps a recording of its own."""
    language: str = ""
    started_at: datetime
    ended_at: datetime
    end_reason: str = ""
    status: Status = "completed"
    models: list[str] = Field(default_factory=list)
    versions: Json = Field(default_factory=dict)
    cost: Json = Field(default_factory=dict)
    consent: Json = Field(default_factory=dict)
    """How it came to be kept: ``policy`` of the sound, whether ``text``, and ``told``: when, what
    of the announcement was heard, and the caller's ``answer`` in their words (``said``);
    ``withdrawn``: from then on neither sound nor words are kept."""
    processed: bool = False
    processing_mode: Literal["online", "offline"] = "online"
    sound: Json = Field(default_factory=lambda: {"state": "absent"})
    """``state``: absent, stored, deleted, or lost (its file is not where it was put)."""
    recorded: list[Recorded] = Field(default_factory=list)
    """When its sound was kept, in order."""
    turns: list[Turn] = Field(default_factory=list)
    metrics: Json = Field(default_factory=dict)
    derived: Json = Field(default_factory=dict)
    held: bool = False
    deleted_at: datetime | None = None


def keep_turn(turn: TurnRecord) -> Turn:
    """What is kept of a finished turn."""
    return Turn(
        number=turn.number,
        from_ms=round(turn.from_ms, 1),
        until_ms=round(turn.until_ms, 1),
        finished_ms=round(turn.finished_ms or turn.last_ms, 1),
        stream_ms=turn.stream_ms,
        input=turn.input,
        words=turn.words,
        confidence=turn.confidence,
        timed_words=[TimedWord.model_validate(word) for word in turn.timed_words],
        is_understood=turn.is_understood,
        language=turn.language,
        text=turn.text,
        heard_text=turn.heard_text,
        is_interrupted=turn.is_interrupted,
        cut_ms=turn.cut_ms,
        status=turn.status,
        models=sorted({answer.model for answer in turn.answers if answer.model}),
        latency_ms=turn.latency_ms(),
        items=[
            Heard(
                item_id=item.item_id,
                starts_ms=item.starts_ms,
                audio_ms=item.audio_ms,
                heard_ms=item.audio_ms if item.heard_ms is None else item.heard_ms,
                text=item.text,
                heard_text=item.heard_text,
            )
            for item in turn.items
        ],
        marks=[
            {"kind": mark.kind, "at_ms": round(mark.at_ms, 1), "fields": mark.fields}
            for mark in turn.marks
        ],
    )


def measure(call: Call) -> Json:
    """The ``Metrics`` of a call, as JSON."""
    spoken = [turn for turn in call.turns if turn.number > 0]
    took: dict[str, list[int]] = {stage: [] for stage in STAGES}
    for turn in spoken:
        for stage, ms in stage_ms(turn.latency_ms).items():
            took[stage].append(ms)
    metrics = Metrics(
        conversation_id=call.id,
        duration_seconds=round((call.ended_at - call.started_at).total_seconds(), 3),
        total_turns=len({turn.number for turn in spoken}),
        avg_stt_latency_ms=_mean(took["stt"]),
        avg_llm_latency_ms=_mean(took["llm"]),
        avg_tts_latency_ms=_mean(took["tts"]),
        total_latency_ms=_mean(took["total"]),
        interruptions_count=sum(turn.is_interrupted for turn in call.turns),
    )
    return metrics.model_dump(mode="json")


def _mean(values: Sequence[float]) -> float | None:
    return round(fmean(values), 1) if values else None
