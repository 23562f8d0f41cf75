"""One answer: LLM -> phrases -> TTS, every stage overlapping the next, all of it cancellable.

The LLM is read in one task and spoken in another: speech starts at the first speakable phrase
while the rest is still generated. Cancelling ``run`` closes both engines' streams at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar

import structlog

from penny.aio.channel import Channel
from penny.errors import EngineError
from penny.realtime.commands import (
    AudioDelta,
    EngineReport,
    GenerationDone,
    GenerationFailed,
    GenerationRequest,
    GenerationUsage,
    Json,
    PhraseDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
)
from runpod_worker.phrases import PhraseSplitter
from runpod_worker.settings import DeadlineSettings
from runpod_worker.stages import (
    Llm,
    LlmDelta,
    LlmRequest,
    LlmText,
    LlmToolCall,
    LlmUsage,
    Tts,
    Voice,
)
from runpod_worker.stream_ahead import StreamAhead


log = structlog.get_logger()

Report = Callable[[EngineReport], None]
T = TypeVar("T")

KEPT_PIECES = 64
"""Audio of a phrase made before it is certain to be one; then the engine waits."""
PHRASES_AHEAD = 4
"""Phrases waiting for TTS before the LLM is paused: never starve, little to throw away."""


class Responder:
    """Answers one :class:`GenerationRequest`; every report goes through ``report`` in order."""

    def __init__(
        self,
        *,
        llm: Llm,
        tts: Tts,
        deadlines: DeadlineSettings,
        report: Report,
        on_first_token: Callable[[str], None],
    ) -> None:
        self._llm = llm
        self._deadlines = deadlines
        self._report = report
        self._on_first_token = on_first_token
        self._speech: StreamAhead[tuple[str, Voice], bytes] = StreamAhead(
            lambda wanted: tts.synthesize(*wanted), _is_same_speech, kept=KEPT_PIECES, stage="tts"
        )
        self._input_tokens = 0
        self._output_tokens = 0

    async def run(
        self, request: GenerationRequest, *, language: str, session_id: str, instead: str = ""
    ) -> None:
        """Answer; report exactly one GenerationDone or GenerationFailed unless cancelled.

        ``instead``: a fixed sentence to say without asking the LLM.
        """
        try:
            verbatim = instead or request.metadata.get("penny_say")
            self._count_input(request)
            if verbatim:
                usage = await self._say(request, str(verbatim), language)
            elif request.modality == "text":
                usage = await self._write(request, language, session_id)
            else:
                usage = await self._speak(request, language, session_id)
        except EngineError as error:
            log.exception("generation_failed", stage=error.stage, code=error.code)
            self._report(GenerationFailed(request.response_id, error.code, error.message))
            return
        reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(usage.stop)
        self._report(
            GenerationDone(
                request.response_id,
                input_text_tokens=usage.input_tokens,
                cached_text_tokens=usage.cached_tokens,
                output_text_tokens=usage.output_tokens,
                incomplete_reason=reason,  # type: ignore[arg-type]  # the two literals above
            )
        )

    def _count_input(self, request: GenerationRequest) -> None:
        """Usage of a response that is cancelled before the engine tells its own counts."""
        self._input_tokens = self._llm.count_tokens(request.instructions) + sum(
            self._llm.count_tokens(text) for item in request.items for text in _texts(item)
        )
        self._output_tokens = 0

    def _count_output(self, response_id: str, text: str) -> None:
        self._output_tokens += self._llm.count_tokens(text)
        self._report(
            GenerationUsage(
                response_id,
                input_text_tokens=self._input_tokens,
                output_text_tokens=self._output_tokens,
            )
        )

    # -- the three ways to answer -------------------------------------------------------------

    async def _say(self, request: GenerationRequest, text: str, language: str) -> LlmUsage:
        if request.modality == "text":
            self._report(TextDelta(request.response_id, text))
        else:
            await self._pronounce(request.response_id, text, _voice(request, language))
        return LlmUsage(0, 0, self._llm.count_tokens(text))

    async def _write(self, request: GenerationRequest, language: str, session_id: str) -> LlmUsage:
        usage = LlmUsage(0, 0, 0)
        async for delta in self._read(request, language, session_id):
            match delta:
                case LlmText(text=text):
                    self._count_output(request.response_id, text)
                    self._report(TextDelta(request.response_id, text))
                case LlmToolCall():
                    self._report_tool_call(request.response_id, delta)
                case LlmUsage():
                    usage = delta
        return usage

    async def _speak(self, request: GenerationRequest, language: str, session_id: str) -> LlmUsage:
        voice = _voice(request, language)
        phrases: Channel[str] = Channel(PHRASES_AHEAD, on_full="pause")
        usage = LlmUsage(0, 0, 0)

        async def generate() -> None:
            nonlocal usage
            splitter = PhraseSplitter()
            try:
                async for delta in self._read(request, language, session_id):
                    match delta:
                        case LlmText(text=text):
                            for phrase in splitter.feed(text):
                                await phrases.send(phrase)
                            # Only the next token proves that a sentence ended; TTS need not wait.
                            if likely := splitter.likely():
                                self._speech.begin((likely, voice))
                        case LlmToolCall():
                            for phrase in splitter.flush():
                                await phrases.send(phrase)
                            self._report_tool_call(request.response_id, delta)
                        case LlmUsage():
                            usage = delta
                for phrase in splitter.flush():
                    await phrases.send(phrase)
            finally:
                phrases.close()

        async def pronounce() -> None:
            async for phrase in phrases:
                await self._pronounce(request.response_id, phrase, voice)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(generate(), name=f"llm {request.response_id}")
                group.create_task(pronounce(), name=f"tts {request.response_id}")
        except ExceptionGroup as failures:
            raise _first_engine_error(failures) from failures
        finally:
            self._speech.drop()
        return usage

    # -- stages with their deadlines ----------------------------------------------------------

    async def _read(
        self, request: GenerationRequest, language: str, session_id: str
    ) -> AsyncIterator[LlmDelta]:
        stream = self._llm.generate(write_llm_request(request, language, session_id))
        limit_s = self._deadlines.llm_first_token_ms / 1000
        first = True
        async with aclosing(
            _deadlined(stream, limit_s, self._deadlines.llm_gap_ms / 1000, "llm")
        ) as deltas:
            async for delta in deltas:
                if first and not isinstance(delta, LlmUsage):
                    first = False
                    self._on_first_token(request.response_id)
                yield delta

    async def _pronounce(self, response_id: str, phrase: str, voice: Voice) -> None:
        self._count_output(response_id, phrase)
        self._report(PhraseDelta(response_id, phrase))
        if not any(character.isalnum() for character in phrase):
            return
        stream = self._speech.take((phrase, voice))
        first_s = self._deadlines.tts_first_audio_ms / 1000
        async with aclosing(
            _deadlined(stream, first_s, self._deadlines.tts_gap_ms / 1000, "tts")
        ) as chunks:
            async for pcm in chunks:
                self._report(AudioDelta(response_id, pcm))

    def _report_tool_call(self, response_id: str, call: LlmToolCall) -> None:
        kind = ToolCallDone if call.done else ToolCallDelta
        self._report(kind(response_id, call.call_id, call.name, call.arguments))


def _texts(item: Json) -> list[str]:
    """All that an LLM reads of an item."""
    parts = [part.get("text") or part.get("transcript") or "" for part in item.get("content") or ()]
    return parts + [item[key] for key in ("name", "arguments", "output") if item.get(key)]


def write_llm_request(request: GenerationRequest, language: str, session_id: str) -> LlmRequest:
    """What the language model is asked for a response."""
    return LlmRequest(
        instructions=request.instructions,
        items=request.items,
        tools=request.tools,
        tool_choice=request.tool_choice,
        max_output_tokens=request.max_output_tokens,
        language=language,
        session_id=session_id,
    )


def _voice(request: GenerationRequest, language: str) -> Voice:
    return Voice(language=language, name=request.voice, speed=request.speed)


def _is_same_speech(one: tuple[str, Voice], other: tuple[str, Voice]) -> bool:
    return one[0].strip() == other[0].strip() and one[1] == other[1]


def _first_engine_error(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    engine_errors = failures.subgroup(EngineError)
    if engine_errors is not None:
        leaf: BaseException = engine_errors
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        return leaf
    return failures


async def _deadlined(
    stream: AsyncIterator[T], first_s: float, gap_s: float, stage: str
) -> AsyncGenerator[T, None]:
    """Pass a stream on; raise EngineError when its first item or the next one comes too late."""
    limit_s = first_s
    iterator = aiter(stream)
    try:
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    item = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise EngineError(
                    f"the {stage} stage sent nothing for {limit_s:.1f} s",
                    stage=stage,
                    code=f"{stage}_timeout",
                ) from None
            limit_s = gap_s
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
