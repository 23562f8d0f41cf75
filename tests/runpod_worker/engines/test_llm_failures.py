"""Every way a chat server fails is heard within two seconds, over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from penny.realtime.commands import (
    AudioDelta,
    EngineReport,
    GenerationFailed,
    GenerationRequest,
    PhraseDelta,
)
from runpod_worker.engines.openai_llm import OpenAiLlm
from runpod_worker.responder import Responder
from runpod_worker.settings import DeadlineSettings, OpenAiCompatibleSettings
from tests.doubles.engines import FixedTts
from tests.doubles.http import serving


pytestmark = [pytest.mark.virtual_time, pytest.mark.slow]

Json = dict[str, Any]

APOLOGY = "Perdone, he tenido un problema."
SOUND = b"\x01\x00" * 2400
ASKED = GenerationRequest(
    response_id="resp_1",
    instructions="Eres Penny.",
    items=(
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hola"}]},
    ),
    tools=(),
    tool_choice="auto",
    modality="audio",
    voice="",
    speed=1.0,
    max_output_tokens=None,
)


async def _stream(request: web.Request, *chunks: Json) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for chunk in chunks:
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    return response


def _says(text: str) -> Json:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


async def _overloaded(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "busy", "code": "busy"}}, status=429)


async def _broken(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "CUDA out of memory"}}, status=500)


async def _gone(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "no such model"}}, status=404)


async def _no_json(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>proxy</html>", content_type="text/html")


async def _empty(request: web.Request) -> web.StreamResponse:
    return await _stream(request, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


async def _cut_at_once(request: web.Request) -> web.StreamResponse:
    return await _stream(request)


async def _cut_in_a_word(request: web.Request) -> web.StreamResponse:
    return await _stream(request, _says("Su factura vence el quince. Y además"))


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (_overloaded, "llm_overloaded"),
        (_broken, "llm_failed"),
        (_gone, "llm_not_found"),
        (_no_json, "llm_cut"),
        (_empty, "llm_empty"),
        (_cut_at_once, "llm_cut"),
        (_cut_in_a_word, "llm_cut"),
        (None, "llm_unreachable"),
    ],
)
async def test_a_failure_of_the_server_is_an_apology_within_two_seconds(
    handler: Any, code: str
) -> None:
    routes = {} if handler is None else {"POST /v1/chat/completions": handler}
    async with serving(routes) as url:
        base_url = f"{url}/v1" if handler is not None else "http://127.0.0.1:9/v1"
        reports, heard_s = await answer(base_url)

    [failed] = [report for report in reports if isinstance(report, GenerationFailed)]
    assert failed.code == code
    said = "".join(report.text for report in reports if isinstance(report, PhraseDelta))
    assert said.strip().endswith(APOLOGY)
    assert heard_s <= 2.0


async def test_a_server_that_hangs_is_apologised_for_at_its_deadline() -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        response = await _stream(request)
        await asyncio.sleep(3600)
        return response

    async with serving({"POST /v1/chat/completions": hang}) as url:
        reports, heard_s = await answer(f"{url}/v1")

    assert [r.code for r in reports if isinstance(r, GenerationFailed)] == ["llm_timeout"]
    assert 15.0 <= heard_s <= 17.0  # a filler bridges it: test_filler.py


async def answer(base_url: str) -> tuple[list[EngineReport], float]:
    """The reports of one spoken answer, and when the apology's own sound was reported."""
    clock = asyncio.get_running_loop().time
    reports: list[EngineReport] = []
    heard_s: list[float] = []
    began_s = clock()

    def take(report: EngineReport) -> None:
        reports.append(report)
        if isinstance(report, AudioDelta) and report.pcm == SOUND:
            heard_s.append(clock() - began_s)

    llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=base_url, model="modelo"))
    responder = Responder(
        llm=llm,
        tts=FixedTts(),
        deadlines=DeadlineSettings(),
        report=take,
        on_first_token=lambda _: None,
        apology=(APOLOGY, SOUND),
    )
    await responder.run(ASKED, language="es")
    await llm.aclose()
    [at_s] = heard_s
    return reports, at_s
