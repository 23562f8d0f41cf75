"""A withheld number is none; every other caller is told as received."""

from __future__ import annotations

import pytest

from penny.edges.twilio.callers import read_callee, read_caller


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    "told",
    [
        *("anonymous", "Anonymous", "+266696687", "+7378742833", "+2562533", "+8656696"),
        *("+86282452253", "Restricted", "sip:anonymous@anonymous.invalid", ""),
    ],
)
def test_a_withheld_number_is_none(told: str) -> None:
    assert read_caller(told) == ""


@pytest.mark.parametrize(
    "told", ["+34600123456", "+2666966870", "sip:ana@example.org", "600123456", "client:web"]
)
def test_another_caller_is_as_received(told: str) -> None:
    assert read_caller(told) == told


@pytest.mark.parametrize(
    "told",
    [
        *("+34910000001", "sip:+34910000001@acme.sip.twilio.com", "sip:%2B34910000001@127.0.0.1"),
        *("sips:+34910000001@example.org:5061;transport=tls", "sip:+34910000001;user=phone"),
    ],
)
def test_a_sip_address_that_is_called_is_its_number(told: str) -> None:
    assert read_callee(told) == "+34910000001"
