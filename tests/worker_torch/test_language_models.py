"""A Qwen2 in process, by transformers: real loading, streaming and stopping."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from penny.errors import EngineError
from runpod_worker.chat import write_messages, write_tools
from runpod_worker.engines.transformers_llm import TransformersLlm
from runpod_worker.settings import TransformersSettings
from runpod_worker.stages import Llm, LlmDelta, LlmRequest, LlmText, LlmToolCall, LlmUsage
from tests.checkpoints.tiny_qwen import ANSWERS, ASKED, SYSTEM, TOOL, write_prompt


pytestmark = pytest.mark.engines


Json = dict[str, Any]

TOOLS = ({"type": "function", **TOOL["function"]},)  # type: ignore[dict-item]
QUESTIONS = list(ANSWERS)


def said(role: str, text: str) -> Json:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


@pytest.fixture
def llm(qwen: Path) -> Llm:
    return TransformersLlm(TransformersSettings(model=qwen / "hf", device="cpu", temperature=0))


async def answer(llm: Llm, *items: Json, tools: tuple[Json, ...] = ()) -> list[LlmDelta]:
    return [delta async for delta in llm.generate(LlmRequest(SYSTEM, items, tools=tools))]


def words(deltas: list[LlmDelta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, LlmText))


async def test_it_answers_what_it_learned_word_by_word(llm: Llm) -> None:
    most_pieces = 0
    for question, wanted in ANSWERS.items():
        deltas = await answer(llm, said("user", question))
        assert words(deltas) == wanted
        most_pieces = max(most_pieces, len(deltas) - 1)
    assert most_pieces > 2  # pieces that come faster than they are read are read together
    usage = deltas[-1]
    assert isinstance(usage, LlmUsage)
    assert usage.stop == "end"
    assert usage.output_tokens >= llm.count_tokens(wanted)
    await llm.aclose()


async def test_a_third_turn_is_answered_from_its_own_question(llm: Llm) -> None:
    first, second, third = QUESTIONS[5], QUESTIONS[9], QUESTIONS[2]
    items = (
        said("user", first),
        said("assistant", ANSWERS[first]),
        said("user", second),
        said("assistant", ANSWERS[second]),
        said("user", third),
    )
    assert words(await answer(llm, *items)) == ANSWERS[third]
    await llm.aclose()


async def test_a_function_is_called_instead_of_spoken(llm: Llm) -> None:
    deltas = await answer(llm, said("user", ASKED), tools=TOOLS)

    call = next(delta for delta in deltas if isinstance(delta, LlmToolCall))
    assert (call.name, call.arguments) == ("consultar_factura", '{"mes": "enero"}')
    assert words(deltas) == ""
    assert isinstance(deltas[-1], LlmUsage)
    assert deltas[-1].stop == "tool"
    await llm.aclose()


async def test_the_limit_of_tokens_is_told(llm: Llm) -> None:
    request = LlmRequest(SYSTEM, (said("user", QUESTIONS[2]),), max_output_tokens=3)
    deltas = [delta async for delta in llm.generate(request)]

    assert isinstance(deltas[-1], LlmUsage)
    assert (deltas[-1].output_tokens, deltas[-1].stop) == (3, "length")
    await llm.aclose()


async def test_an_interrupted_answer_frees_the_model_for_the_next(llm: Llm) -> None:
    request = LlmRequest(SYSTEM, (said("user", QUESTIONS[3]),))
    async with aclosing(llm.generate(request)) as deltas:  # type: ignore[type-var]
        await anext(deltas)
    async with asyncio.timeout(60):
        assert words(await answer(llm, said("user", QUESTIONS[2]))) == ANSWERS[QUESTIONS[2]]
    await llm.aclose()
    with pytest.raises(EngineError, match="closed"):
        await answer(llm, said("user", QUESTIONS[2]))


@pytest.mark.parametrize("tools", [(), TOOLS])
def test_flattened_messages_are_what_the_template_writes(
    qwen: Path, tools: tuple[Json, ...]
) -> None:
    items = (
        said("user", ASKED),
        said("assistant", "Un momento."),
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"mes": "enero"}'},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "84 €"},
        {"type": "function_call_output", "call_id": "b", "output": "0 €"},
        said("system", "Sea breve."),
        said("user", "¿Y marzo?"),
    )
    messages = write_messages(SYSTEM, items)
    written = write_prompt(messages, write_tools(tools))
    for message in messages:
        for call in message.get("tool_calls", ()):
            known = {'{"mes": "enero"}': {"mes": "enero"}, "{}": {}}
            call["function"]["arguments"] = known[call["function"]["arguments"]]
    tokenizer = AutoTokenizer.from_pretrained(qwen / "hf")
    rendered = tokenizer.apply_chat_template(
        messages, tools=write_tools(tools) or None, tokenize=False, add_generation_prompt=True
    )

    assert written == rendered


def test_a_folder_without_weights_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"worker\.engines\.transformers\.model") as caught:
        TransformersLlm(TransformersSettings(model=tmp_path))
    assert not caught.value.retryable
