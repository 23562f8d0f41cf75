"""Rows 1.16 and 2.5 at the gateway: by the tenant's own line numbers are rung, and read."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from config.telephony import DialingSection, TelephonySection
from penny.gateway.carriers import country_of_call
from penny.gateway.line_forms import LineForms
from penny.gateway.phones import PhoneCall, with_e164
from penny.telephony.dial_book import Dial
from penny.telephony.reception import read_reception
from penny.telephony.store import TelephonyStore
from tests.penny.telephony.shapes import a_trunk


pytestmark = pytest.mark.pure

DIAL = Dial(
    id="dial_1", tenant="default", number="+34911111111", caller_id="+34910000000",
    session_id="sess_1", asked={}, call_sid=None, created_s=0.0, ringing_s=None, answered_s=None,
    ended_s=None, outcome=None,
)  # fmt: skip


class Placed:
    """A placer that keeps what it is to ring."""

    def __init__(self) -> None:
        self.numbers: list[str] = []

    async def place(self, dial: Dial, section: DialingSection) -> str:
        assert dial.caller_id == DIAL.caller_id
        self.numbers.append(dial.number)
        return dial.id


def a_store(folder: Path, **numbering: str) -> TelephonyStore:
    store = TelephonyStore(folder, TelephonySection(), {})
    told = a_trunk()
    told["carrier_grade"].update(numbering)
    store.save("default", read_reception(told))
    return store


@pytest.mark.parametrize(
    ("numbering", "rung"),
    [
        ({}, "+34911111111"),
        ({"number_form": "e164"}, "34911111111"),
        ({"number_form": "00", "dial_template": "8{number}"}, "80034911111111"),
        ({"number_form": "national", "country": "ES"}, "911111111"),
    ],
)
async def test_2_5_a_call_is_placed_in_the_form_of_its_line(
    tmp_path: Path, numbering: dict[str, str], rung: str
) -> None:
    placed = Placed()
    forms = LineForms(a_store(tmp_path, **numbering), placed)
    assert await forms.place(DIAL, DialingSection()) == DIAL.id
    assert placed.numbers == [rung]


async def test_2_5_who_has_no_line_is_placed_as_asked(tmp_path: Path) -> None:
    placed = Placed()
    await LineForms(TelephonyStore(tmp_path, TelephonySection(), {}), placed).place(
        DIAL, DialingSection()
    )
    assert placed.numbers == [DIAL.number]


def test_2_5_a_form_is_kept_and_shown_again(tmp_path: Path) -> None:
    store = a_store(tmp_path, number_form="national", country="PE", dial_template="9{number}")
    shown = store.read().reception_of("default").carrier_grade
    assert shown is not None
    assert (shown.country, shown.number_form, shown.dial_template) == (
        "PE",
        "national",
        "9{number}",
    )


async def test_1_16_numbers_are_kept_as_received_and_by_the_lines_country(tmp_path: Path) -> None:
    told = partial(country_of_call, a_store(tmp_path, country="PE"))
    (line,) = a_store(tmp_path, country="PE").read().receiving()
    call = PhoneCall("default", "987654321", "014567890", context={"line": line.id})
    read = with_e164(call, await told(call))
    assert (read.caller, read.caller_e164) == ("987654321", "+51987654321")
    assert (read.callee, read.callee_e164) == ("014567890", "+5114567890")
    named = PhoneCall("default", "anonymous", "014567890", context={"line": line.id})
    assert with_e164(named, await told(named)).caller_e164 == ""
    of_no_line = PhoneCall("default", "612345678", "+34910000000")
    assert await told(of_no_line) == ""
    assert with_e164(of_no_line, "").caller_e164 == "+34612345678"


def test_1_16_a_line_that_tells_no_country_is_of_its_first_whole_number(tmp_path: Path) -> None:
    store = TelephonyStore(tmp_path, TelephonySection(), {})
    told = a_trunk()
    told["carrier_grade"]["dids"] = [{"number": "200"}, {"number": "+525512345678"}]
    store.save("default", read_reception(told))
    (line,) = store.read().receiving()
    assert line.home == "MX"
