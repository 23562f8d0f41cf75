from __future__ import annotations

from runpod_worker.tokens import count_tokens


def test_tokens_are_pieces_of_words_and_marks() -> None:
    assert count_tokens("") == 0
    assert count_tokens("Hola, mundo") == 3
    assert count_tokens("electricidad") == 2
