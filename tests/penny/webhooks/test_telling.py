"""What is told of a call: exactly one terminal event, nothing empty, no number that is not kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.webhooks import EventType
from penny.calls.record import Call
from penny.webhooks.events import MODELS, TERMINAL, Event, thin
from penny.webhooks.sample import make_sample
from penny.webhooks.telling import (
    NO_ANALYSIS,
    analysed,
    events_of,
    handed_over,
    lost,
    recording_lost,
    started,
)
from tests.penny.calls.calls import BEGAN, a_call, a_turn


pytestmark = pytest.mark.pure

HANDOFF = {
    "kind": "handoff",
    "at_ms": 3000.0,
    "fields": {"reason": "lo pide", "destination": "atencion", "summary": "Quiere pagar."},
}


def kinds(told: list[Event]) -> list[str]:
    return [event.type for event in told]


@given(
    st.sampled_from(["completed", "interrupted", "failed"]),
    st.sampled_from(["off", "ask", "announce", "on"]),
    st.sampled_from(["stored", "absent"]),
    st.booleans(),
    st.sampled_from(["", "client", "busy", "missed", "handoff"]),
    st.sampled_from(["socket", "realtime", "webrtc", "phone"]),
)
def test_every_way_a_call_ends_has_one_terminal_event(
    status: Any, policy: str, sound: str, is_transferred: bool, reason: str, edge: str
) -> None:
    turn = a_turn(marks=[HANDOFF] if is_transferred else [])
    call = a_call(
        status=status,
        consent={"policy": policy},
        sound={"state": sound},
        end_reason=reason,
        edge=edge,
        turns=[turn],
    )
    told = events_of(call)
    (terminal,) = [event for event in told if event.type in TERMINAL]
    assert terminal.type == ("call.ended" if status == "completed" else "call.failed")
    assert kinds(told)[-1] == "analysis.completed"
    assert told[-1].data["status"] == "skipped"
    assert told[-1].data["reason"] == NO_ANALYSIS
    assert len({event.id for event in told}) == len(told)
    sequence = [event.data["call_sequence"] for event in told]
    assert sorted(sequence) == sequence
    assert ("call.started" in kinds(told)) == (status != "failed")
    assert ("handoff.requested" in kinds(told)) == is_transferred
    for event in told:
        MODELS[event.type].model_validate(event.data)
        assert_nothing_is_empty(event.data)


def assert_nothing_is_empty(data: dict[str, Any]) -> None:
    for name, value in data.items():
        assert value != "", name
        if value is None:
            assert data["missing"].get(name), name


def test_what_is_told_at_once_is_the_event_that_is_told_with_the_record() -> None:
    call = a_call(turns=[a_turn(marks=[HANDOFF])])
    begun = call.model_copy(update={"turns": [], "ended_at": call.started_at})
    live = handed_over(begun, HANDOFF["fields"], 3000.0, 0, keeps_words=True)  # type: ignore[arg-type]
    later = {event.type: event for event in events_of(call)}
    assert later["call.started"].model_dump() == started(begun).model_dump()
    assert later["handoff.requested"].model_dump() == live.model_dump()


def test_a_call_that_is_lost_has_the_id_of_its_terminal_event() -> None:
    call = a_call()
    end = lost(started(call), BEGAN + timedelta(hours=3))
    (terminal,) = [event for event in events_of(call) if event.type in TERMINAL]
    assert (end.id, end.type) == (terminal.id, "call.failed")
    assert end.data["end_reason"] == "lost"


def test_a_card_is_not_told_even_where_a_summary_repeats_it() -> None:
    fields = {"reason": None, "summary": "Su tarjeta es 4111 1111 1111 1111.", "destination": "x"}
    told = handed_over(a_call(), fields, 1.0, 0, keeps_words=True)
    assert "4111" not in str(told.data)
    silent = handed_over(a_call(), fields, 1.0, 0, keeps_words=False)
    assert silent.data["summary"] is None
    assert "agree" in silent.data["missing"]["summary"]


def test_a_summary_has_no_number_where_some_were_not_to_be_kept() -> None:
    said = "La tarjeta acaba en 4242, caduca 11/28, 123."
    mark = {**HANDOFF, "fields": {"reason": said, "summary": said, "destination": "cola-1"}}
    masked = a_call(turns=[a_turn(is_masked=True), a_turn(number=2, marks=[mark])])
    (told,) = [event for event in events_of(masked) if event.type == "handoff.requested"]
    live = handed_over(masked, mark["fields"], 1.0, 0, keeps_words=True, hides_numbers=True)
    for event in (told, live):
        assert not any(
            digit in f"{event.data['reason']}{event.data['summary']}" for digit in "0123"
        )
        assert event.data["destination"] == "cola-1"


def test_the_recording_says_what_became_of_it() -> None:
    def status_of(call: Call) -> list[tuple[str, str | None]]:
        told = [event.data for event in events_of(call) if event.type == "recording.ready"]
        return [(data["status"], data["reason"]) for data in told]

    stored = {"state": "stored", "bytes": 10, "duration_ms": 5, "sha256": "ab"}
    assert status_of(a_call(sound=stored, consent={"policy": "on"})) == [("ready", None)]
    assert status_of(a_call(consent={"policy": "off"})) == []
    ((refused, why),) = status_of(
        a_call(consent={"policy": "ask", "told": [{"answer": "no", "said": "no"}]})
    )
    assert refused == "absent"
    assert why is not None
    gone = recording_lost(a_call(sound={**stored, "state": "lost"}))
    assert (gone.data["status"], gone.data["path"]) == ("failed", None)


def test_an_analysis_tells_its_alerts() -> None:
    derived = {"alerts": [{"kind": "intent", "turns": [1], "reason": "quiere irse"}]}
    told = events_of(a_call(derived=derived, processed=True))
    assert kinds(told)[-2:] == ["alert.raised", "analysis.completed"]
    assert told[-1].data["status"] == "completed"
    assert told[-1].data["derived"] == derived


@pytest.mark.parametrize("state", ["completed", "skipped", "failed"])
def test_an_analysis_that_is_awaited_is_told_when_it_is_over(state: str) -> None:
    call = a_call()
    before = events_of(call, awaits_analysis=True)
    assert "analysis.completed" not in kinds(before)
    reason = None if state == "completed" else "too short"
    call = a_call(derived={"state": state, "reason": reason}, processed=True)
    (done,) = analysed(call)
    assert (done.data["status"], done.data["reason"]) == (state, reason)
    assert done.id == events_of(call)[-1].id


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_thin_payload_names_nobody(kind: EventType) -> None:
    event = make_sample(kind, datetime(2026, 11, 30, tzinfo=UTC))
    kept = thin(kind, event.data)
    for said in ("600000000", "factura", "quince", "hablar con", "enfado", "Pregunta."):
        assert said not in str(kept)
    if kind != "endpoint.disabled":
        assert kept["call_id"] == event.call_id


def test_private_is_what_was_private_at_any_time() -> None:
    for modes in (["SELF_HOSTED"], ["EXTERNAL", "SELF_HOSTED"], ["SELF_HOSTED", "EXTERNAL"]):
        assert all(event.is_private for event in events_of(a_call(modes=modes)))
    assert not any(event.is_private for event in events_of(a_call(modes=["EXTERNAL"])))


def test_what_is_empty_inside_a_field_is_null_and_its_place_is_named() -> None:
    person = {"id": "p1", "name": "Ana", "company": ""}
    begun = started(a_call(contact={"status": "found", "company_id": "", "people": [person]}))
    assert begun.data["contact"]["people"] == [{**person, "company": None}]
    places = {"contact.company_id", "contact.people.0.company"}
    assert places <= set(begun.data["missing"])
    assert not places & set(thin("call.started", begun.data)["missing"])
    ended = lost(begun, begun.at)
    assert not places & set(ended.data["missing"])
