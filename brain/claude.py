"""The one file that knows Anthropic's SDK: an analysis over the Messages API.

Structured output by JSON schema (``output_config.format``; current models refuse forced tools),
one deadline for the whole call, no silent retries: a later turn is the retry.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from typing import Any

import anthropic
from pydantic import ValidationError

from brain.analysis import Analysis, AnalysisRequest, BrainFailure, BrainUsage
from brain.folio import ContextUpdate, CorrectionNote
from brain.prompt import SYSTEM, build_blocks, output_schema
from config.brain import Depth
from config.credentials import ANTHROPIC_API_KEY, read_secret
from penny.tracing.current import trace_headers


Json = dict[str, Any]

MAX_QUERIES = 3
CACHED_BLOCKS_FROM = 2
"""Finished turns before the conversation gets a cache mark of its own: less is below the
smallest prefix that is cached (512 tokens)."""


class Claude:
    """A client for every session of a gateway.

    Args:
        base_url: another Messages server; null is Anthropic's.
        system: the prompt; ``replay`` may bring another.
        timestamp: wall clock for folios, ISO 8601.
    """

    def __init__(
        self,
        base_url: str | None,
        *,
        system: str = SYSTEM,
        timestamp: Callable[[], str],
    ) -> None:
        key = read_secret(ANTHROPIC_API_KEY, os.environ)
        self._client = anthropic.AsyncAnthropic(
            api_key=key.get_secret_value() if key is not None else "none",
            base_url=base_url,
            max_retries=0,
            # Its own spans would go wherever the environment says, with a trace header for the
            # vendor: what is traced here is for Penny to say.
            open_telemetry=False,
        )
        self._system = system
        self._schema = output_schema()
        self._timestamp = timestamp

    async def analyse(self, request: AnalysisRequest, model: str, depth: Depth) -> Analysis:
        """Ask once. Raises BrainFailure with the reason as its code."""
        started_s = time.perf_counter()
        try:
            async with asyncio.timeout(depth.deadline_ms / 1000):
                message = await self._client.messages.create(
                    **self._build_call(request, model, depth),
                    extra_headers=trace_headers(str(self._client.base_url)),
                )
        except TimeoutError as error:
            raise BrainFailure(
                f"no answer within {depth.deadline_ms} ms", code="deadline"
            ) from error
        except anthropic.APIStatusError as error:
            raise BrainFailure(f"HTTP {error.status_code}", code=_code_of(error)) from error
        except anthropic.APIConnectionError as error:
            raise BrainFailure("no connection", code="connection") from error
        except anthropic.AnthropicError as error:
            raise BrainFailure(type(error).__name__, code="broken_json") from error
        usage = _usage(message.usage, model)
        took_ms = round((time.perf_counter() - started_s) * 1000)
        if message.stop_reason == "refusal":
            raise BilledFailure("the model refused", "refusal", usage)
        text = next((block.text for block in message.content if block.type == "text"), "")
        try:
            update, correction, queries = read_answer(text, self._timestamp())
        except ValueError as error:
            cut = message.stop_reason == "max_tokens"
            code = "truncated" if cut else "broken_json"
            raise BilledFailure("the answer is not the JSON asked for", code, usage) from error
        return Analysis(update, correction, queries, usage, took_ms)

    async def aclose(self) -> None:
        await self._client.close()

    def _build_call(self, request: AnalysisRequest, model: str, depth: Depth) -> Json:
        stable, last = build_blocks(request)
        content: list[Json] = [{"type": "text", "text": text} for text in stable]
        if len(content) > CACHED_BLOCKS_FROM:
            content[-1]["cache_control"] = {"type": "ephemeral"}
        content.append({"type": "text", "text": last})
        output: Json = {"format": {"type": "json_schema", "schema": self._schema}}
        if depth.effort is not None:
            output["effort"] = depth.effort
        call: Json = {
            "model": model,
            "max_tokens": depth.max_tokens,
            "system": [
                {"type": "text", "text": self._system, "cache_control": {"type": "ephemeral"}}
            ],
            "messages": [{"role": "user", "content": content}],
            "output_config": output,
        }
        if depth.thinking != "default":
            call["thinking"] = {"type": depth.thinking}
        return call


class BilledFailure(BrainFailure):
    """A failure that was paid for all the same."""

    def __init__(self, message: str, code: str, usage: BrainUsage) -> None:
        super().__init__(message, code=code)
        self.usage = usage


def read_answer(
    text: str, timestamp: str
) -> tuple[ContextUpdate | None, CorrectionNote | None, tuple[str, ...]]:
    """Read the model's JSON, forgiving what servers without structured output put around it.

    Raises:
        ValueError: there is no such JSON in it.
    """
    found = re.search(r"\{.*\}", text, re.DOTALL)
    if found is None:
        raise ValueError("no JSON object")
    data = json.loads(found[0])
    try:
        update, correction = data.get("context_update"), data.get("correction")
        if isinstance(update, dict):
            pairs = update.get("relevant_data") or {}
            if isinstance(pairs, list):
                pairs = {str(pair["name"]): pair["value"] for pair in pairs}
            update = {**update, "relevant_data": pairs, "timestamp": timestamp}
        queries = data.get("queries") or []
        return (
            ContextUpdate.model_validate(update) if update else None,
            CorrectionNote.model_validate(correction) if correction else None,
            tuple(str(query)[:200] for query in queries[:MAX_QUERIES]),
        )
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an answer: {type(error).__name__}") from error


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
    if error.status_code == 529:
        return "overloaded"
    if error.status_code == 429:
        return "rate_limited"
    if error.status_code in (401, 403):
        return "credentials"
    return "server_error" if error.status_code >= 500 else "invalid_request"
