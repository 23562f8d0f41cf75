"""Spans of a worker's stages, under the gateway's turns: vad, stt, llm, tts.

What the listener does is seen in the events that leave; what the models do, around the models. A
turn is known by its item's id, on which the gateway agrees (``penny.tracing.trace``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from penny.tracing.trace import Span, Trace
from runpod_worker.answering import closable
from runpod_worker.engines.registry import Engines
from runpod_worker.stages import EngineInfo, Llm, LlmDelta, LlmRequest, LlmUsage, Tts, Voice


Json = dict[str, Any]
SendEvent = Callable[[Json], Awaitable[None]]

KEPT_SPANS = 16
"""Utterances at once: more are open only when their transcripts never come."""


class StageTrace:
    """One traced connection: what of it belongs to which turn."""

    def __init__(self, trace: Trace, engines: Engines) -> None:
        self._trace = trace
        self._engines = engines
        self._hearing: Span | None = None
        self._transcribing: dict[str, Span] = {}
        self.turn_id = ""
        """The newest turn: what is generated and spoken belongs to it."""

    def start(self, name: str, engine: EngineInfo, item_id: str) -> Span:
        return self._trace.start(name, item_id=item_id, attributes={"penny.engine": engine.name})

    def watch(self, event: Json) -> None:
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self.turn_id = event["item_id"]
                self._stop_hearing()
                self._hearing = self.start("vad", self._engines.vad.info, self.turn_id)
            case "input_audio_buffer.speech_stopped" | "input_audio_buffer.cleared":
                self._stop_hearing()
            case "input_audio_buffer.committed":
                self.turn_id = item_id = event["item_id"]
                span = self.start("stt", self._engines.stt.info, item_id)
                self._transcribing[item_id] = span
                while len(self._transcribing) > KEPT_SPANS:
                    self._transcribing.pop(next(iter(self._transcribing))).end(
                        error="no_transcript"
                    )
            case "conversation.item.added" if event["item"].get("role") == "user":
                self.turn_id = event["item"]["id"]
            case "penny.transcript":
                span_of = self._transcribing.pop(event["item_id"], None)
                if span_of is not None:
                    span_of.set({"penny.understood": bool(event["understood"])})
                    span_of.end()
            case "conversation.item.input_audio_transcription.failed":
                failed = self._transcribing.pop(event["item_id"], None)
                if failed is not None:
                    failed.end(error=str(event["error"].get("code") or "stt_failed"))

    def _stop_hearing(self) -> None:
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            hearing.end()


class TracedLlm:
    """Llm that records a span for each answer.

    Fulfils ``stages.Llm``.
    """

    def __init__(self, llm: Llm, stages: StageTrace) -> None:
        self.info = llm.info
        self._llm = llm
        self._stages = stages

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        span = self._stages.start("llm", self.info, self._turn_of(request))
        span.set({"gen_ai.operation.name": "chat", "gen_ai.provider.name": "penny"})
        error = ""
        try:
            async with aclosing(closable(self._llm.generate(request))) as deltas:
                async for delta in deltas:
                    if isinstance(delta, LlmUsage):
                        span.set(
                            {
                                "gen_ai.usage.input_tokens": delta.input_tokens,
                                "gen_ai.usage.output_tokens": delta.output_tokens,
                            }
                        )
                    yield delta
        except GeneratorExit:
            error = "interrupted"
            raise
        except BaseException as failure:
            error = str(getattr(failure, "code", "")) or type(failure).__name__
            raise
        finally:
            span.end(error=error)

    def count_tokens(self, text: str) -> int:
        return self._llm.count_tokens(text)

    async def prime(self, request: LlmRequest) -> None:
        await self._llm.prime(request)

    async def aclose(self) -> None:
        """The model is shared: it stays."""

    def _turn_of(self, request: LlmRequest) -> str:
        """The caller's last item; one that is still being said has no id yet."""
        for item in reversed(request.items):
            if item.get("role") == "user":
                return str(item.get("id") or "") or self._stages.turn_id
        return self._stages.turn_id


class TracedTts:
    """Tts that records a span for each phrase.

    Fulfils ``stages.Tts``: one span a phrase.
    """

    def __init__(self, tts: Tts, stages: StageTrace) -> None:
        self.info = tts.info
        self._tts = tts
        self._stages = stages

    def voices(self) -> Sequence[str]:
        return self._tts.voices()

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        span = self._stages.start("tts", self.info, self._stages.turn_id)
        spoken_bytes, error = 0, ""
        try:
            async with aclosing(closable(self._tts.synthesize(phrase, voice))) as chunks:
                async for pcm in chunks:
                    spoken_bytes += len(pcm)
                    yield pcm
        except GeneratorExit:
            error = "interrupted"
            raise
        except BaseException as failure:
            error = str(getattr(failure, "code", "")) or type(failure).__name__
            raise
        finally:
            span.set({"penny.audio.ms": spoken_bytes // 48})
            span.end(error=error)

    async def aclose(self) -> None:
        """The voice is shared: it stays."""


def trace_stages(trace: Trace, engines: Engines, send: SendEvent) -> tuple[Engines, SendEvent]:
    """The engines and the way out of one traced connection."""
    stages = StageTrace(trace, engines)

    async def send_watched(event: Json) -> None:
        stages.watch(event)
        await send(event)

    traced = replace(
        engines, llm=TracedLlm(engines.llm, stages), tts=TracedTts(engines.tts, stages)
    )
    return traced, send_watched
