from __future__ import annotations

import pytest

from runpod_worker.excuses import Excuses
from runpod_worker.stages import Transcript


pytestmark = pytest.mark.pure

MUMBLED = Transcript("bla bla", "es", understood=False)
NOTHING = Transcript("", "es", understood=False)
CLEAR = Transcript("hola", "es", understood=True)


def test_a_sentence_is_excused_once_until_another_is_understood() -> None:
    excuses = Excuses(needs_words=True)
    heard = [MUMBLED, MUMBLED, NOTHING, MUMBLED, CLEAR, MUMBLED]

    assert [excuses.allows(one) for one in heard] == [True, False, False, False, False, True]


def test_less_than_a_second_and_no_words_are_not_excused() -> None:
    excuses = Excuses(needs_words=True)
    excuses.speech_ms = 900

    assert not excuses.allows(MUMBLED)
    excuses.speech_ms = 1000
    assert not excuses.allows(NOTHING)
    assert Excuses(needs_words=False).allows(NOTHING)
    assert not excuses.allows(None)
