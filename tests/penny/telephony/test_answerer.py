"""Who answers: scripted answers, in Spanish, with the times at which a recogniser tells them.

``answers/*.tsv`` were written by the hand that wrote the code, before it and without looking at it.
The odd rows were left out while patterns were made.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from penny.telephony.answerer import MOST_S, SILENT_S, Answerer, Kind, read_kind
from penny.telephony.caller_wishes import fold


pytestmark = pytest.mark.pure

FOLDER = Path(__file__).parent / "answers"
CHARS_PER_S = 14
STOP_S, WORDS_S = 0.5, 0.25
"""How late an end of speech is told, and how long after it the words are."""
LOOK_S = 0.05


def rows(name: str) -> list[str]:
    return (FOLDER / name).read_text("utf-8").splitlines()


def answer(script: str, pause_s: float) -> tuple[Kind, float]:
    """Who it is found to be, and how long after its last word so far."""
    answerer, now_s, spoken_until = Answerer(0.0), 0.4, 0.0
    events: list[tuple[float, str, str]] = []
    for part in script.replace("(beep)", "").split("|"):
        sentences = [each for each in part.replace("?", ".").split(".") if fold(each)]
        for sentence in sentences:
            until_s = now_s + len(sentence) / CHARS_PER_S
            events.append((now_s, "on", ""))
            if pause_s >= STOP_S or sentence is sentences[-1]:
                events.append((until_s + STOP_S, "off", ""))
                events.append((until_s + STOP_S + WORDS_S, "words", sentence))
            else:
                events.append((until_s + STOP_S, "held", sentence))
            now_s = until_s + pause_s
        now_s += 1.5
    if "(beep)" in script:
        events.append((now_s - 0.5, "beep", ""))
    held = ""
    for tick in range(600):
        at_s = tick * LOOK_S
        while events and events[0][0] <= at_s:
            when_s, what, words = events.pop(0)
            if what in ("on", "off"):
                answerer.speech(when_s - (STOP_S if what == "off" else 0), is_on=what == "on")
                spoken_until = when_s - STOP_S if what == "off" else spoken_until
            elif what == "words":
                answerer.words(fold(f"{held} {words}"))
                held = ""
            elif what == "held":
                held = f"{held} {words}"
            else:
                answerer.tone()
        if (kind := answerer.look(at_s)) is not None:
            return kind, at_s - spoken_until
    raise AssertionError("never told")


@pytest.mark.parametrize("pause_s", [0.3, 0.7])
@pytest.mark.parametrize("half", [0, 1], ids=["seen", "held_out"])
def test_nine_in_ten_of_the_scripted_answers_are_told_rightly(half: int, pause_s: float) -> None:
    scripts = [row.split("\t") for row in rows("machines.tsv")[half::2]]
    wrong = [
        (expected, found, script)
        for expected, script in scripts
        if (found := answer(script, pause_s)[0]) != expected
    ]
    assert len(wrong) <= len(scripts) // 10, wrong


@pytest.mark.parametrize("half", [0, 1], ids=["seen", "held_out"])
def test_a_person_is_taken_for_a_machine_once_in_fifty_at_most(half: int) -> None:
    openings = rows("humans.tsv")[half::2]
    wrong = [each for each in openings if answer(each, 0.3)[0] not in ("human", "unknown")]
    assert len(wrong) <= 1, wrong


def test_a_person_is_answered_within_a_second_of_their_last_word() -> None:
    late = [each for each in rows("humans.tsv") if answer(each, 0.3)[1] > 1.0]
    assert late == []


def test_another_hands_answers_are_told_as_far_as_was_measured() -> None:
    """``other_hand.tsv`` (who, words, seconds, note) is of a hand that had not seen the code, which
    told 43 of 50 machines then. All of it has been looked at since. Music and noise are
    ``unknown``."""
    scripts = [row.split("\t")[:2] for row in rows("other_hand.tsv")]
    found = [(who, read_kind(words) or "human", words) for who, words in scripts]
    missed = [each for each in found if each[0] not in ("human", "unknown", each[1])]
    taken = [each for each in found if each[0] in ("human", "unknown") and each[1] != "human"]
    assert len(found) == 150
    assert len(missed) <= 1, missed
    assert len(taken) <= 1, taken


def test_a_second_hands_answers_are_told_as_was_asked_for() -> None:
    """``second_hand.tsv`` (who, language, words) is of another hand again, which had not seen the
    code. Before it was looked at 41 of 45 machines were told (the patterns before: 35) and 1 of 100
    persons was taken for one. The half whose SHA-1 begins with an even digit was looked at then; of
    the other half 24 of 25 and 52 of 52 are right."""
    scripts = [row.split("\t") for row in rows("second_hand.tsv")[1:]]
    found = [(who, read_kind(words) or "human", words) for who, _, words in scripts]
    missed = [each for each in found if each[0] not in ("human", each[1])]
    taken = [each for each in found if each[0] == "human" != each[1]]
    assert (len(found), len([who for who, _, _ in found if who == "human"])) == (145, 100)
    assert len(missed) <= 1, missed
    assert taken == []


def test_who_says_nothing_is_unknown_and_so_is_who_talks_for_ever() -> None:
    silent = Answerer(0.0)
    assert silent.look(SILENT_S - 0.1) is None
    assert silent.look(SILENT_S) == "unknown"
    endless = Answerer(0.0)
    endless.speech(0.5, is_on=True)
    assert endless.look(MOST_S - 0.1) is None
    assert endless.look(MOST_S) == "unknown"


def test_speech_without_words_is_not_waited_for_for_ever() -> None:
    answerer = Answerer(0.0)
    answerer.speech(0.5, is_on=True)
    answerer.speech(1.0, is_on=False)
    assert answerer.look(2.5) is None
    assert answerer.look(2.7) == "unknown"


@pytest.mark.parametrize(
    ("told", "kind"),
    [("human", "human"), ("machine_end_beep", "voicemail"), ("fax", "network"), ("unknown", None)],
)
def test_the_carriers_word_counts_where_the_words_tell_nothing(told: str, kind: str | None) -> None:
    answerer = Answerer(0.0)
    answerer.carrier_told(told)
    assert answerer.look(0.1) == kind
    answerer.words("Para siniestros, pulse uno.")
    assert answerer.look(0.2) == "menu"


def test_a_beep_before_a_word_is_the_lines() -> None:
    answerer = Answerer(0.0)
    answerer.tone()
    assert answerer.look(0.1) is None
