"""A folio's life, move by move, with its reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.context import SystemContext
from brain.desk import FolioDesk
from brain.folio import LIFECYCLE, Folio, LifecycleError, Move, Section


class Record:
    def __init__(self) -> None:
        self.moves: list[tuple[str, str, str]] = []
        self.desk = FolioDesk(SystemContext("Eres Penny.", "es"), self.note)

    def note(self, folio: Folio, move: Move) -> None:
        self.moves.append((folio.id, move.after, move.reason))


def folio(name: str, turn: int, section: Section = "folio") -> Folio:
    return Folio(
        id=name,
        kind="correction" if section == "correction" else "silent",
        section=section,
        turn=turn,
        based_on=f"item_{turn}",
        text=f"nota {name}",
        body={},
    )


def test_a_folio_goes_its_whole_way() -> None:
    record = Record()
    desk = record.desk
    assert desk.offer(folio("a", 1), 0.0)
    due = desk.due()
    assert due is not None
    assert desk.sent(due, "system_item", 0.1) == 1
    desk.acknowledged("a", 0.2)
    desk.response_started("resp_2", 2, 0.3)
    desk.turn_began(5, 9.0)
    assert record.moves == [
        ("a", "sent", "system_item"),
        ("a", "acknowledged", ""),
        ("a", "active", "resp_2"),
        ("a", "expired", "turns"),
    ]
    assert desk.worth.in_time == 1
    assert desk.context.get("folio") == ""


def test_an_older_turns_folio_that_comes_late_is_stale() -> None:
    record = Record()
    assert record.desk.offer(folio("new", 3), 0.0)
    assert not record.desk.offer(folio("old", 2), 0.1)
    assert record.moves == [("old", "dropped", "stale")]
    assert record.desk.worth.stale == 1


def test_a_newer_folio_supersedes_the_one_that_waits_and_the_one_in_force() -> None:
    record = Record()
    desk = record.desk
    desk.offer(folio("a", 1), 0.0)
    desk.sent(desk.due() or pytest.fail("nothing due"), "system_item", 0.0)
    desk.acknowledged("a", 0.0)
    desk.offer(folio("b", 2), 0.1)
    desk.offer(folio("c", 3), 0.2)
    assert ("b", "dropped", "superseded") in record.moves
    desk.sent(desk.due() or pytest.fail("nothing due"), "system_item", 0.3)
    desk.acknowledged("c", 0.4)
    assert record.moves[-1] == ("a", "expired", "superseded")


def test_corrections_go_first_and_do_not_supersede_folios() -> None:
    desk = Record().desk
    desk.offer(folio("a", 1), 0.0)
    desk.offer(folio("k", 1, "correction"), 0.0)
    first = desk.due()
    assert first is not None
    assert first.id == "k"
    desk.sent(first, "system_item", 0.0)
    second = desk.due()
    assert second is not None
    assert second.id == "a"


def test_a_refused_folio_is_dropped_with_its_reason() -> None:
    record = Record()
    record.desk.offer(folio("a", 1), 0.0)
    record.desk.sent(record.desk.due() or pytest.fail("nothing due"), "instructions", 0.0)
    record.desk.refused("a", 0.1)
    assert record.moves[-1] == ("a", "dropped", "refused")


def test_a_folio_that_comes_into_force_two_turns_later_counts_as_late() -> None:
    desk = Record().desk
    desk.offer(folio("a", 1), 0.0)
    desk.sent(desk.due() or pytest.fail("nothing due"), "system_item", 0.0)
    desk.acknowledged("a", 0.0)
    desk.response_started("resp", 3, 0.0)
    assert (desk.worth.in_time, desk.worth.late) == (0, 1)


def test_what_was_in_force_still_is_after_the_upstream_was_replaced() -> None:
    desk = Record().desk
    desk.offer(folio("a", 1), 0.0)
    desk.sent(desk.due() or pytest.fail("nothing due"), "system_item", 0.0)
    desk.acknowledged("a", 0.0)
    desk.response_started("resp", 1, 0.0)
    desk.upstream_replaced(1.0)
    assert desk.in_force() is not None
    assert desk.due() is None
    assert "nota a" in desk.context.render()


def test_a_move_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(LifecycleError):
        folio("a", 1).move("active", 0.0)


@given(st.lists(st.sampled_from(sorted(LIFECYCLE)), max_size=12))
def test_no_folio_ever_leaves_expired_or_dropped(moves: list[str]) -> None:
    one = folio("a", 1)
    for move in moves:
        over = one.is_over
        try:
            one.move(move, 0.0)  # type: ignore[arg-type]  # names of the table
        except LifecycleError:
            continue
        assert not over
