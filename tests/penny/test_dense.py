"""What counts as too many values, by bytes and by text."""

from __future__ import annotations

import pytest

from penny.dense import MOST_VALUES, is_dense


pytestmark = pytest.mark.pure


@pytest.mark.parametrize("piece", ["[],", '{"":0},', "1,", "[", ",,"])
def test_more_values_than_are_taken_are_dense(piece: str) -> None:
    text = piece * (2 * MOST_VALUES)
    assert is_dense(text)
    assert is_dense(text.encode())


def test_long_texts_and_audio_are_not() -> None:
    assert not is_dense("A" * 8_000_000)
    assert not is_dense(("palabra, " * 20_000).encode())
    assert not is_dense("1," * (MOST_VALUES // 2))
    assert not is_dense('["abcdefg",' * (MOST_VALUES // 2 - 1))
