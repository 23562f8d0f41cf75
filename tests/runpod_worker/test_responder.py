"""How early an answer is spoken, and what is thrown away when the words go on differently."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from penny.errors import EngineError
from penny.logs import configure_logs
from penny.realtime.commands import (
    AudioDelta,
    EngineReport,
    GenerationFailed,
    GenerationRequest,
    PhraseDelta,
)
from runpod_worker.responder import Responder
from runpod_worker.settings import DeadlineSettings
from runpod_worker.stages import LlmDelta, LlmRequest, LlmText, LlmUsage, Voice
from tests.doubles.engines import FixedLlm, FixedTts
from tests.plain_logs import write_plain_logs


pytestmark = pytest.mark.virtual_time

GAP_S = 0.1
APOLOGY = "Perdone, he tenido un problema."
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
    return await respond(TokenLlm(*tokens), tts)


async def respond(
    llm: FixedLlm, tts: FixedTts, apology_pcm: bytes = b""
) -> list[tuple[float, EngineReport]]:
    """Its reports and when they came."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    reports: list[tuple[float, EngineReport]] = []
    responder = Responder(
        llm=llm,
        tts=tts,
        deadlines=DeadlineSettings(),
        report=lambda report: reports.append((loop.time() - begun_s, report)),
        on_first_token=lambda _: None,
        apology=(APOLOGY, apology_pcm),
    )
    await responder.run(ASKED, language="es")
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


class FailingLlm(FixedLlm):
    """Fails as often as told, after some words; then answers."""

    def __init__(
        self, *failures: EngineError, words: str = "", then: str = "Son mil euros."
    ) -> None:
        super().__init__(then)
        self.failures = list(failures)
        self.words = words

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        if not self.failures:
            async for delta in super().generate(request):
                yield delta
            return
        self.requests.append(request)
        if self.words:
            yield LlmText(self.words)
        raise self.failures.pop(0)


class FailingTts(FixedTts):
    """Fails from its ``good``-th phrase on."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.good = good

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        if len(self.phrases) >= self.good:
            raise EngineError("it broke", stage="tts", code="tts_failed", retryable=False)
        async for pcm in super().synthesize(phrase, voice):
            yield pcm


OVERLOADED = EngineError("it answered 429", stage="llm", code="llm_overloaded")
REFUSED = EngineError("it answered 400", stage="llm", code="llm_rejected", retryable=False)


def said(reports: list[tuple[float, EngineReport]]) -> list[str]:
    return [report.text for _, report in reports if isinstance(report, PhraseDelta)]


def codes(reports: list[tuple[float, EngineReport]]) -> list[str]:
    return [report.code for _, report in reports if isinstance(report, GenerationFailed)]


async def test_a_failed_answer_is_tried_once_more_before_anything_is_said() -> None:
    llm = FailingLlm(OVERLOADED)
    reports = await respond(llm, FixedTts())

    assert (said(reports), codes(reports), len(llm.requests)) == (["Son mil euros."], [], 2)


@pytest.mark.parametrize(
    ("failures", "tries"), [((OVERLOADED, OVERLOADED), 2), ((REFUSED, REFUSED), 1)]
)
async def test_an_answer_that_fails_is_an_apology_and_the_real_code(
    failures: tuple[EngineError, ...], tries: int
) -> None:
    llm = FailingLlm(*failures)
    reports = await respond(llm, FixedTts())

    assert (said(reports), codes(reports)) == ([APOLOGY], [failures[0].code])
    assert len(llm.requests) == tries
    assert max(at for at, report in reports if isinstance(report, AudioDelta)) < 2
    assert reports[-1][1] == GenerationFailed(
        "resp_1", failures[0].code, failures[0].told, is_speech_whole=True
    )


@pytest.mark.parametrize("text", ["", " \n"])
async def test_an_answer_without_a_word_is_asked_for_again_and_then_apologised_for(
    text: str,
) -> None:
    llm = FixedLlm(text)
    reports = await respond(llm, FixedTts())

    assert (said(reports), codes(reports), len(llm.requests)) == ([APOLOGY], ["llm_empty"], 2)


async def test_no_word_within_the_deadline_is_an_apology_and_no_second_wait() -> None:
    llm = FixedLlm(first_s=100)
    reports = await respond(llm, FixedTts())

    assert (said(reports), codes(reports), len(llm.requests)) == ([APOLOGY], ["llm_timeout"], 1)
    assert [at for at, _ in reports if at > 16] == []


async def test_what_was_said_whole_stands_before_the_apology_and_no_word_is_cut() -> None:
    llm = FailingLlm(OVERLOADED, words="Su factura vence el quince. Son mil quin")
    reports = await respond(llm, FixedTts())

    assert said(reports) == ["Su factura vence el quince. ", f" {APOLOGY}"]
    assert codes(reports) == ["llm_overloaded"]


@pytest.mark.parametrize(("good", "heard"), [(0, [APOLOGY]), (1, ["Su factura vence. "])])
async def test_a_dead_voice_apologises_with_what_was_made_before_if_nothing_was_heard(
    good: int, heard: list[str]
) -> None:
    llm = FixedLlm("Su factura vence. Son mil quinientos euros en total.")
    reports = await respond(llm, FailingTts(good), b"\1\0" * 240)

    assert (said(reports), codes(reports)) == (heard, ["tts_failed"])


async def test_a_fault_of_the_code_is_heard_as_well() -> None:
    class Faulty(FixedLlm):
        async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
            raise LookupError
            yield LlmText("")

    reports = await respond(Faulty(), FixedTts())

    assert (said(reports), codes(reports)) == ([APOLOGY], ["engine_failed"])


async def test_a_spoken_answer_of_a_dead_stage_is_logged_with_its_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info", "json")
    try:
        await respond(FailingLlm(OVERLOADED, OVERLOADED), FixedTts())
    finally:
        write_plain_logs()
        logging.basicConfig(force=True)

    *_, told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (told["event"], told["fault"]["code"]) == ("generation_failed", "llm_overloaded")


async def test_reasoning_calls_and_code_are_neither_said_nor_written_down() -> None:
    tokens = ("<th", "ink>¿Qué pide?", "</think>", "Son mil euros. ", "``", "`sh\nls\n``", "`")
    tts = FixedTts()
    reports = await answer(tts, *tokens, "<tool_call>{}", "</tool_call>", " Y ya está.")

    assert "".join(said(reports)) == "Son mil euros.  Y ya está."
    assert codes(reports) == []


async def test_a_model_that_reasons_lives_and_its_answer_may_come_late() -> None:
    tokens = [*[""] * 200, "<think>", *["x "] * 200, "</think>", "Son mil euros."]
    reports = await answer(FixedTts(), *tokens)

    assert (said(reports), codes(reports)) == (["Son mil euros."], [])
    assert min(at for at, report in reports if isinstance(report, AudioDelta)) > 40


@pytest.mark.parametrize(
    ("tokens", "heard", "asked"),
    [
        (("👍",), ["👍"], ["👍"]),
        (("🎉",), [APOLOGY], [APOLOGY]),
        (("Se lo envío ahora mismo. ", "👍"), ["Se lo envío ahora mismo. ", "👍"], None),
    ],
)
async def test_an_answer_of_pictograms_alone_is_said_in_words(
    tokens: tuple[str, ...], heard: list[str], asked: list[str] | None
) -> None:
    tts = FixedTts()
    reports = await answer(tts, *tokens)

    assert said(reports) == heard
    assert tts.phrases == (asked or ["Se lo envío ahora mismo. "])
