"""Reasoning, function calls and code in a model's text, token by token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.sayable import CODE, HIDDEN, Sayable


pytestmark = pytest.mark.pure

TEXT = (
    "<think>El cliente pide `x`.\n```no```</think>Son 3 < 4 euros. "
    '<tool_call>\n{"name": "pagar"}\n</tool_call>Use `ls`:\n```sh\nls -l\n```\nY ya está.'
)
SAID = "Son 3 < 4 euros. Use `ls`:\n\nY ya está."


def said(pieces: list[str], blocks: dict[str, str] | None = None) -> str:
    sayable = Sayable(blocks or HIDDEN | CODE)
    return "".join(map(sayable.feed, pieces)) + sayable.flush()


@given(st.lists(st.integers(0, len(TEXT)), max_size=20))
def test_any_cut_of_the_text_leaves_the_same_blocks_out(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TEXT)]
    assert said([TEXT[a:b] for a, b in zip(edges, edges[1:], strict=False)]) == SAID


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>sin fin", ""),
        ('Voy. <tool_call>{"name": "pagar"}', "Voy. "),
        ("<thinking>a</thinking>b", "b"),
        ("a <b> <thin", "a <b> <thin"),
        ("`ls` y ``x``", "`ls` y ``x``"),
        ("```py\nx = 1", ""),
    ],
)
def test_blocks_left_open_and_what_only_looks_like_one(text: str, left: str) -> None:
    assert said(list(text)) == said([text]) == left


def test_code_is_read_where_text_is_read() -> None:
    assert said(["<think>a</think>```b```"], HIDDEN) == "```b```"


def test_a_long_block_is_not_kept() -> None:
    sayable = Sayable(HIDDEN)
    assert "".join(sayable.feed(piece) for piece in ["<think>", *["x" * 1000] * 50]) == ""
    assert len(sayable._text) < 20
