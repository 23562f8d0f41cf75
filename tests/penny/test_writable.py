"""Whatever comes in can be written out: halves of emoji, and what JSON has no form for."""

from __future__ import annotations

import pathlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.protocol.codec import dump
from penny.protocol.error import SessionError
from penny.writable import TextJoiner, dump_json, mend_text


pytestmark = pytest.mark.pure

HIGH, LOW = "\ud83d", "\ude00"


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("hola 😀", "hola 😀"),
        (f"a{HIGH}{LOW}b", "a😀b"),
        (f"a{HIGH}b", "a\ufffdb"),
        (f"{LOW}{HIGH}", "\ufffd\ufffd"),
        ("", ""),
    ],
)
def test_pairs_are_joined_and_halves_replaced(text: str, mended: str) -> None:
    assert mend_text(text) == mended


def test_every_value_has_a_written_form() -> None:
    value = {f"k{HIGH}": [f"{HIGH}{LOW}", 2**70, {1: {pathlib.PurePosixPath("a/b")}}, None, 1.5]}
    assert orjson.loads(dump_json(value)) == {
        "k\ufffd": ["😀", str(2**70), {"1": ["a/b"]}, None, 1.5]
    }


def test_an_event_with_half_an_emoji_is_sent_all_the_same() -> None:
    error = SessionError(code="engine_failed", message=f"a{HIGH}", retryable=True)
    assert orjson.loads(dump(error))["message"] == "a\ufffd"


@given(st.text(), st.data())
def test_a_text_cut_anywhere_is_joined_again(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    cuts = data.draw(st.lists(st.integers(0, len(units) // 2), max_size=6))
    edges = [0, *sorted(cuts), len(units) // 2]
    joiner = TextJoiner()
    joined = "".join(
        joiner.feed(units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass"))
        for start, end in zip(edges, edges[1:], strict=False)
    )
    assert joined + joiner.flush() == text


def test_half_a_character_at_the_end_is_not_kept_for_ever() -> None:
    joiner = TextJoiner()
    assert (joiner.feed(f"hola{HIGH}"), joiner.flush(), joiner.flush()) == ("hola", "\ufffd", "")
