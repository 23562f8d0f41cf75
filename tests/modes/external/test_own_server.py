"""The same call against Penny's own Realtime server: the real pipeline over a real socket, no key.

Silero hears eSpeak's voice; only what is understood and what is answered has a script.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from runpod_worker.server import Worker
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import LlmDelta, LlmRequest, LlmText, LlmToolCall, LlmUsage
from tests.doubles.anthropic_server import NOTHING, AnthropicDouble, correction, folio
from tests.doubles.engines import FixedLlm, FixedStt, FixedTts
from tests.doubles.speech import silence, speak
from tests.invoices.service import InvoiceService, action_table
from tests.modes.external.caller import Caller, calling, configure


pytestmark = pytest.mark.engines

Json = dict[str, Any]
CHUNK_BYTES = 4_800


class ScriptedLlm(FixedLlm):
    """Says or calls what is next."""

    def __init__(self, *answers: str | LlmToolCall) -> None:
        super().__init__()
        self.answers = list(answers)

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, LlmToolCall):
            yield answer
            yield LlmUsage(10, 0, 5, "tool")
            return
        yield LlmText(answer)
        yield LlmUsage(10, 0, len(answer.split()))


@asynccontextmanager
async def own_server(stt: FixedStt, llm: FixedLlm) -> AsyncIterator[str]:
    engines = Engines(SileroVad(), stt, llm, FixedTts())
    runner = web.AppRunner(Worker(WorkerSettings(), engines).app(), shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
        await engines.vad.aclose()


async def say(caller: Caller, text: str) -> None:
    """Speak a turn and wait for the whole answer."""
    before = len(caller.all("response.done"))
    audio = silence(200) + speak(text) + silence(1200)
    for start in range(0, len(audio), CHUNK_BYTES):
        chunk = b64encode(audio[start : start + CHUNK_BYTES]).decode()
        await caller.send({"type": "input_audio_buffer.append", "audio": chunk})
    await caller.wait(lambda: len(caller.all("response.done")) > before)


async def test_a_call_runs_against_pennys_own_server_without_a_key(
    claude: AnthropicDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    wrong = correction("La factura vence mañana", "La factura vence el 15 de enero")
    claude.on("turn", 1, answer=folio("Consulta sobre factura", {"estado": "pendiente"}))
    claude.on("review", 1, answer=wrong)
    claude.on("turn", 2, answer=folio("Consulta sobre opciones de pago"))
    claude.on("turn", 3, answer=NOTHING)
    claude.on("review", answer=NOTHING, times=None)
    consult = LlmToolCall("call_1", "consultar_factura", '{"factura_id": "F-2024-1187"}', True)
    llm = ScriptedLlm(
        "Vence mañana.",
        "Corrijo: vence el quince de enero.",
        consult,
        "Son ochenta y cuatro euros.",
    )
    stt = FixedStt(
        "¿Cuándo vence mi factura F-2024-1234?",
        "¿Y qué opciones de pago tengo?",
        "Dígame la otra factura",
    )
    async with own_server(stt, llm) as url, InvoiceService() as invoices:
        table = action_table(invoices.url)
        config = configure(tmp_path, url, claude.base_url, actions={"table": table})
        context = {"available_actions": ["consultar_factura"]}
        async with calling(config, tmp_path, context=context) as caller:
            await say(caller, "¿Cuándo vence mi factura?")
            assert "[DATOS COMPROBADOS - Turno 1]" in _told(llm, 0), "same-turn facts"
            await caller.until("penny.context_update")
            await caller.until("penny.correction")

            await say(caller, "¿Qué opciones de pago tengo?")
            assert "[CONTEXTO ACTUALIZADO - Turno 1]" in _told(llm, 1)
            assert "[CORRECCION NECESARIA]" in _told(llm, 1)
            await caller.until("penny.context_update", lambda e: e["revision"] > 3)

            await caller.call.line.replace("age")
            await caller.until("penny.upstream_replaced")
            await say(caller, "Dígame la otra factura, por favor.")
            await caller.until("penny.tool_call", lambda e: e["status"] == "completed")
            await caller.wait(lambda: not llm.answers)
            assert "Corrijo: vence el quince de enero." in _told(llm, 2), "the new one was seeded"
            await caller.until("response.done", lambda e: "ochenta" in str(e["response"]["output"]))
        assert caller.all("error") == []
    kinds = {event["note"] for event in caller.all("penny.note")}
    assert kinds >= {"facts", "correction", "correction_checked"}


def _told(llm: ScriptedLlm, index: int) -> str:
    return str(llm.requests[index])
