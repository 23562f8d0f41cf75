from __future__ import annotations

import pytest

from penny.turns.wordlist import words_of


pytestmark = pytest.mark.pure


def test_the_words_of_all_lines() -> None:
    assert words_of("uno dos", " tres\tdos") == {"uno", "dos", "tres"}
