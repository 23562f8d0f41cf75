"""How many tokens a text has, where no tokenizer is at hand."""

from __future__ import annotations

import pytest

from penny.realtime.usage import estimate_tokens


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("Hola, mundo", 4), ("x" * 32, 10)]
)
def test_an_estimate_is_a_ratio_of_characters_rounded_up(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_the_ratio_may_be_a_servers_own() -> None:
    assert estimate_tokens("x" * 32, 4.0) == 8
