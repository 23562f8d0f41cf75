"""How early an answer is spoken, and what is thrown away when the words go on differently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from penny.realtime.commands import AudioDelta, EngineReport, GenerationRequest, PhraseDelta
from runpod_worker.responder import Responder
from runpod_worker.settings import DeadlineSettings
from runpod_worker.stages import LlmDelta, LlmRequest, LlmText, LlmUsage
from tests.doubles.engines import FixedLlm, FixedTts


pytestmark = pytest.mark.virtual_time

GAP_S = 0.1
ASKED = GenerationRequest(
    "resp_1",
    "Eres Penny.",
    (),
    tools=(),
    tool_choice="auto",
    modality="audio",
    voice="",
    speed=1.0,
    max_output_tokens=None,
)


class TokenLlm(FixedLlm):
    """Says tokens as models cut them, one every ``GAP_S``."""

    def __init__(self, *tokens: str) -> None:
        super().__init__()
        self.tokens = tokens

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        for token in self.tokens:
            yield LlmText(token)
            await asyncio.sleep(GAP_S)
        yield LlmUsage(10, 0, len(self.tokens))


async def answer(tts: FixedTts, *tokens: str) -> list[tuple[float, EngineReport]]:
    """Its reports and when they came."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    reports: list[tuple[float, EngineReport]] = []
    responder = Responder(
        llm=TokenLlm(*tokens),
        tts=tts,
        deadlines=DeadlineSettings(),
        report=lambda report: reports.append((loop.time() - begun_s, report)),
        on_first_token=lambda _: None,
    )
    await responder.run(ASKED, language="es", session_id="sess_1")
    return reports


async def test_the_first_sentence_is_synthesised_before_the_next_token_proves_its_end() -> None:
    tts = FixedTts(first_s=0.15)
    reports = await answer(tts, "Ahora mismo", " se lo digo", ".", " Vence", " el quince.")

    first_s = next(at for at, report in reports if isinstance(report, AudioDelta))
    assert first_s == pytest.approx(2 * GAP_S + 0.15)  # the point, its synthesis, nothing else
    assert tts.phrases == ["Ahora mismo se lo digo.", "Vence el quince."]
    assert tts.stopped == 0


async def test_nothing_of_a_wrong_guess_is_heard() -> None:
    tts = FixedTts(first_s=0.05)
    reports = await answer(tts, "Está en penny", ".", "es", ", cuando quiera", ".")

    phrases = [report.text for _, report in reports if isinstance(report, PhraseDelta)]
    assert phrases == ["Está en penny.es, ", "cuando quiera."]
    assert tts.phrases == ["Está en penny.", *phrases]
    heard_ms = sum(len(r.pcm) / 48 for _, r in reports if isinstance(r, AudioDelta))
    assert heard_ms == pytest.approx(sum(len(p) * tts.MS_PER_CHARACTER for p in phrases), abs=200)
