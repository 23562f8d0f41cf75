"""Anthropic's SDK, and nowhere else: an analysis over the Messages API, streamed.

Structured output by JSON schema (``output_config.format``; current models refuse forced tools),
one deadline for the whole call, no silent retries: a later turn is the retry.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal, TypeVar

import anthropic
import httpx2
from anthropic.resources.messages import DEPRECATED_MODELS

from brain import understanding
from brain.analysis import Analysis, AnalysisRequest, BrainFailure, BrainUsage
from brain.prompt import SCHEMA, SYSTEM, build_blocks, read_answer
from brain.texts import read_table
from config.brain import Depth
from config.credentials import ANTHROPIC_API_KEY, read_secret
from penny.analysis.dialogue import Said
from penny.realtime.usage import estimate_tokens
from penny.tracing.current import trace_headers


Json = dict[str, Any]
Read = TypeVar("Read")

THINKING_TOKENS = 2_000
"""Added to ``max_tokens`` of a model that thinks: its thoughts count toward the same limit."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model takes. ``thinking_off``: the ``thinking.type`` that has it answer without
    thinking first, ``omitted`` where it does so by itself, None where it always thinks;
    ``effort``: whether ``output_config.effort`` is taken, otherwise it is a 400."""

    thinking_off: Literal["disabled", "between_tools", "omitted"] | None
    effort: bool


UNKNOWN = ModelFacts("omitted", effort=False)
"""Of a name that is no Claude model, such as one of another Messages server: it is sent neither."""
FACTS = {
    name: ModelFacts(group["thinking_off"], group["effort"])
    for group in read_table("models")["models"]
    for name in group["names"]
}


def request_parameters(model: str, depth: Depth) -> Json:
    """``max_tokens``, and ``thinking`` and ``output_config.effort`` where the model takes them.

    A depth is a wish: a model that cannot leave thinking off gets room for its thoughts instead.
    """
    facts = FACTS.get(model, UNKNOWN)
    parameters: Json = {"max_tokens": depth.max_tokens}
    thinks = facts.thinking_off is None
    if depth.thinking == "disabled" and facts.thinking_off in ("disabled", "between_tools"):
        parameters["thinking"] = {"type": facts.thinking_off}
    elif depth.thinking == "default":
        thinks = facts.thinking_off != "omitted"
    if thinks:
        parameters["max_tokens"] += THINKING_TOKENS
    if depth.effort is not None and facts.effort:
        parameters["output_config"] = {"effort": depth.effort}
    return parameters


def find_fault(model: str, today: date) -> str:
    """Why requests to this model fail, or will, as the SDK knows it; "" when nothing is known."""
    ends = DEPRECATED_MODELS.get(model)
    if ends is not None:
        month, day, year = ends.replace(",", "").split()  # June 15th, 2026
        last = datetime.strptime(f"{month} {day[:-2]} {year}", "%B %d %Y").date()  # noqa: DTZ007
        return f"{model} {'was' if last <= today else 'is'} turned off on {ends}"
    if model.startswith("claude-") and model not in FACTS:
        return f"{model} is no model that the installed SDK knows; it is sent plain requests"
    return ""


Bill = Callable[[BrainUsage], None]

CACHED_BLOCKS_FROM = 2
"""Finished turns before the conversation gets a cache mark of its own: less is below the
smallest prefix that is cached (512 tokens)."""


class Claude:
    """A client for every session of a gateway. ``base_url``: None is Anthropic's."""

    def __init__(self, base_url: str | None) -> None:
        key = read_secret(ANTHROPIC_API_KEY, os.environ)
        self._client = anthropic.AsyncAnthropic(
            api_key=key.get_secret_value() if key is not None else "none",
            base_url=base_url,
            max_retries=0,
            # Its own spans would go wherever the environment says, with a trace header for the
            # vendor: what is traced here is for Penny to say.
            open_telemetry=False,
        )

    async def analyse(
        self, request: AnalysisRequest, model: str, depth: Depth, bill: Bill
    ) -> Analysis:
        """Ask once. ``bill`` is told once what was used, however the call ends, cancelled too.
        Raises BrainFailure with the reason as its code."""
        started_s = time.perf_counter()
        call = _build_call(request, model, depth)
        sent = [*call["system"], *call["messages"][0]["content"]]
        stream = _Stream(model, sum(estimate_tokens(block["text"]) for block in sent))
        try:
            await self._ask(call, stream, depth.deadline_ms)
        finally:
            bill(stream.usage)
        update, corrections, queries = stream.read(read_answer)
        took_ms = round((time.perf_counter() - started_s) * 1000)
        return Analysis(update, corrections, queries, stream.usage, took_ms)

    async def understand(self, said: Sequence[Said], model: str) -> tuple[Json, BrainUsage]:
        """What a call that is over came to (``brain.understanding.SCHEMA``), and what was used.
        Raises BrainFailure."""
        text = understanding.write_call(said)
        stream = _Stream(model, estimate_tokens(understanding.SYSTEM + text))
        depth = Depth(max_tokens=understanding.MAX_TOKENS)
        content: list[Json] = [{"type": "text", "text": text}]
        system = {"type": "text", "text": understanding.SYSTEM}
        call = _message(model, depth, system, content, understanding.SCHEMA)
        await self._ask(call, stream, understanding.DEADLINE_MS)
        return stream.read(understanding.read_told), stream.usage

    async def aclose(self) -> None:
        await self._client.close()

    async def _ask(self, call: Json, stream: _Stream, deadline_ms: int) -> None:
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                await self._read(call, stream)
        except TimeoutError as error:
            message = f"no answer within {deadline_ms} ms"
            raise BrainFailure(message, code="deadline") from error
        except anthropic.APIStatusError as error:
            stream.refused(error.status_code)
            code = _code_of(error)
            # What the vendor says of our own mistake has no caller's words in it.
            said = f": {error.message[:300]}" if code == "invalid_request" else ""
            raise BrainFailure(f"HTTP {error.status_code}{said}", code=code) from error
        except (anthropic.APIConnectionError, httpx2.TransportError) as error:
            raise BrainFailure("no connection", code="connection") from error
        except anthropic.AnthropicError as error:
            raise BrainFailure(type(error).__name__, code="broken_json") from error
        if stream.stop_reason == "refusal":
            raise BrainFailure("the model refused", code="refusal")

    async def _read(self, call: Json, stream: _Stream) -> None:
        events = await self._client.messages.create(
            **call, stream=True, extra_headers=trace_headers(str(self._client.base_url))
        )
        async with events:
            async for event in events:
                stream.take(event)


def _build_call(request: AnalysisRequest, model: str, depth: Depth) -> Json:
    stable, last = build_blocks(request)
    content: list[Json] = [{"type": "text", "text": text} for text in stable]
    if len(content) > CACHED_BLOCKS_FROM:
        content[-1]["cache_control"] = {"type": "ephemeral"}
    content.append({"type": "text", "text": last})
    system = {"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}
    return _message(model, depth, system, content, SCHEMA)


def _message(model: str, depth: Depth, system: Json, content: list[Json], schema: Json) -> Json:
    parameters = request_parameters(model, depth)
    form: Json = {"format": {"type": "json_schema", "schema": schema}}
    return {
        **parameters,
        "model": model,
        "system": [system],
        "messages": [{"role": "user", "content": content}],
        "output_config": form | parameters.get("output_config", {}),
    }


class _Stream:
    """What has come of one streamed message, and what it has cost so far."""

    def __init__(self, model: str, input_tokens: int) -> None:
        self.text = ""
        self.stop_reason = ""
        self._known = BrainUsage(model=model, input_tokens=input_tokens)
        self._output_told = False

    def take(self, event: Any) -> None:
        if event.type == "message_start":
            self._known = _usage(event.message.usage, self._known.model)
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            self.text += event.delta.text
        elif event.type == "message_delta":
            self.stop_reason = event.delta.stop_reason or ""
            self._output_told = True
            self._known = replace(self._known, output_tokens=event.usage.output_tokens)

    def refused(self, status: int) -> None:
        """The server answered with an error: instead of a message it bills nothing."""
        if status >= 400:
            self._known = BrainUsage(model=self._known.model)
            self._output_told = True

    def read(self, how: Callable[[str], Read]) -> Read:
        """The answer, read. Raises BrainFailure where it is not the JSON that was asked for."""
        try:
            return how(self.text)
        except ValueError as error:
            code = "truncated" if self.stop_reason == "max_tokens" else "broken_json"
            raise BrainFailure("the answer is not the JSON asked for", code=code) from error

    @property
    def usage(self) -> BrainUsage:
        """As the provider counts; before it has counted, at least what was sent and received."""
        if self._output_told:
            return self._known
        written = estimate_tokens(self.text)
        return replace(self._known, output_tokens=max(self._known.output_tokens, written))


def _usage(usage: anthropic.types.Usage, model: str) -> BrainUsage:
    written = usage.cache_creation_input_tokens or 0
    by_ttl = usage.cache_creation
    hour = (by_ttl.ephemeral_1h_input_tokens or 0) if by_ttl is not None else 0
    return BrainUsage(
        model=model,
        input_tokens=usage.input_tokens,
        cache_write_5m_tokens=written - hour,
        cache_write_1h_tokens=hour,
        cache_read_tokens=usage.cache_read_input_tokens or 0,
        output_tokens=usage.output_tokens,
    )


def _code_of(error: anthropic.APIStatusError) -> str:
    if error.status_code < 400:  # an ``error`` event within a stream that had begun
        return "overloaded" if "overloaded" in str(error.body) else "server_error"
    if error.status_code == 529:
        return "overloaded"
    if error.status_code == 429:
        return "rate_limited"
    if error.status_code in (401, 403):
        return "credentials"
    return "server_error" if error.status_code >= 500 else "invalid_request"
