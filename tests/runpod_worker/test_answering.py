"""An answer begun before the turn is over: taken when the words held, aborted when not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from penny.errors import EngineError
from runpod_worker.answering import AnswerAhead
from runpod_worker.stages import LlmDelta, LlmRequest, LlmText, LlmUsage
from tests.doubles.engines import FixedLlm, FixedStt
from tests.doubles.speech import silence, speak
from tests.runpod_worker.test_connection import connected, make_engines


pytestmark = pytest.mark.socket


Json = dict[str, Any]


def ask(text: str, item_id: str = "") -> LlmRequest:
    spoken = {"type": "input_audio", "transcript": text}
    return LlmRequest(
        "Eres Penny.",
        ({"id": item_id, "type": "message", "role": "user", "content": [spoken]},),
    )


async def collect(llm: AnswerAhead, request: LlmRequest) -> str:
    return "".join(
        [delta.text async for delta in llm.generate(request) if isinstance(delta, LlmText)]
    )


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_the_response_takes_what_was_begun_for_its_words() -> None:
    llm = FixedLlm("uno dos tres")
    ahead = AnswerAhead(llm)
    ahead.begin(ask("hola", "guess"))
    ahead.begin(ask("hola", "guess"))
    await settle()

    assert await collect(ahead, ask("hola", "item_7")) == "uno dos tres"
    assert (len(llm.requests), llm.aborted) == (1, 0)
    assert await collect(ahead, ask("hola", "item_7")) == "uno dos tres"  # taken once
    assert len(llm.requests) == 2


async def test_other_words_or_another_head_are_answered_anew() -> None:
    llm = FixedLlm("uno " * 50, gap_s=0.01)
    ahead = AnswerAhead(llm)
    ahead.begin(ask("quiero"))
    await settle()
    assert (await collect(ahead, ask("quiero pagar"))).startswith("uno")
    await settle()

    assert [request.items[0]["content"][0]["transcript"] for request in llm.requests] == [
        "quiero",
        "quiero pagar",
    ]
    assert llm.aborted == 1


async def test_a_caller_who_goes_on_aborts_the_model() -> None:
    llm = FixedLlm("uno " * 50, gap_s=0.01)
    ahead = AnswerAhead(llm)
    ahead.begin(ask("quiero"))
    await settle()
    ahead.drop()
    await settle()
    assert llm.aborted == 1


async def test_an_interrupted_answer_aborts_the_model_it_was_begun_on() -> None:
    llm = FixedLlm("uno " * 500, gap_s=0.001)
    ahead = AnswerAhead(llm)
    ahead.begin(ask("hola"))
    async with aclosing(ahead.generate(ask("hola"))) as deltas:  # type: ignore[type-var]
        await anext(deltas)
    assert llm.aborted == 1


async def test_a_failure_ahead_is_the_responses_failure() -> None:
    class Failing(FixedLlm):
        async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
            yield LlmText("uno")
            raise EngineError("gone", stage="llm")

    ahead = AnswerAhead(Failing())
    ahead.begin(ask("hola"))
    await settle()
    with pytest.raises(EngineError, match="gone"):
        await collect(ahead, ask("hola"))


async def test_a_long_answer_ahead_waits_for_its_reader() -> None:
    made: list[int] = []

    class Eager(FixedLlm):
        async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
            for index in range(1000):
                made.append(index)
                yield LlmText("x")
            yield LlmUsage(1, 0, 1000)

    ahead = AnswerAhead(Eager())
    ahead.begin(ask("hola"))
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(made) < 100
    assert len(await collect(ahead, ask("hola"))) == 1000


class KnowingStt(FixedStt):
    """Knows the words at the pause, as an engine that transcribes there does."""

    def begin(self, options: Any) -> Any:
        utterance = super().begin(options)
        paused: list[bool] = []
        utterance.pause = lambda: paused.append(True)
        utterance.partial = lambda: self.default if paused else ""
        return utterance


async def test_a_spoken_turn_is_generated_once_and_before_it_is_decided() -> None:
    llm = FixedLlm("Son ochenta euros.")
    engines = make_engines(KnowingStt(default="¿Cuánto debo?"), llm)
    async with connected(engines) as client:
        semantic = {"type": "semantic_vad", "eagerness": "low"}
        heard = {"input": {"turn_detection": semantic}}
        await client.send("session.update", session={"type": "realtime", "audio": heard})
        await client.stream(silence(300) + speak("¿Cuánto debo?") + silence(250))
        async with asyncio.timeout(60):
            while not llm.requests:
                await asyncio.sleep(0.01)
        assert "input_audio_buffer.committed" not in client.kinds()
        await client.stream(silence(1500))
        done = await client.until("response.done")

    assert done["response"]["status"] == "completed"
    assert len(llm.requests) == 1
