"""Long events go on in pieces and one after the other, in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penny.edges.realtime.paced import (
    ANSWER_BYTES_PER_S,
    ANSWERED_WITHIN_S,
    DELETE,
    PIECE_CHARS,
    RETRIEVE,
    LongAppend,
    Retrieves,
)


pytestmark = pytest.mark.virtual_time

APPEND = "input_audio_buffer.append"


def retrieve(item_id: str) -> dict[str, Any]:
    return {"type": RETRIEVE, "item_id": item_id}


async def test_one_item_is_asked_for_at_a_time_and_a_long_answer_is_rested_after() -> None:
    passed: list[Any] = []
    line = Retrieves(lambda event: passed.append(event["item_id"]))
    for name in "abc":
        line.take(retrieve(name))
    line.take({"type": DELETE, "item_id": "d"})
    assert passed == ["a"]

    line.answered(ANSWER_BYTES_PER_S)
    await asyncio.sleep(0.9)
    assert passed == ["a"]
    await asyncio.sleep(0.2)
    assert passed == ["a", "b"]

    await asyncio.sleep(ANSWERED_WITHIN_S + 0.1)  # no answer comes
    assert passed == ["a", "b", "c"]
    line.answered(400)
    await asyncio.sleep(0.1)
    assert passed == ["a", "b", "c", "d"]


async def test_a_deletion_waits_behind_those_that_wait_alone() -> None:
    passed: list[Any] = []
    line = Retrieves(lambda event: passed.append(event["item_id"]))
    line.take(retrieve("a"))
    line.take({"type": DELETE, "item_id": "d"})
    assert passed == ["a", "d"]
    line.take(retrieve("b"))
    line.close()
    await asyncio.sleep(10)
    assert passed == ["a", "d"]


async def test_a_long_append_goes_on_in_pieces_which_are_the_whole() -> None:
    passed: list[dict[str, Any]] = []
    done: list[bool] = []
    audio = "ABCD" * (PIECE_CHARS // 4) * 2 + "EF=="
    event = {"type": APPEND, "event_id": "e", "audio": audio}
    long = LongAppend(event, passed.append, lambda: done.append(True))
    long.go_on()
    assert [each["audio"] for each in passed] == [audio[:PIECE_CHARS]]
    long.stop()
    await asyncio.sleep(1)
    assert len(passed) == 1
    long.go_on()
    await asyncio.sleep(1)
    assert "".join(each["audio"] for each in passed) == audio
    assert {each["event_id"] for each in passed} == {"e"}
    assert [len(each["audio"]) % 4 for each in passed] == [0, 0, 0]
    assert done == [True]
