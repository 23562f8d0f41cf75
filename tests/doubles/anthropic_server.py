"""A Messages API at the vendor's edge: real HTTP, JSON and SSE, scripted.

Each step answers one request that it fits; a request that fits no step is a 500 and fails the
test at the end, as do steps that nothing came for. What the vendor's types and guides say is a
400 (sampling, forced tools, an open schema, a way to think or an effort that the model does not
take, a model that is turned off) is refused here too, by a table of its own.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web
from anthropic.types import OutputConfigParam
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)

from tests.doubles.http import HttpDouble


Json = dict[str, Any]
Fits = Callable[[Json], bool]


class UnexpectedRequest(AssertionError):
    """The script and the requests do not match."""


@dataclass
class Step:
    """``status`` other than 200 is an error; ``text`` overrides ``answer``'s JSON as it stands."""

    fits: Fits
    answer: Json = field(default_factory=dict)
    text: str | None = None
    status: int = 200
    delay_s: float = 0.0
    stop_reason: str = "end_turn"
    usage: Json = field(default_factory=dict)
    times: int | None = 1
    gate: asyncio.Event | None = None
    """The reply waits for it, so that a test can let something overtake it."""
    started: bool = False
    """Whether the stream begins (``message_start``) before the wait, not after it."""


def folio(
    intent: str,
    data: Json | None = None,
    *,
    elements: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    queries: tuple[str, ...] = (),
) -> Json:
    """An answer with a context update."""
    pairs = [{"name": name, "value": value} for name, value in (data or {}).items()]
    return {
        "queries": list(queries),
        "context_update": {
            "user_intent": intent,
            "relevant_data": pairs,
            "suggested_response_elements": list(elements),
            "tone_guidance": "profesional pero cercano",
            "warnings": list(warnings),
        },
        "corrections": [],
    }


def note(said: str, correct: str, kind: str = "date", evidence: str = "") -> Json:
    """One entry of ``corrections``."""
    return {
        "correction_type": kind,
        "what_gpt_said": said,
        "correct_info": correct,
        "evidence": evidence,
    }


def correction(said: str, correct: str, kind: str = "date", evidence: str = "") -> Json:
    """An answer with one correction."""
    return {**NOTHING, "corrections": [note(said, correct, kind, evidence)]}


NOTHING: Json = {"queries": [], "context_update": None, "corrections": []}


class AnthropicDouble(HttpDouble):
    """``async with AnthropicDouble() as vendor``."""

    cancels = True

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.requests: list[Json] = []
        self.keys: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.unexpected: list[str] = []
        self.cancelled = 0
        self._transports: list[asyncio.Transport] = []
        self._ids = count(1)
        self._news = asyncio.Event()
        self.base_url = ""

    def on(self, purpose: str, turn: int | None = None, **fields: Any) -> Step:
        """Add a step for ``turn`` or ``review`` of a turn (None: any)."""

        def fits(task: Json) -> bool:
            return task["tarea"] == purpose and turn in (None, task["turno"])

        step = Step(fits, **fields)
        self.steps.append(step)
        return step

    async def until(self, requests: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(60):
            while len(self.requests) < requests:
                self._news.clear()
                await self._news.wait()

    def task(self, request: Json) -> Json:
        """The ``<tarea>`` of a request."""
        last = request["messages"][-1]["content"][-1]["text"]
        found = re.search(r"<tarea>\n(.*)\n</tarea>", last, re.DOTALL)
        assert found is not None
        parsed: Json = json.loads(found[1])
        return parsed

    def app(self) -> web.Application:
        app = web.Application(client_max_size=10 * 1024 * 1024)
        app.router.add_post("/v1/messages", self._serve)
        return app

    async def start(self) -> None:
        await super().start()
        self.base_url = self.address

    async def hang_up(self) -> None:
        """Break every connection off, whatever is under way."""
        for transport in self._transports:
            transport.abort()

    def check(self) -> None:
        if self.unexpected:
            raise UnexpectedRequest(f"requests that no step fits: {self.unexpected}")
        left = [step for step in self.steps if step.times is not None and step.times > 0]
        if left:
            raise UnexpectedRequest(f"{len(left)} steps were never used")

    def find_step(self, task: Json, body: Json) -> Step | None:
        """The step that answers a request; a double that plays the model overrides it."""
        return next((s for s in self.steps if s.times != 0 and s.fits(task)), None)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        if request.transport is not None:
            self._transports.append(request.transport)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        key = bearer or request.headers.get("x-api-key", "")
        if not key:
            return _error(401, "authentication_error", "no key")
        self.keys.append(key)
        body = await request.json()
        refusal = _refuse(body, request)
        if refusal:
            self.unexpected.append(refusal)
            return _error(400, "invalid_request_error", refusal)
        task = self.task(body)
        step = self.find_step(task, body)
        self.requests.append(body)
        self._news.set()
        if step is None:
            self.unexpected.append(f"{task['tarea']} {task['turno']}")
            return _error(500, "api_error", "no step fits")
        if step.times is not None:
            step.times -= 1
        text = step.text if step.text is not None else json.dumps(step.answer, ensure_ascii=False)
        message = self._message(body, step, text)
        stream = _MessageStream(request, message)
        try:
            if step.started:
                await stream.start()
            await asyncio.sleep(step.delay_s)
            if step.gate is not None:
                await step.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if step.status != 200:
            return _error(step.status, _KINDS.get(step.status, "api_error"), "scripted")
        if not body.get("stream"):
            return web.json_response(message)
        if not step.started:
            await stream.start()
        return await stream.finish()

    def _message(self, body: Json, step: Step, text: str) -> Json:
        usage = {
            "input_tokens": 600,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 3000,
            "output_tokens": 250,
            **step.usage,
        }
        return {
            "id": f"msg_{next(self._ids)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": step.stop_reason,
            "stop_sequence": None,
            "usage": usage,
        }


_KINDS = {429: "rate_limit_error", 529: "overloaded_error", 400: "invalid_request_error"}


def _refuse(body: Json, request: web.Request) -> str:
    if "anthropic-version" not in request.headers:
        return "anthropic-version is missing"
    if not isinstance(body.get("max_tokens"), int):
        return "max_tokens is missing"
    for name in ("temperature", "top_p", "top_k"):
        if name in body:
            return f"{name} is not supported"
    if (body.get("tool_choice") or {}).get("type") in ("tool", "any"):
        return "forced tool use is not supported"
    refusal = refuse_model(body) or _refuse_shape(body)
    if refusal:
        return refusal
    form = (body.get("output_config") or {}).get("format") or {}
    return _open_object(form.get("schema") or {})


_PARAMETERS = {*MessageCreateParamsNonStreaming.__annotations__} | {
    *MessageCreateParamsStreaming.__annotations__
}
_MOST_CACHE_MARKS = 4


def _refuse_shape(body: Json) -> str:
    """What the SDK's types do not have, or the API's guides say is a 400 for every model."""
    unknown = set(body) - _PARAMETERS
    if unknown:
        return f"{sorted(unknown)[0]}: Extra inputs are not permitted"
    unknown = set(body.get("output_config") or {}) - set(OutputConfigParam.__annotations__)
    if unknown:
        return f"output_config.{sorted(unknown)[0]}: Extra inputs are not permitted"
    if not body["messages"] or body["messages"][-1]["role"] != "user":
        return "the conversation must end with a user message"
    blocks = [*(body.get("system") or []), *body["messages"][-1]["content"]]
    if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
        return "text content blocks must be non-empty"
    if sum("cache_control" in block for block in blocks) > _MOST_CACHE_MARKS:
        return "A maximum of 4 blocks with cache_control may be provided."
    return ""


_TURNED_OFF = frozenset(
    ["claude-sonnet-4-20250514", "claude-sonnet-4-0", "claude-opus-4-20250514", "claude-opus-4-0"]
)
_THINKING = {
    "claude-opus-5-5": {"adaptive"},
    "claude-sonnet-5-5": {"adaptive", "between_tools"},
    "claude-haiku-5-5": {"adaptive", "disabled"},
    "claude-opus-5": {"adaptive", "disabled"},
    "claude-sonnet-5": {"adaptive", "disabled"},
    "claude-haiku-4-5": {"enabled", "disabled"},
    "claude-sonnet-4-5": {"enabled", "disabled"},
}
"""Model -> the ``thinking.type`` it takes; of others any is taken."""
_WITHOUT_EFFORT = frozenset(["claude-haiku-4-5", "claude-sonnet-4-5"])


def refuse_model(body: Json) -> str:
    """Why the vendor answers 400 to these parameters of this model; "" when it takes them."""
    model = body["model"]
    if model in _TURNED_OFF:
        return f"model: {model} was turned off"
    thinking = (body.get("thinking") or {}).get("type")
    if thinking is not None and thinking not in _THINKING.get(model, {thinking}):
        return f'"thinking.type.{thinking}" is not supported for this model.'
    effort = (body.get("output_config") or {}).get("effort")
    if effort is not None and model in _WITHOUT_EFFORT:
        return "This model does not support the effort parameter."
    if thinking == "disabled" and effort in ("xhigh", "max"):
        return "effort is too high with thinking off"
    return ""


def _open_object(schema: Any) -> str:
    """Structured output wants every object closed."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            return "an object of the schema is open"
        return next(filter(None, map(_open_object, schema.values())), "")
    if isinstance(schema, list):
        return next(filter(None, map(_open_object, schema)), "")
    return ""


def _error(status: int, kind: str, message: str) -> web.Response:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return web.json_response(body, status=status)


class _MessageStream:
    """One message as server-sent events, in two steps."""

    def __init__(self, request: web.Request, message: Json) -> None:
        self._request = request
        self._message = message
        self._response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})

    async def start(self) -> None:
        """The headers and ``message_start``, whose usage has the input but hardly any output."""
        await self._response.prepare(self._request)
        usage = {**self._message["usage"], "output_tokens": 1}
        begun = {**self._message, "content": [], "stop_reason": None, "usage": usage}
        await self._send("message_start", message=begun)

    async def finish(self) -> web.StreamResponse:
        """The rest of the message."""
        message, send = self._message, self._send
        text = message["content"][0]["text"]
        await send("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for start in range(0, len(text), 40):
            delta = {"type": "text_delta", "text": text[start : start + 40]}
            await send("content_block_delta", index=0, delta=delta)
        await send("content_block_stop", index=0)
        stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        usage = {"output_tokens": message["usage"]["output_tokens"]}
        await send("message_delta", delta=stop, usage=usage)
        await send("message_stop")
        return self._response

    async def _send(self, kind: str, **fields: Any) -> None:
        data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        await self._response.write(f"event: {kind}\ndata: {data}\n\n".encode())
