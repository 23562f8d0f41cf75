"""An answer written as text in a model's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from penny.errors import EngineError
from runpod_worker.engines.text_stream import Put, stream_answer
from runpod_worker.stages import LlmDelta, LlmText, LlmToolCall, LlmUsage


pytestmark = pytest.mark.pure


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def writing(*pieces: str) -> Callable[[Put], int]:
    return lambda put: sum(put(piece) for piece in pieces)


async def answer(
    threads: ThreadPoolExecutor, write: Callable[[Put], int], limit: int = 100
) -> list[LlmDelta]:
    return [d async for d in stream_answer(threads, write, prompt_tokens=7, limit=limit)]


async def test_words_come_in_order_and_the_usage_last(
    threads: ThreadPoolExecutor,
) -> None:
    *words, usage = await answer(threads, writing("Hola, ", "buenas."))
    assert "".join(each.text for each in words if isinstance(each, LlmText)) == "Hola, buenas."
    assert usage == LlmUsage(7, 0, 2, "end")


async def test_an_answer_at_its_limit_says_so(threads: ThreadPoolExecutor) -> None:
    deltas = await answer(threads, writing("uno ", "dos "), limit=2)
    assert deltas[-1] == LlmUsage(7, 0, 2, "length")


async def test_a_call_in_the_text_is_a_call(threads: ThreadPoolExecutor) -> None:
    call, usage = await answer(
        threads, writing('<tool_call>{"name": "pagar", ', '"arguments": {"id": 1}}</tool_call>')
    )
    assert isinstance(call, LlmToolCall)
    assert (call.name, call.arguments, call.done) == ("pagar", '{"id": 1}', True)
    assert usage == LlmUsage(7, 0, 2, "tool")


async def test_a_call_that_is_no_call_is_an_error(threads: ThreadPoolExecutor) -> None:
    with pytest.raises(EngineError) as caught:
        await answer(threads, writing("<tool_call>pagar</tool_call>"))
    assert caught.value.code == "llm_malformed"


async def test_closing_it_stops_the_thread(threads: ThreadPoolExecutor) -> None:
    stopped = threading.Event()

    def write(put: Put) -> int:
        written = 0
        while put("y "):
            written += 1
        stopped.set()
        return written

    async with aclosing(stream_answer(threads, write, prompt_tokens=7, limit=100)) as deltas:
        first = await anext(deltas)
    assert isinstance(first, LlmText)
    assert stopped.is_set()
