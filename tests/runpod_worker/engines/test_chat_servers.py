"""The language model behind servers that refuse what vLLM, Ollama, llama.cpp and LM Studio do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from penny.errors import EngineError
from runpod_worker.engines.openai_llm import OpenAiLlm
from runpod_worker.settings import OpenAiCompatibleSettings
from runpod_worker.stages import LlmDelta, LlmRequest, LlmText, LlmToolCall
from tests.doubles.chat_server import ChatServer, Kind, called, words
from tests.doubles.http import serving


pytestmark = pytest.mark.socket

Json = dict[str, Any]

KINDS: list[Kind] = ["vllm", "llama.cpp", "ollama", "lm-studio"]
LOOK = {"type": "function", "name": "mirar", "parameters": {"type": "object"}}


def said(role: str, text: str) -> Json:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def conversation(turns: int, size: int = 300) -> tuple[Json, ...]:
    pairs = [(said("user", "p" * size), said("assistant", "r" * size)) for _ in range(turns)]
    return tuple(item for pair in pairs for item in pair)


@asynccontextmanager
async def connected(server: ChatServer, **settings: Any) -> AsyncIterator[OpenAiLlm]:
    async with serving(server.routes()) as url:
        llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/v1", model="modelo", **settings))
        try:
            yield llm
        finally:
            await llm.aclose()


async def ask(llm: OpenAiLlm, request: LlmRequest) -> list[LlmDelta]:
    return [delta async for delta in llm.generate(request)]


def text_of(deltas: list[LlmDelta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, LlmText))


@pytest.mark.parametrize("kind", ["vllm", "llama.cpp"])
async def test_the_window_is_asked_of_the_server_and_no_turn_is_refused(kind: Kind) -> None:
    server = ChatServer(lambda _: words("Sí."), kind, window=2048)
    async with connected(server) as llm:
        await llm.calibrate()
        for turns in range(0, 60, 4):
            request = LlmRequest("Eres Penny.", (*conversation(turns), said("user", "¿y hoy?")))
            assert text_of(await ask(llm, request)).strip() == "Sí."

    assert server.refused == []
    assert server.most_tokens <= 2048
    assert server.seen[-1]["messages"][-1]["content"].endswith("¿y hoy?")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refusal_for_length_is_mended_by_a_shorter_prompt_at_once(kind: Kind) -> None:
    server = ChatServer(lambda _: words("Sí."), kind, window=1500, tells_window=False)
    request = LlmRequest("Eres Penny.", (*conversation(60), said("user", "¿y hoy?")))
    async with connected(server) as llm:
        await llm.calibrate()
        assert text_of(await ask(llm, request)).strip() == "Sí."
        refused = len(server.refused)
        assert text_of(await ask(llm, request)).strip() == "Sí."

    assert len(server.refused) == refused  # it was learnt
    assert kind == "ollama" or refused >= 1


async def test_a_key_tells_the_window_of_a_server_that_cuts_without_a_word() -> None:
    server = ChatServer(lambda _: words("Sí."), "ollama", window=2048)
    request = LlmRequest("Eres Penny.", (*conversation(60), said("user", "¿y hoy?")))
    async with connected(server, context_tokens=2048) as llm:
        await ask(llm, request)

    assert server.most_tokens <= 2048


async def test_with_truncation_disabled_the_refusal_is_the_error() -> None:
    server = ChatServer(lambda _: words("Sí."), window=1500, tells_window=False)
    request = LlmRequest("", (*conversation(20), said("user", "¿?")), truncation="disabled")
    async with connected(server) as llm:
        with pytest.raises(EngineError) as failure:
            await ask(llm, request)

    assert failure.value.code == "llm_context_exceeded"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_takes_no_tools_is_told_of_them_in_words(kind: Kind) -> None:
    answers = iter([words('<tool_call>{"name": "mirar", "arguments": {"q": 1}}</tool_call>')] * 2)
    server = ChatServer(lambda _: next(answers), kind, tools=False)
    request = LlmRequest("Eres Penny.", (said("user", "mira"),), tools=(LOOK,))
    async with connected(server) as llm:
        for _ in range(2):
            [call] = [d for d in await ask(llm, request) if isinstance(d, LlmToolCall)]
            assert (call.name, call.arguments, call.done) == ("mirar", '{"q": 1}', True)

    assert len(server.refused) == 1
    assert all("tools" not in body for body in server.seen)
    assert '"name": "mirar"' in server.seen[0]["messages"][0]["content"]


async def test_a_call_that_a_server_leaves_in_the_text_is_a_call_and_not_said() -> None:
    server = ChatServer(lambda _: called("mirar", {"q": 1}), "lm-studio", parses=False)
    request = LlmRequest("Eres Penny.", (said("user", "mira"),), tools=(LOOK,))
    async with connected(server) as llm:
        deltas = await ask(llm, request)

    [call] = [d for d in deltas if isinstance(d, LlmToolCall)]
    assert (call.name, call.arguments) == ("mirar", '{"q": 1}')
    assert text_of(deltas) == ""
    assert deltas[-1].stop == "tool"  # type: ignore[union-attr]  # the usage is the last


@pytest.mark.parametrize("kind", KINDS)
async def test_a_template_without_a_system_role_gets_the_head_with_the_first_turn(
    kind: Kind,
) -> None:
    server = ChatServer(lambda _: words("Sí."), kind, system=False)
    items = (said("assistant", "Buenos días."), said("user", "hola"), said("user", "¿está?"))
    async with connected(server) as llm:
        for _ in range(2):
            await ask(llm, LlmRequest("Eres Penny.", items))

    assert len(server.refused) == 1
    assert [m["role"] for m in server.seen[0]["messages"]] == ["user", "assistant", "user"]
    assert server.seen[0]["messages"][0]["content"].startswith("Eres Penny.")


async def test_what_is_thought_in_a_block_that_the_template_opened_is_left_out_next_time() -> None:
    server = ChatServer(lambda _: words("Pienso. </think> Sí."))
    async with connected(server) as llm:
        first = await ask(llm, LlmRequest("", (said("user", "hola"),)))
        second = await ask(llm, LlmRequest("", (said("user", "hola"),)))

    assert not text_of(first).startswith("<think>")
    assert text_of(second).startswith("<think>Pienso.")


@pytest.mark.parametrize(
    ("answer", "thinks"),
    [
        (words("Pienso. </think> Sí."), True),
        ([{"content": "x "}] * 300, True),  # cut by its limit within the thought
        (words("<think> Pienso. </think> Sí."), False),
        ([{"reasoning_content": "x "}] * 300, False),
        (words("Sí."), False),
    ],
)
async def test_a_template_that_opens_a_thought_is_known_before_the_first_answer(
    answer: list[Json], thinks: bool
) -> None:
    server = ChatServer(lambda body: answer[: body["max_tokens"]])
    async with connected(server) as llm:
        await llm.calibrate()
        server.answer = lambda _: words("Pienso. </think> Sí.")
        first = await ask(llm, LlmRequest("", (said("user", "hola"),)))

    assert text_of(first).startswith("<think>") == thinks
