"""Announced calls: in time, once, and what follows them."""

from __future__ import annotations

from uuid import uuid4

import pytest

from penny.edges.asterisk.announced import (
    KEPT_S,
    MOST,
    WITHIN_S,
    Announced,
    Announcements,
    Handed,
    Places,
)


pytestmark = pytest.mark.pure


def a_call() -> Announced:
    return Announced(uuid4(), "fxo-1", "default", "+34910000001", "")


def test_a_call_is_let_in_once_within_ten_seconds() -> None:
    calls, call, late = Announcements(), a_call(), a_call()
    assert calls.announce(call, 0.0)
    assert calls.announce(late, 0.0)
    assert calls.take(uuid4(), 1.0) is None
    assert calls.take(call.id, WITHIN_S) == call
    assert calls.take(call.id, WITHIN_S) is None
    assert calls.take(late.id, WITHIN_S + 0.1) is None


def test_an_id_that_waits_is_not_announced_again_and_not_too_many_wait() -> None:
    calls, call = Announcements(), a_call()
    assert calls.announce(call, 0.0)
    assert not calls.announce(call, 1.0)
    for _ in range(MOST - 1):
        assert calls.announce(a_call(), 1.0)
    assert not calls.announce(a_call(), 1.0)
    assert calls.announce(a_call(), 1.0 + WITHIN_S + 0.1)


def test_what_follows_a_call_is_told_once_and_a_stranger_goes_on_without_penny() -> None:
    calls, call = Announcements(), a_call()
    assert calls.after(call.id, 0.0) == "away"
    calls.end(call.id, "person", 1.0)
    assert calls.after(call.id, 2.0) == "person"
    assert calls.after(call.id, 2.0) == "away"
    calls.end(call.id, "done", 3.0)
    assert calls.after(call.id, 3.1 + KEPT_S) == "away"


def test_a_place_is_one_of_the_operators_and_the_person_stands_in_for_every_other() -> None:
    named = Places(frozenset({"soporte"}), has_person=False)
    assert (named.find("soporte"), named.find("+34600000000"), named.find("")) == (
        "to-soporte",
        None,
        None,
    )
    assert Places(frozenset(), has_person=True).find("soporte") == "person"


def test_what_is_told_of_a_call_that_rings_is_kept_for_a_minute() -> None:
    calls, call_id = Announcements(), uuid4()
    handed = Handed("sess_1", "default", None, "es", "Llama por su factura.")
    assert calls.handed(call_id, 0.0) is None
    calls.hand(call_id, handed, 1.0)
    assert calls.handed(call_id, 1.0 + KEPT_S) == handed
    assert calls.handed(call_id, 1.1 + KEPT_S) is None


def test_how_long_a_person_had_a_call_counts_from_when_they_were_told_of_it() -> None:
    calls, call_id = Announcements(), uuid4()
    assert calls.part(call_id, 5.0) == (False, None)  # of an earlier process, or not answered
    calls.join(call_id, 10.0)
    calls.whispered(call_id, 18.0, declined=False)
    assert calls.part(call_id, 200.0) == (False, 182.0)
    calls.whispered(call_id, 201.0, declined=True)  # it is over: nothing is kept of it
    assert calls.part(call_id, 202.0) == (False, None)
    calls.join(call_id, 300.0)
    calls.whispered(call_id, 302.0, declined=True)
    assert calls.part(call_id, 303.0) == (True, None)
    for _ in range(MOST + 1):
        calls.join(uuid4(), 400.0)
    calls.join(call_id, 400.0)
    assert calls.part(call_id, 401.0) == (False, 1.0)
