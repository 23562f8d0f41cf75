"""The lifecycle tables are whole: every pair has an answer, every state can be reached."""

from __future__ import annotations

import pytest

from penny.realtime.table import (
    INPUT_BUFFER,
    ITEM,
    REFUSED,
    RESPONSE,
    SESSION,
    Table,
    advance,
)


pytestmark = pytest.mark.pure


TABLES = {"session": SESSION, "response": RESPONSE, "item": ITEM, "input_buffer": INPUT_BUFFER}
FIRST = {
    "session": {"new"},
    "response": {"created"},
    "item": {"in_progress", "completed"},
    "input_buffer": {"empty"},
}


@pytest.mark.parametrize("name", TABLES)
def test_every_pair_of_state_and_event_is_in_the_table(name: str) -> None:
    table = TABLES[name]
    events = {event for row in table.values() for event in row}
    for state, row in table.items():
        assert row.keys() == events, f"{name}: {state} lacks {events - row.keys()}"
        for event, following in row.items():
            assert following is REFUSED or following in table, f"{name}: {state} x {event}"


@pytest.mark.parametrize("name", TABLES)
def test_every_state_can_be_reached(name: str) -> None:
    table: Table = TABLES[name]
    reached, grown = set(FIRST[name]), True
    while grown:
        after = {following for state in reached for following in table[state].values() if following}
        grown = not after <= reached
        reached |= after
    assert reached == table.keys()


def test_an_ended_response_takes_nothing_any_more() -> None:
    for state in ("completed", "incomplete", "cancelled", "failed"):
        assert set(RESPONSE[state].values()) == {REFUSED}


def test_a_pair_outside_the_table_is_a_bug_and_not_a_silence() -> None:
    with pytest.raises(KeyError):
        advance(RESPONSE, "created", "explode")
