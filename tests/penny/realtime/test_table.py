"""The lifecycle tables are whole: every pair has an answer, every state can be reached."""

from __future__ import annotations

import pytest

from penny.realtime.table import (
    INPUT_BUFFER,
    ITEM,
    RESPONSE,
    SESSION,
    Table,
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
def test_every_event_leads_to_a_state_of_the_table(name: str) -> None:
    table = TABLES[name]
    for state, row in table.rows.items():
        for event, following in row.items():
            assert following in table.rows, f"{name}: {state} x {event}"


@pytest.mark.parametrize("name", TABLES)
def test_every_state_can_be_reached(name: str) -> None:
    table: Table = TABLES[name]
    reached, grown = set(FIRST[name]), True
    while grown:
        after = {following for state in reached for following in table.rows[state].values()}
        grown = not after <= reached
        reached |= after
    assert reached == table.rows.keys()


def test_an_ended_response_takes_nothing_any_more() -> None:
    for state in ("completed", "incomplete", "cancelled", "failed"):
        assert not any(RESPONSE.advance(state, event) for event in RESPONSE.events)


def test_a_pair_outside_the_table_is_a_bug_and_not_a_silence() -> None:
    with pytest.raises(KeyError):
        RESPONSE.advance("created", "explode")
