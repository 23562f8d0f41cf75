"""Function calls written into a model's text, token by token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.chat import ToolCallText
from runpod_worker.stages import LlmText, LlmToolCall


pytestmark = pytest.mark.pure


TEXT = (
    'Un momento. <tool_call>\n{"name": "pagar", "arguments": {"mes": "enero"}}\n</tool_call>\n'
    '<tool_call>{"name": "b"}</tool_call>'
)


def read(pieces: list[str]) -> list[LlmText | LlmToolCall]:
    reading = ToolCallText(lambda: "call_1")
    found = [delta for piece in pieces for delta in reading.feed(piece)]
    return found + reading.finish()


@given(st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_any_cut_of_the_text_gives_the_same_words_and_calls(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TEXT)]
    found = read([TEXT[a:b] for a, b in zip(edges, edges[1:], strict=False)])

    words = "".join(delta.text for delta in found if isinstance(delta, LlmText))
    assert words.strip() == "Un momento."
    assert [delta for delta in found if isinstance(delta, LlmToolCall)] == [
        LlmToolCall("call_1", "pagar", '{"mes": "enero"}', done=True),
        LlmToolCall("call_1", "b", "{}", done=True),
    ]


def test_what_only_looks_like_a_tag_is_text() -> None:
    assert read(["2 <", " 3 <tool"]) == [LlmText("2 "), LlmText("< 3 "), LlmText("<tool")]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>no json</tool_call>",
        '<tool_call>{"arguments": {}}</tool_call>',
        '<tool_call>{"name": "a"',
        "<tool_call>" + "x" * 20_000,
    ],
)
def test_a_broken_call_is_an_error_and_never_spoken(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # json's own, or ours
        read([text])
