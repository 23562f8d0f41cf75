"""A Messages API at the vendor's edge: real HTTP, JSON and SSE, scripted.

Each step answers one request that it fits; a request that fits no step is a 500 and fails the
test at the end, as do steps that nothing came for. What the current API refuses (temperature,
forced tools, an open schema) is refused here too.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any

from aiohttp import web


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
        "correction": None,
    }


def correction(said: str, correct: str, kind: str = "date") -> Json:
    note = {
        "correction_needed": True,
        "correction_type": kind,
        "what_gpt_said": said,
        "correct_info": correct,
        "inject_correction": True,
    }
    return {"queries": [], "context_update": None, "correction": note}


NOTHING: Json = {"queries": [], "context_update": None, "correction": None}


class AnthropicDouble:
    """``async with AnthropicDouble() as vendor``."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.requests: list[Json] = []
        self.keys: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.unexpected: list[str] = []
        self.cancelled = 0
        self._runner: web.AppRunner | None = None
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
        async with asyncio.timeout(5.0):
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

    async def __aenter__(self) -> AnthropicDouble:
        app = web.Application(client_max_size=10 * 1024 * 1024)
        app.router.add_post("/v1/messages", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        if kind is None:
            self.check()

    def check(self) -> None:
        if self.unexpected:
            raise UnexpectedRequest(f"requests that no step fits: {self.unexpected}")
        left = [step for step in self.steps if step.times is not None and step.times > 0]
        if left:
            raise UnexpectedRequest(f"{len(left)} steps were never used")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
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
        step = next((s for s in self.steps if s.times != 0 and s.fits(task)), None)
        self.requests.append(body)
        self._news.set()
        if step is None:
            self.unexpected.append(f"{task['tarea']} {task['turno']}")
            return _error(500, "api_error", "no step fits")
        if step.times is not None:
            step.times -= 1
        try:
            await asyncio.sleep(step.delay_s)
            if step.gate is not None:
                await step.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if step.status != 200:
            return _error(step.status, _KINDS.get(step.status, "api_error"), "scripted")
        text = step.text if step.text is not None else json.dumps(step.answer, ensure_ascii=False)
        message = self._message(body, step, text)
        if body.get("stream"):
            return await _stream(request, message)
        return web.json_response(message)

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
    if "sonnet-5-5" in body["model"] and body.get("thinking") == {"type": "disabled"}:
        return "thinking cannot be disabled"
    form = (body.get("output_config") or {}).get("format") or {}
    return _open_object(form.get("schema") or {})


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


async def _stream(request: web.Request, message: Json) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)

    async def send(kind: str, **fields: Any) -> None:
        data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        await response.write(f"event: {kind}\ndata: {data}\n\n".encode())

    text = message["content"][0]["text"]
    await send("message_start", message={**message, "content": [], "stop_reason": None})
    await send("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for start in range(0, len(text), 40):
        delta = {"type": "text_delta", "text": text[start : start + 40]}
        await send("content_block_delta", index=0, delta=delta)
    await send("content_block_stop", index=0)
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": message["usage"]["output_tokens"]}
    await send("message_delta", delta=stop, usage=usage)
    await send("message_stop")
    return response
