"""Exclusion lists: hashed, dated, and no commercial call without fresh ones."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from penny.telephony.dialing import DialRefused
from penny.telephony.exclusions import FRESH_DAYS, ExclusionLists


pytestmark = pytest.mark.pure

TODAY = date(2026, 11, 30)
LISTED, OTHER = "+34911111111", "+34922222222"


def refusal(lists: ExclusionLists, names: tuple[str, ...], number: str, today: date = TODAY) -> str:
    try:
        lists.check(names, number, today)
    except DialRefused as error:
        return error.code
    return ""


def test_a_listed_number_is_refused_and_no_number_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "exclusions.sqlite"
    assert ExclusionLists(path).replace("robinson", [LISTED, LISTED], TODAY) == 1
    lists = ExclusionLists(path)
    assert refusal(lists, ("robinson",), LISTED) == "excluded"
    assert refusal(lists, ("robinson",), OTHER) == ""
    assert LISTED.encode() not in path.read_bytes()
    assert LISTED[1:].encode() not in path.read_bytes()


def test_without_a_list_or_with_an_old_one_nobody_is_dialled(tmp_path: Path) -> None:
    lists = ExclusionLists(tmp_path / "exclusions.sqlite")
    assert refusal(lists, (), OTHER) == "exclusion_list_missing"
    assert refusal(lists, ("robinson",), OTHER) == "exclusion_list_missing"
    lists.replace("robinson", [], TODAY)
    assert refusal(lists, ("robinson", "repep"), OTHER) == "exclusion_list_missing"
    last = TODAY + timedelta(days=FRESH_DAYS)
    assert refusal(lists, ("robinson",), OTHER, last) == ""
    assert refusal(lists, ("robinson",), OTHER, last + timedelta(days=1)) == "exclusion_list_old"
    assert refusal(lists, ("robinson",), OTHER, TODAY - timedelta(days=1)) == "exclusion_list_old"


def test_a_new_list_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    lists = ExclusionLists(tmp_path / "exclusions.sqlite")
    lists.replace("robinson", [LISTED], TODAY - timedelta(days=40))
    lists.replace("robinson", [OTHER], TODAY)
    assert [refusal(lists, ("robinson",), each) for each in (LISTED, OTHER)] == ["", "excluded"]
