"""What a language model answers: within its deadlines, without what is not to be said, and with
what it calls of the house run on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from penny.errors import EngineError
from penny.realtime.commands import GenerationRequest, Json
from runpod_worker.answering import closable
from runpod_worker.house import House
from runpod_worker.sayable import CODE, HIDDEN, Sayable
from runpod_worker.settings import DeadlineSettings
from runpod_worker.stages import Llm, LlmDelta, LlmRequest, LlmText, LlmToolCall, LlmUsage


T = TypeVar("T")

MAX_ROUNDS = 4
"""Prompts of one answer that calls tools of the house; the last one may call none."""
NEXT_FILLER_S = 4.0


@dataclass(slots=True)
class _Round:
    """What came of one prompt of an answer."""

    said: str = ""
    calls: list[LlmToolCall] = field(default_factory=list)
    is_clients: bool = False
    """The client's own tools were called: it goes on with their results."""
    usage: LlmUsage = LlmUsage(0, 0, 0)


class AnswerReader:
    """Reads one answer of an Llm.

    Args:
        on_first_token: called once, with the response's id.
        house: what the answer may look up and do; None is nothing.
        fillers: said in turn while a tool of the house takes long.
    """

    def __init__(
        self,
        llm: Llm,
        deadlines: DeadlineSettings,
        on_first_token: Callable[[str], None],
        house: House | None,
        fillers: Sequence[str],
    ) -> None:
        self._llm = llm
        self._deadlines = deadlines
        self._on_first_token = on_first_token
        self._house = house
        self._fillers = fillers
        self._has_token = False

    async def read(self, request: GenerationRequest, language: str) -> AsyncIterator[LlmDelta]:
        """The answer; what it calls of the house is run, and the answer goes on with the result."""
        wanted = write_llm_request(request, language)
        if self._house is not None:
            wanted = await self._house.prepare(wanted)
        usage = LlmUsage(0, 0, 0)
        for left in range(MAX_ROUNDS, 0, -1):
            part = _Round()
            async with aclosing(self._read_round(request, wanted, part)) as deltas:
                async for delta in deltas:
                    yield delta
            usage = _add_usage(usage, part.usage)
            if self._house is None or not part.calls:
                break
            if part.said.strip():
                yield LlmText("\n")
            outputs = asyncio.ensure_future(self._house.run_all(part.calls, wanted))
            try:
                for filler in (*self._fillers, ""):
                    limit_s = NEXT_FILLER_S if filler else None
                    done, _ = await asyncio.wait((outputs,), timeout=limit_s)
                    if done:
                        break
                    yield LlmText(f"{filler}\n")
            finally:
                outputs.cancel()
            if part.is_clients:
                break
            wanted = replace(
                wanted,
                items=(*wanted.items, *_said_item(part.said), *outputs.result()),
                tool_choice="none" if left == 2 else "auto",
            )
        yield usage

    async def _read_round(
        self, request: GenerationRequest, wanted: LlmRequest, part: _Round
    ) -> AsyncGenerator[LlmDelta, None]:
        """What the model says to one prompt; the house's calls and the usage go into ``part``."""
        stream = self._llm.generate(wanted)
        limit_s = self._deadlines.llm_first_token_ms / 1000
        empty = True
        spoken = request.modality == "audio"
        sayable = Sayable(HIDDEN | CODE if spoken else HIDDEN)
        async with aclosing(
            deadlined(stream, limit_s, self._deadlines.llm_gap_ms / 1000, "llm")
        ) as deltas:
            async for delta in deltas:
                text = sayable.feed(delta.text) if isinstance(delta, LlmText) else sayable.flush()
                empty &= not text.strip() and not isinstance(delta, LlmToolCall)
                if empty and isinstance(delta, LlmUsage):
                    raise no_words(delta.stop)
                if not empty and not self._has_token:
                    self._has_token = True
                    self._on_first_token(request.response_id)
                if text:
                    part.said += text
                    yield LlmText(text)
                if isinstance(delta, LlmUsage):
                    part.usage = delta
                elif isinstance(delta, LlmToolCall):
                    if self._house is not None and self._house.runs(delta.name, request.tools):
                        part.calls += [delta] if delta.done else []
                    else:
                        part.is_clients = True
                        yield delta


def write_llm_request(request: GenerationRequest, language: str) -> LlmRequest:
    """What the language model is asked for a response."""
    return LlmRequest(
        instructions=request.instructions,
        items=request.items,
        tools=request.tools,
        tool_choice=request.tool_choice,
        max_output_tokens=request.max_output_tokens,
        language=language,
        truncation=request.truncation,
    )


def _said_item(said: str) -> list[Json]:
    if not said.strip():
        return []
    content = [{"type": "output_text", "text": said.strip()}]
    return [{"type": "message", "role": "assistant", "content": content}]


def _add_usage(one: LlmUsage, more: LlmUsage) -> LlmUsage:
    return LlmUsage(
        one.input_tokens + more.input_tokens,
        one.cached_tokens + more.cached_tokens,
        one.output_tokens + more.output_tokens,
        more.stop,
    )


def no_words(stop: str) -> EngineError:
    """The error of an answer without a word; only a model that ended it itself is asked again."""
    if stop == "filter":
        message, code = "the language model's filter kept the whole answer back", "llm_filtered"
    else:
        message, code = "the language model answered nothing", "llm_empty"
    return EngineError(message, stage="llm", code=code, retryable=stop == "end")


async def deadlined(
    stream: AsyncIterator[T], first_s: float, gap_s: float, stage: str
) -> AsyncGenerator[T, None]:
    """Pass a stream on; raise EngineError when its first item or the next one comes too late."""
    limit_s = first_s
    async with aclosing(closable(stream)) as items:
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    item = await anext(items)
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
