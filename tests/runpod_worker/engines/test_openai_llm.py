"""The language model behind an HTTP server, over real sockets."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from penny.errors import EngineError
from runpod_worker.engines.openai_llm import CALIBRATION, OpenAiLlm
from runpod_worker.settings import OpenAiCompatibleSettings
from runpod_worker.stages import LlmDelta, LlmRequest, LlmText, LlmToolCall, LlmUsage
from tests.doubles.http import Handler, serving


pytestmark = pytest.mark.socket


Json = dict[str, Any]

USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hola"}]}
REQUEST = LlmRequest("Eres Penny.", (USER,))
USAGE = {
    "choices": [],
    "usage": {
        "prompt_tokens": 40,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 32},
    },
}


CUT = {"name": "f", "arguments": '{"a": "\ud83d"}'}


def text(words: str) -> Json:
    return {"choices": [{"index": 0, "delta": {"content": words}}]}


def end(reason: str = "stop") -> Json:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def tool(index: int | None, **piece: Any) -> Json:
    given = piece if index is None else {"index": index, **piece}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [given]}}]}


def streaming(*chunks: Json, done: bool = True, seen: list[Json] | None = None) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if seen is not None:
            seen.append(await request.json())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        if done:
            await response.write(b"data: [DONE]\n\n")
        return response

    return handle


async def answer(url: str, request: LlmRequest = REQUEST, **settings: Any) -> list[LlmDelta]:
    llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/v1", **settings))
    try:
        return [delta async for delta in llm.generate(request)]
    finally:
        await llm.aclose()


async def test_text_streams_and_the_usage_with_cached_tokens_comes_last() -> None:
    seen: list[Json] = []
    handler = streaming(text("Buenos "), text("días."), end(), USAGE, seen=seen)
    async with serving({"POST /v1/chat/completions": handler}) as url:
        deltas = await answer(url, model="qwen", temperature=0.3)

    assert deltas == [LlmText("Buenos "), LlmText("días."), LlmUsage(40, 32, 3, "end")]
    assert seen[0]["messages"] == [
        {"role": "system", "content": "Eres Penny."},
        {"role": "user", "content": "hola"},
    ]
    assert (seen[0]["model"], seen[0]["temperature"]) == ("qwen", 0.3)
    assert seen[0]["stream_options"] == {"include_usage": True}
    assert "tools" not in seen[0]


async def test_an_emoji_cut_between_two_chunks_is_whole_and_half_a_one_can_be_written() -> None:
    chunks = (text("Hola \ud83d"), text("\ude00 y \ud83d"), tool(0, id="c", function=CUT), end())
    async with serving({"POST /v1/chat/completions": streaming(*chunks)}) as url:
        deltas = await answer(url)

    words = "".join(delta.text for delta in deltas if isinstance(delta, LlmText))
    assert words == "Hola 😀 y \ufffd"
    [call] = [delta for delta in deltas if isinstance(delta, LlmToolCall) and delta.done]
    assert call.arguments == '{"a": "\ufffd"}'


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_is_a_sign_of_life_and_no_text(field: str) -> None:
    reasons = {"choices": [{"index": 0, "delta": {field: "El cliente pide"}}]}
    handler = streaming(reasons, reasons, text("Sí."), end())
    async with serving({"POST /v1/chat/completions": handler}) as url:
        deltas = await answer(url)

    assert deltas[:-1] == [LlmText(""), LlmText(""), LlmText("Sí.")]


async def test_the_shorter_of_both_limits_is_asked_for_and_extra_fields_go_along() -> None:
    seen: list[Json] = []
    async with serving({"POST /v1/chat/completions": streaming(end("length"), seen=seen)}) as url:
        request = LlmRequest("", (USER,), max_output_tokens=20)
        deltas = await answer(url, request, max_tokens=400, extra_body={"top_k": 20})

    assert (seen[0]["max_tokens"], seen[0]["top_k"]) == (20, 20)
    assert deltas == [LlmUsage(0, 0, 0, "length")]


async def test_a_function_call_comes_in_pieces_and_then_whole() -> None:
    seen: list[Json] = []
    handler = streaming(
        tool(0, id="call_7", function={"name": "pagar", "arguments": ""}),
        tool(0, function={"arguments": '{"id":'}),
        tool(0, function={"arguments": '"F-1"}'}),
        end("tool_calls"),
        seen=seen,
    )
    tools = ({"type": "function", "name": "pagar", "parameters": {"type": "object"}},)
    async with serving({"POST /v1/chat/completions": handler}) as url:
        deltas = await answer(url, LlmRequest("", (USER,), tools=tools))

    assert seen[0]["tools"][0]["function"]["name"] == "pagar"
    assert seen[0]["tool_choice"] == "auto"
    assert deltas[-2:] == [
        LlmToolCall("call_7", "pagar", '{"id":"F-1"}', done=True),
        LlmUsage(0, 0, 0, "tool"),
    ]
    assert [d.arguments for d in deltas[:3] if isinstance(d, LlmToolCall)] == [
        "",
        '{"id":',
        '"F-1"}',
    ]


async def test_a_server_that_sends_calls_whole_without_index_or_id_is_understood() -> None:
    handler = streaming(
        tool(None, function={"name": "a", "arguments": "{}"}),
        tool(None, function={"name": "b"}),
        end("stop"),
    )
    async with serving({"POST /v1/chat/completions": handler}) as url:
        deltas = await answer(url)

    done = [d for d in deltas if isinstance(d, LlmToolCall) and d.done]
    assert [(call.name, call.arguments) for call in done] == [("a", "{}"), ("b", "{}")]
    assert len({call.call_id for call in done}) == 2
    assert deltas[-1] == LlmUsage(0, 0, 0, "tool")


async def test_closing_the_iterator_closes_the_connection_and_so_frees_the_server() -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"data: " + json.dumps(text("y ")).encode() + b"\n\n")
                await asyncio.sleep(0.005)
        except (asyncio.CancelledError, ConnectionError):
            left.set()
            raise

    async with serving({"POST /v1/chat/completions": endless}) as url:
        llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/v1"))
        async with aclosing(llm.generate(REQUEST)) as deltas:  # type: ignore[type-var]
            await anext(deltas)
        async with asyncio.timeout(60):
            await left.wait()
        await llm.aclose()


async def test_a_whole_answer_leaves_its_connection_for_the_next() -> None:
    peers: list[Any] = []
    inner = streaming(text("hola"), end())

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.append(request.transport.get_extra_info("peername"))
        return await inner(request)

    async with serving({"POST /v1/chat/completions": handle}) as url:
        llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/v1"))
        for _ in range(3):
            assert [d async for d in llm.generate(REQUEST)][0] == LlmText("hola")
        await llm.aclose()
    assert len(set(peers)) == 1


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (401, {"error": {"code": "invalid_api_key"}}, "llm_unauthorized", False),
        (404, {"error": {"type": "NotFoundError"}}, "llm_not_found", False),
        (
            400,
            {"error": {"message": "This model's maximum context length is 8192 tokens"}},
            "llm_context_exceeded",
            False,
        ),
        (429, {}, "llm_overloaded", True),
        (503, {}, "llm_overloaded", True),
        (500, {"error": "hola mundo secreto"}, "llm_failed", True),
    ],
)
async def test_a_refusal_has_a_code_and_keeps_the_servers_text_to_itself(
    status: int, body: Json, code: str, retryable: bool
) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    async with serving({"POST /v1/chat/completions": refuse}) as url:
        with pytest.raises(EngineError) as caught:
            await answer(url)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert "secreto" not in caught.value.message


async def test_a_server_that_is_away_is_named() -> None:
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9/v1 cannot be reached") as caught:
        await answer("http://127.0.0.1:9")
    assert (caught.value.code, caught.value.retryable) == ("llm_unreachable", True)


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (streaming(text("Bue"), done=False), "llm_cut"),
        (streaming(text("Bue"), {"error": {"code": 500, "message": "x"}}), "llm_failed"),
        (streaming(["no", "chunk"]), "llm_malformed"),  # type: ignore[arg-type]
    ],
)
async def test_an_answer_that_breaks_off_is_an_error_and_not_an_end(
    handler: Handler, code: str
) -> None:
    async with serving({"POST /v1/chat/completions": handler}) as url:
        with pytest.raises(EngineError) as caught:
            await answer(url)
    assert caught.value.code == code


async def test_the_key_comes_from_its_own_variable_and_no_vendors_key_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys: list[str | None] = []
    inner = streaming(end())

    async def handle(request: web.Request) -> web.StreamResponse:
        keys.append(request.headers.get("Authorization"))
        return await inner(request)

    monkeypatch.setenv("PENNY_LLM_KEY", "s3cret")
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "the-vendors")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer the-vendors")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with serving({"POST /v1/chat/completions": handle}) as url:
        await answer(url, api_key_variable="PENNY_LLM_KEY")
        await answer(url)
    assert keys == ["Bearer s3cret", None]


async def test_priming_asks_for_one_token_of_the_same_head() -> None:
    seen: list[Json] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        return web.json_response({"choices": []})

    async with serving({"POST /v1/chat/completions": handle}) as url:
        llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/v1"))
        await llm.prime(LlmRequest("Eres Penny.", ()))
        await llm.aclose()
        refused = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/none"))
        await refused.prime(REQUEST)
        await refused.aclose()
    assert seen[0]["messages"][0] == {"role": "system", "content": "Eres Penny."}
    assert (seen[0]["max_tokens"], seen[0]["stream"]) == (1, False)


async def test_a_server_with_a_tokenizer_corrects_the_estimate() -> None:
    async def tokenize(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"count": len(CALIBRATION), "tokens": []})

    async with serving({"POST /tokenize": tokenize}) as url:
        llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/v1"))
        before = llm.count_tokens(CALIBRATION)
        await llm.calibrate()
        assert llm.count_tokens(CALIBRATION) > before
        await llm.aclose()


async def test_without_a_tokenizer_the_estimate_stays() -> None:
    async with serving({}) as url:
        llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/v1"))
        before = llm.count_tokens(CALIBRATION)
        await llm.calibrate()
        assert llm.count_tokens(CALIBRATION) == before
        await llm.aclose()


async def test_a_model_that_sees_gets_the_callers_images_behind_their_words() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    words = {"type": "input_text", "text": "¿Qué es esto?"}
    item = {"type": "message", "role": "user", "content": [image, words]}
    seen: list[Json] = []
    handler = streaming(text("Una factura."), end(), USAGE, seen=seen)
    async with serving({"POST /v1/chat/completions": handler}) as url:
        await answer(url, LlmRequest("Eres Penny.", (item, USER)), sees=True)
    assert seen[0]["messages"] == [
        {"role": "system", "content": "Eres Penny."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "¿Qué es esto?\nhola"},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"},
                },
            ],
        },
    ]
    assert OpenAiLlm(OpenAiCompatibleSettings(sees=True)).info.sees
