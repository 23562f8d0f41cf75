from __future__ import annotations

import pytest

from runpod_worker.engines.sphinx_judgement import (
    ENGLISH_SURE,
    Decoded,
    Heard,
    PhraseBook,
    SpokenWord,
    rate_english,
    time_words,
)
from runpod_worker.stages import Transcript


pytestmark = pytest.mark.pure


def decoded(text: str, score: float, start_s: float = 0.0, end_s: float = 2.0) -> Decoded:
    words = text.split()
    step = (end_s - start_s) / max(1, len(words))
    spoken = tuple(
        SpokenWord(word, start_s + i * step, start_s + (i + 1) * step)
        for i, word in enumerate(words)
    )
    return Decoded(text, score, spoken)


NOTHING = Decoded("", -1000.0, ())
LOOP = decoded("K W AA N T OW", -0.6)
BOOK = PhraseBook(["¿Qué plazo tengo para pagar?", "quiero cambiar de tarifa", "sí"])


def test_a_phrase_that_explains_the_sound_is_given_as_the_kb_writes_it() -> None:
    heard = Heard(decoded("qué plazo tengo para pagar", -0.8), NOTHING, LOOP)

    assert BOOK.accept(heard) == "¿Qué plazo tengo para pagar?"


def test_a_phrase_that_free_phones_explain_much_better_is_refused() -> None:
    heard = Heard(decoded("qué plazo tengo para pagar", -1.4), NOTHING, LOOP)

    assert BOOK.accept(heard) is None


def test_a_doubtful_phrase_is_believed_when_a_second_ear_heard_it_too() -> None:
    heard = Heard(decoded("qué plazo tengo para pagar", -1.4), NOTHING, LOOP)

    assert BOOK.accept(heard, "qué plazo tengo para pagar") is not None
    assert BOOK.accept(heard, "quiero cambiar de tarifa") is None


def test_a_phrase_over_a_part_of_the_speech_is_refused() -> None:
    heard = Heard(decoded("quiero cambiar de tarifa", -0.6, end_s=1.2), NOTHING, LOOP)

    assert BOOK.accept(heard) is None


def test_the_beginning_of_a_long_phrase_names_it() -> None:
    heard = Heard(decoded("qué plazo tengo para", -0.65, end_s=1.5), NOTHING, LOOP)

    assert BOOK.accept(heard) == "¿Qué plazo tengo para pagar?"
    assert BOOK.complete("qué plazo") is None


def test_english_that_explains_the_sound_is_rated_sure_and_other_speech_is_not() -> None:
    good = decoded("what is the weather in paris", -0.94)
    bad = decoded("and i gotta go to an on", -1.6)

    assert rate_english(good, LOOP) > ENGLISH_SURE
    assert rate_english(bad, LOOP) < ENGLISH_SURE
    assert rate_english(NOTHING, LOOP) < ENGLISH_SURE


def test_a_second_ear_that_heard_nothing_makes_the_first_prove_more() -> None:
    heard = Heard(decoded("qué plazo tengo para pagar", -0.9), NOTHING, LOOP)

    assert BOOK.accept(heard) is not None
    assert BOOK.accept(heard, "") is None


def test_words_are_told_with_their_times() -> None:
    words = time_words(decoded("sí claro", -0.8, 0.1204, 0.5204))

    assert Transcript("Sí, claro.", "es", understood=True, words=words).told() == {
        "text": "Sí, claro.",
        "language": "es",
        "understood": True,
        "confidence": None,
        "words": (
            {"text": "sí", "start_ms": 120, "end_ms": 320, "confidence": None},
            {"text": "claro", "start_ms": 320, "end_ms": 520, "confidence": None},
        ),
    }
