"""What is told of a call, from its record or from its header while it is live. Pure.

Ids follow from the call alone, so that what is told at once and told again with the record is one
event, and a call has one terminal event however often it is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from penny.calls.masking import mask_dialogue, mask_text
from penny.calls.record import Alert, Call, Turn
from penny.webhooks.events import (
    AlertRaised,
    AnalysisCompleted,
    CallEnded,
    CallFailed,
    CallStarted,
    Event,
    HandoffRequested,
    RecordingReady,
    Told,
    TurnCompleted,
    make_id,
    tell,
)


Json = dict[str, Any]

END = "terminal"
"""Of the id of a terminal event, whichever it is."""
NO_ANALYSIS = "no analysis of calls is set up"
NO_CONSENT = "the caller did not agree to be kept"
_AFTER = {END: 1, "recording.ready": 2, "analysis.completed": 3}
"""Places of what is told when a call is over, after all that happened in it."""


def started(call: Call) -> Event:
    """That a call began to talk."""
    return _event(
        call,
        CallStarted,
        at=call.started_at,
        sequence=0,
        state="live",
        reasons={"contact": "no CRM told it in time"},
        contact=call.contact or None,
    )


def handed_over(
    call: Call,
    fields: Json,
    at_ms: float,
    number: int,
    *,
    keeps_words: bool,
    hides_numbers: bool = False,
) -> Event:
    """That a caller was promised a person, for the n-th time in this call.

    Args:
        fields: of ``penny.handoff``.
        keeps_words: whether what was said may be told.
        hides_numbers: every number, for some were said that may not be kept: a summary has words
            of all turns.
    """
    said: Json = {name: _plain(fields.get(name)) for name in ("reason", "summary")}
    if hides_numbers:
        said = {name: text and mask_text(text) for name, text in said.items()}
    if not keeps_words:
        said = dict.fromkeys(said, None)
    return _event(
        call,
        HandoffRequested,
        at=call.started_at + timedelta(milliseconds=at_ms),
        sequence=round(at_ms),
        state="live",
        number=number,
        reasons={} if keeps_words else dict.fromkeys(said, NO_CONSENT),
        destination=fields.get("destination"),
        **said,
    )


def alerted(call: Call, alert: Alert, number: int) -> Event:
    """The n-th alert of a call; one that has ``at_ms`` was raised while it was live."""
    live: Json = {}
    if alert.at_ms is not None:
        at = call.started_at + timedelta(milliseconds=alert.at_ms)
        live = {"at": at, "sequence": round(alert.at_ms), "state": "live"}
    return _event(
        call,
        AlertRaised,
        number=number,
        kind=alert.kind,
        turns=alert.turns,
        score=alert.score,
        reason=_plain(alert.reason),
        **live,
    )


def turn_completed(call: Call, turn: Turn) -> Event:
    """That a turn is over, with what of it may be kept."""
    return _event(
        call,
        TurnCompleted,
        at=call.started_at + timedelta(milliseconds=turn.finished_ms),
        sequence=round(turn.finished_ms),
        state="live",
        number=turn.number,
        turn=turn.number,
        finished_ms=turn.finished_ms,
        is_interrupted=turn.is_interrupted,
        is_masked=turn.is_masked,
        latency_ms=turn.latency_ms,
        words=turn.words,
        heard_text=turn.heard_text,
    )


def events_of(call: Call, *, awaits_analysis: bool = False) -> list[Event]:
    """All that is told of a call whose record is kept, in order.

    Args:
        awaits_analysis: ``analysed`` is told later.
    """
    return [
        *([started(call)] if call.status != "failed" else []),
        *_turns(call),
        _terminal(call),
        *_recording(call),
        *(_alerts(call) if awaits_analysis else analysed(call)),
    ]


def analysed(call: Call) -> list[Event]:
    """What became of a call's analysis, after the alerts that were raised.

    Of a processed call ``derived`` may say so: ``state`` (completed, skipped, failed), ``reason``.
    """
    state = call.derived.get("state", "completed") if call.processed else "skipped"
    reason = call.derived.get("reason") if call.processed else NO_ANALYSIS
    reasons = {"reason": "nothing is wrong"} if state == "completed" else {}
    found = call.derived if call.processed else None
    done = _event(
        call, AnalysisCompleted, reasons=reasons, status=state, reason=reason, derived=found
    )
    return [*_alerts(call), done]


def recording_lost(call: Call) -> Event:
    """That the sound of a call is not where it was put."""
    return _recording_event(call, "failed", "its file is lost", number=1)


def lost(begun: Event, at: datetime) -> Event:
    """The terminal event of a call of which nothing came after its beginning."""
    told = {**begun.data, "state": "failed", "call_sequence": begun.data["call_sequence"] + 1}
    told.pop("contact", None)  # of the beginning alone
    missing = told["missing"].items()
    told["missing"] = {k: v for k, v in missing if k.split(".")[0] != "contact"}
    model = CallFailed.model_validate(
        {**told, "ended_at": at, "duration_ms": 0, "end_reason": "lost"}
    )
    model.missing["metrics"] = "no record of the call came"
    kept = {"type": CallFailed.type, "at": at, "data": model.model_dump(mode="json")}
    return begun.model_copy(update={"id": make_id(begun.call_id, END), **kept})


def _turns(call: Call) -> Iterator[Event]:
    handoffs, hides = 0, any(turn.is_masked for turn in call.turns)
    for turn in call.turns:
        for mark in turn.marks:
            if mark["kind"] == "handoff":
                keeps = bool(mark["fields"])
                yield handed_over(
                    call,
                    mark["fields"],
                    mark["at_ms"],
                    handoffs,
                    keeps_words=keeps,
                    hides_numbers=hides,
                )
                handoffs += 1
        if turn.number > 0:
            yield turn_completed(call, turn)


def _terminal(call: Call) -> Event:
    is_cut = call.status == "interrupted"
    failed = is_cut or call.status == "failed"
    return _event(
        call,
        CallFailed if failed else CallEnded,
        what=END,
        ended_at=call.ended_at,
        duration_ms=round((call.ended_at - call.started_at).total_seconds() * 1000),
        end_reason="interrupted" if is_cut else call.end_reason,
        turns=call.metrics.get("total_turns", 0),
        interruptions=call.metrics.get("interruptions_count", 0),
        cost_usd=call.cost.get("total_usd"),
        outcome=call.metrics.get("outcome"),
        claims=[claim.key for claim in call.claims],
        metrics=call.metrics,
    )


def _recording(call: Call) -> Iterator[Event]:
    """Nothing where nothing was to be recorded."""
    policy = call.consent.get("policy", "off")
    if call.sound["state"] == "stored":
        yield _recording_event(call, "ready", None)
    elif policy != "off" and call.status != "failed":
        answer = next((a.get("answer") for a in call.consent.get("told", ()) if "answer" in a), "")
        refused = policy == "ask" and answer != "yes"
        reason = NO_CONSENT if refused else "no sound came"
        yield _recording_event(call, "absent", reason)


def _recording_event(call: Call, status: str, reason: str | None, number: int = 0) -> Event:
    sound = call.sound if status == "ready" else {}
    facts = ("path", "duration_ms", "bytes", "sha256")
    not_there = dict.fromkeys(facts, f"the recording is {status}")
    return _event(
        call,
        RecordingReady,
        number=number,
        reasons={"reason": "nothing is wrong", **not_there},
        status=status,
        reason=reason,
        path=f"/v1/calls/{call.id}/audio" if sound else None,
        duration_ms=sound.get("duration_ms"),
        bytes=sound.get("bytes"),
        sha256=sound.get("sha256"),
    )


def _alerts(call: Call) -> Iterator[Event]:
    for number, told in enumerate(call.derived.get("alerts") or ()):
        yield alerted(call, Alert.model_validate(told), number)


def _event(
    call: Call,
    model: type[Told],
    *,
    what: str = "",
    at: datetime | None = None,
    sequence: int | None = None,
    state: str = "",
    number: int = 0,
    reasons: dict[str, str] | None = None,
    **fields: Any,
) -> Event:
    """One event of a call; without ``sequence``, of a call that is over."""
    name = what or model.type
    if sequence is None:
        length_ms = round((call.ended_at - call.started_at).total_seconds() * 1000)
        latest = max([length_ms, *(round(turn.finished_ms) for turn in call.turns)])
        sequence = latest + _AFTER.get(name, 2)
    over = "failed" if call.status in ("interrupted", "failed") else "ended"
    data = tell(
        model,
        reasons,
        call_id=call.id,
        tenant=call.tenant,
        call_sequence=sequence,
        state=state or over,
        direction=call.direction,
        edge=call.edge,
        mode=call.modes[-1],
        language=call.language,
        started_at=call.started_at,
        attempt=call.attempt,
        is_last_attempt=call.is_last_attempt,
        caller=call.caller,
        callee=call.callee,
        user_id=call.user_id,
        **fields,
    )
    return Event(
        id=make_id(call.id, name, number),
        type=model.type,
        at=at or call.ended_at,
        tenant=call.tenant,
        call_id=call.id,
        caller=call.caller,
        is_private="SELF_HOSTED" in call.modes,
        data=data,
    )


def _plain(text: object) -> str | None:
    """A text without the numbers that are never kept."""
    if not isinstance(text, str) or not text:
        return None
    return mask_dialogue(text)
