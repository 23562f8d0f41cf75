"""What is corrected, what is not, and how a correction is followed up."""

from __future__ import annotations

import pytest

from brain.correction import CorrectionDesk, CorrectionSettings, has_claim
from brain.folio import CorrectionNote


DATE = CorrectionNote(
    correction_type="date",
    what_gpt_said="La factura vence mañana",
    correct_info="La factura vence el 15 de enero de 2025",
)
HEARD = "Su factura vence mañana mismo."


def desk(**settings: object) -> CorrectionDesk:
    return CorrectionDesk(CorrectionSettings(**settings), "es")  # type: ignore[arg-type]  # a test's


def test_a_heard_mistake_is_placed() -> None:
    verdict = desk().consider(DATE, HEARD, 1)
    assert (verdict.decision, verdict.reason, verdict.severity) == ("place", "heard", "high")


def test_words_that_an_interruption_cut_are_not_corrected() -> None:
    assert desk().consider(DATE, "Su factura", 1).reason == "not_heard"


def test_within_the_cooldown_the_speaker_is_only_told() -> None:
    corrections = desk(every_n_turns=3)
    corrections.placed(DATE, "folio_1", 1)
    other = DATE.model_copy(
        update={"what_gpt_said": "Son 100 euros", "correct_info": "Son 1500 euros"}
    )
    assert corrections.consider(other, "Son cien euros", 2).decision == "silent"
    assert corrections.consider(other, "Son cien euros", 4).decision == "place"


def test_the_same_mistake_is_not_raised_twice() -> None:
    corrections = desk()
    corrections.placed(DATE, "folio_1", 1)
    assert corrections.consider(DATE, HEARD, 9).reason == "told_before"


@pytest.mark.parametrize(
    ("settings", "note", "reason"),
    [
        ({"enabled": False}, DATE, "kill_switch"),
        (
            {"min_severity": "medium"},
            DATE.model_copy(update={"correction_type": "style"}),
            "low_severity",
        ),
        ({}, DATE.model_copy(update={"inject_correction": False}), "not_needed"),
    ],
)
def test_what_stops_a_correction(
    settings: dict[str, object], note: CorrectionNote, reason: str
) -> None:
    assert desk(**settings).consider(note, HEARD, 1).reason == reason


def test_the_kill_switch_falls_after_the_sessions_share() -> None:
    corrections = desk(max_per_session=1)
    corrections.placed(DATE, "folio_1", 1)
    assert corrections.muted


@pytest.mark.parametrize(
    "reply", ["Perdone, vence el quince de enero.", "Rectifico: es el 15 de enero de 2025."]
)
def test_a_reply_that_says_it_confirms(reply: str) -> None:
    corrections = desk()
    corrections.placed(DATE, "folio_1", 1)
    outcome = corrections.reply_heard(reply)
    assert outcome is not None
    assert outcome[0] == "confirmed"
    assert corrections.reply_heard(reply) is None


def test_ignored_once_it_is_raised_ignored_twice_it_is_reported() -> None:
    corrections = desk()
    corrections.placed(DATE, "folio_1", 1)
    steps = []
    for _ in range(2):
        outcome = corrections.reply_heard("Puede pagar con tarjeta.")
        assert outcome is not None
        steps.append(outcome[0])
    assert steps == ["raise", "reported"]
    assert (corrections.made, corrections.confirmed, corrections.reported) == (1, 0, 1)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("Vence mañana.", True),
        ("Son mil quinientos euros.", True),
        ("Claro, dígame.", False),
        ("Encantada de ayudarle.", False),
    ],
)
def test_only_replies_with_facts_are_looked_at(text: str, claims: bool) -> None:
    assert has_claim(text, "es") is claims
