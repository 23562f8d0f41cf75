"""One answer: LLM -> phrases -> TTS, every stage overlapping the next, all of it cancellable.

The LLM is read in one task and spoken in another: speech starts at the first speakable phrase
while the rest is still generated. Cancelling ``run`` closes both engines' streams at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

import structlog

from penny.aio.channel import Channel
from penny.errors import EngineError, find_failure
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
from runpod_worker.answering import StreamAhead
from runpod_worker.house import House
from runpod_worker.phrases import PhraseSplitter
from runpod_worker.reading import AnswerReader, deadlined, no_words
from runpod_worker.settings import DeadlineSettings
from runpod_worker.spoken_text import write_for_speech
from runpod_worker.stages import (
    Llm,
    LlmText,
    LlmToolCall,
    LlmUsage,
    Tts,
    Voice,
    has_words,
)


log = structlog.get_logger()

Report = Callable[[EngineReport], None]
T = TypeVar("T")

KEPT_PIECES = 64
"""Audio of a phrase made before it is certain to be one; then the engine waits."""
RETRY_AFTER_S = 0.3
"""Between the two tries of an answer: a moment of overload passes, a caller hears no gap."""
ANSWER = PhraseDelta | TextDelta | AudioDelta | ToolCallDelta | ToolCallDone
PHRASES_AHEAD = 4
"""Phrases waiting for TTS before the LLM is paused: never starve, little to throw away."""


_FAULT = EngineError("the answer had a fault", stage="answer", retryable=False)


class Responder:
    """Answers one :class:`GenerationRequest`; every report goes through ``report`` in order.

    Args:
        apology: what is said when the answer fails, and its PCM16 at 24 kHz where that is made
            already; ('', b'') says nothing.
        house: what the answer may look up and do; None is nothing.
        fillers: said in turn while a tool of the house takes long.
    """

    def __init__(
        self,
        *,
        llm: Llm,
        tts: Tts,
        deadlines: DeadlineSettings,
        report: Report,
        on_first_token: Callable[[str], None],
        apology: tuple[str, bytes] = ("", b""),
        house: House | None = None,
        fillers: Sequence[str] = (),
    ) -> None:
        self._llm = llm
        self._reader = AnswerReader(llm, deadlines, on_first_token, house, fillers)
        self._deadlines = deadlines
        self._pass_on = report
        self._apology = apology
        self._is_begun = False
        """The client has something of the answer."""
        self._is_heard = False
        self.has_apologised = False
        self._first_phrase_chars = tts.info.first_phrase_chars
        self._speech: StreamAhead[tuple[str, Voice], bytes] = StreamAhead(
            lambda wanted: tts.synthesize(*wanted), _is_same_speech, kept=KEPT_PIECES, stage="tts"
        )
        self._input_tokens = 0
        self._output_tokens = 0

    async def run(
        self,
        request: GenerationRequest,
        *,
        language: str,
        instead: str = "",
        failure: EngineError | None = None,
    ) -> None:
        """Answer; report exactly one GenerationDone or GenerationFailed unless cancelled.

        ``instead``: a fixed sentence to say without asking the LLM. ``failure``: why there is
        nothing to answer to; it is told as one of the answer's own.
        """
        if failure is not None:
            await self._fail(request, failure, language)
            return
        verbatim = instead or str(request.metadata.get("penny_say") or "")
        self._count_input(request)
        try:
            usage = await self._answer_or_retry(request, verbatim, language)
        except Exception as fault:
            # An engine's own errors have a code; a fault of the code is as silent to a caller.
            error = fault if isinstance(fault, EngineError) else _FAULT
            log.exception("generation_failed", stage=error.stage, code=error.code)
            await self._fail(request, error, language)
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

    async def _answer_or_retry(
        self, request: GenerationRequest, verbatim: str, language: str
    ) -> LlmUsage:
        """Once more where that may help: no word of it is out yet, and no deadline has passed."""
        try:
            return await self._answer(request, verbatim, language)
        except EngineError as error:
            timed_out = error.code == f"{error.stage}_timeout"
            if self._is_begun or timed_out or not error.retryable:
                raise
            log.warning("answer_retried", stage=error.stage, code=error.code)
        await asyncio.sleep(RETRY_AFTER_S)
        return await self._answer(request, verbatim, language)

    async def _answer(self, request: GenerationRequest, verbatim: str, language: str) -> LlmUsage:
        if verbatim:
            return await self._say(request, verbatim, language)
        answer = self._write if request.modality == "text" else self._speak
        return await answer(request, language)

    async def _fail(self, request: GenerationRequest, error: EngineError, language: str) -> None:
        """Apologise aloud, unless the voice broke off within what it said; tell the failure."""
        text, pcm = self._apology
        broke_off = error.stage == "tts" and self._is_heard
        if text and request.modality == "audio" and not broke_off:
            phrase = f" {text}" if self._is_begun else text
            try:
                await self._pronounce(request.response_id, phrase, _voice(request, language), pcm)
                self.has_apologised = True
            except EngineError as again:
                log.warning("apology_failed", stage=again.stage, code=again.code)
        self._report(
            GenerationFailed(
                request.response_id,
                error.code,
                error.told,
                is_speech_whole=self.has_apologised,
            )
        )

    def _report(self, report: EngineReport) -> None:
        self._is_heard |= isinstance(report, AudioDelta)
        self._is_begun |= isinstance(report, ANSWER)
        self._pass_on(report)

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

    async def _write(self, request: GenerationRequest, language: str) -> LlmUsage:
        usage = LlmUsage(0, 0, 0)
        async for delta in self._reader.read(request, language):
            match delta:
                case LlmText(text=text):
                    self._count_output(request.response_id, text)
                    self._report(TextDelta(request.response_id, text))
                case LlmToolCall():
                    self._report_tool_call(request.response_id, delta)
                case LlmUsage():
                    usage = delta
        return usage

    async def _speak(self, request: GenerationRequest, language: str) -> LlmUsage:
        voice = _voice(request, language)
        phrases: Channel[str] = Channel(PHRASES_AHEAD, on_full="pause")
        usage = LlmUsage(0, 0, 0)
        failure: Exception | None = None

        async def generate() -> None:
            nonlocal usage, failure
            splitter = PhraseSplitter(self._first_phrase_chars)
            try:
                async for delta in self._reader.read(request, language):
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
            except EngineError as error:
                failure = error  # raised once the phrases before it are said
            finally:
                phrases.close()

        async def pronounce() -> None:
            shown = ""  # pictograms that no word has followed: said in words if none does
            async for phrase in phrases:
                phrase, shown = shown + phrase, ""
                if has_words(phrase):
                    await self._pronounce(request.response_id, phrase, voice)
                elif self._is_begun:
                    self._report(PhraseDelta(request.response_id, phrase))
                else:
                    shown = phrase
            if shown.strip() and failure is None and not self._is_begun:
                if not has_words(write_for_speech(shown, language)):
                    raise no_words("end")
                await self._pronounce(request.response_id, shown, voice)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(generate(), name=f"llm {request.response_id}")
                group.create_task(pronounce(), name=f"tts {request.response_id}")
        except ExceptionGroup as failures:
            failure = find_failure(failures, EngineError) or failures
        finally:
            self._speech.drop()
        if failure is not None:
            raise failure
        return usage

    # -- stages with their deadlines ----------------------------------------------------------

    async def _pronounce(
        self, response_id: str, phrase: str, voice: Voice, made: bytes = b""
    ) -> None:
        """Say a phrase; ``made`` is how it sounds where that is known already."""
        self._count_output(response_id, phrase)
        if not has_words(write_for_speech(phrase, voice.language)):
            self._report(PhraseDelta(response_id, phrase))
            return
        if made:
            self._report(PhraseDelta(response_id, phrase))
            self._report(AudioDelta(response_id, made))
            return
        stream = self._speech.take((phrase, voice))
        first_s = self._deadlines.tts_first_audio_ms / 1000
        async with aclosing(
            deadlined(stream, first_s, self._deadlines.tts_gap_ms / 1000, "tts")
        ) as chunks:
            told = False
            async for pcm in chunks:
                if not told:  # not before: a filler may be heard until here
                    told = True
                    self._report(PhraseDelta(response_id, phrase))
                self._report(AudioDelta(response_id, pcm))

    def _report_tool_call(self, response_id: str, call: LlmToolCall) -> None:
        kind = ToolCallDone if call.done else ToolCallDelta
        self._report(kind(response_id, call.call_id, call.name, call.arguments))


def _texts(item: Json) -> list[str]:
    """All that an LLM reads of an item."""
    parts = [part.get("text") or part.get("transcript") or "" for part in item.get("content") or ()]
    return parts + [item[key] for key in ("name", "arguments", "output") if item.get(key)]


def _voice(request: GenerationRequest, language: str) -> Voice:
    return Voice(language=language, name=request.voice, speed=request.speed)


def _is_same_speech(one: tuple[str, Voice], other: tuple[str, Voice]) -> bool:
    return one[0].strip() == other[0].strip() and one[1] == other[1]
