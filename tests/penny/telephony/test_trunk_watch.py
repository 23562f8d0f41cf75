"""A trunk that refuses us is rejected after three times; one that is silent is asked for ever."""

from __future__ import annotations

import pytest

from penny.telephony.probe import Step
from penny.telephony.trunk_watch import REFUSALS, SILENT_S, Standing, read_word


pytestmark = pytest.mark.pure


def test_three_refusals_in_a_row_reject_and_are_told_once() -> None:
    standing = Standing()
    told = [standing.take("refused", float(at)) for at in range(5)]
    assert told == [None, None, "trunk_rejected", None, None]
    assert standing.is_rejected


def test_a_trunk_that_takes_us_in_between_is_none() -> None:
    standing = Standing()
    for at, word in enumerate(("refused", "refused", "taken", "refused", "unknown", "refused")):
        assert standing.take(word, float(at)) is None  # type: ignore[arg-type]
    assert (standing.is_rejected, standing.refusals) == (False, REFUSALS - 1)


def test_silence_rejects_nothing_is_told_after_five_minutes_and_its_end_too() -> None:
    standing = Standing()
    told = [standing.take("silent", 60.0 * minute) for minute in range(20)]
    assert [at for at, alert in enumerate(told) if alert] == [SILENT_S / 60]
    assert not standing.is_rejected
    assert standing.take("taken", 1200.0) == "trunk_back"
    assert standing.take("taken", 1260.0) is None


@pytest.mark.parametrize(
    ("step", "word"),
    [
        (Step("register", "ok", "credentials_accepted"), "taken"),
        (Step("register", "failed", "credentials_refused", {"status": 403}), "refused"),
        (Step("register", "failed", "password_unset"), "refused"),
        (Step("options", "failed", "no_answer", {"transport": "udp", "answering": []}), "silent"),
        (Step("register", "unknown", "no_answer", {"transport": "udp", "answering": []}), "silent"),
        (Step("resolve", "failed", "no_such_host"), "silent"),
        (Step("register", "unknown", "not_told", {"status": 500}), "unknown"),
    ],
)
def test_what_a_test_says_of_a_trunk(step: Step, word: str) -> None:
    assert read_word([Step("resolve", "ok", "resolved"), step]) == word
