"""How a candidate stands among the others of its question, and what the trust makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kb.evidence import NOTHING, Evidence
from kb.ranking import JUDGE, Standing, standings


pytestmark = pytest.mark.pure


FOUND = Evidence(coverage=0.9, strong=0.9, lexical=1.0, mass=0.6, named=0.6, things=0.3)


def test_the_shares_of_all_candidates_are_one() -> None:
    stands = standings([3.0, 1.0, 0.0], words=8)

    assert sum(each.share for each in stands) == pytest.approx(1.0)
    assert stands[0].share > stands[1].share > stands[2].share


def test_a_candidate_leads_over_the_next_and_over_the_field() -> None:
    first, second, *_ = standings([7.0, 4.0, 3.0, 2.0, 1.0, 0.0], words=8)

    assert (first.lead, first.lead_field) == (3.0, 7.0)
    assert (second.lead, second.lead_field) == (1.0, 4.0)


def test_the_first_stand_the_same_when_the_rest_is_not_asked_for() -> None:
    odds = [7.0, 4.0, 3.0, 2.0, 1.0, 0.0]

    assert standings(odds, 8, 2) == standings(odds, 8)[:2]


def test_the_only_candidate_leads_over_nothing() -> None:
    assert standings([2.0], words=4) == [Standing(2.0, 2.0, 2.0, 1.0, 0.0)]
    assert standings([], words=4) == []


def test_talk_counts_from_seven_to_twenty_four_words() -> None:
    talks = [standings([1.0], words)[0].talk for words in (2, 6, 15, 24, 60)]

    assert talks == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_a_clear_first_is_trusted_more_than_one_among_equals() -> None:
    clear, among = standings([6.0, 1.0], 8)[0], standings([6.0, 6.0], 8)[0]

    assert JUDGE.trust(FOUND, clear) > JUDGE.trust(FOUND, among)


def test_a_named_code_that_is_missing_is_not_trusted_however_clear_the_rest() -> None:
    without = replace(FOUND, missing_code=1.0)

    assert JUDGE.trust(without, standings([9.0, 0.0], 16)[0]) < 0.05


def test_nothing_found_is_not_trusted() -> None:
    assert JUDGE.trust(NOTHING, standings([0.0], 16)[0]) == 0.0
