"""A chat server that refuses what the real ones refuse, in their own words.

Wordings: of vLLM, Ollama, llama.cpp and LM Studio as their users report them; llama.cpp's were read
from one that ran here (xllamacpp 2026.10).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web


Json = dict[str, Any]
Kind = Literal["vllm", "llama.cpp", "ollama", "lm-studio"]
Answer = Callable[[Json], Sequence[Json]]
"""The deltas of an answer to a request's body."""

ALTERNATE = (
    "After the optional system message, conversation roles must alternate user and assistant roles "
    "except for tool calls and results."
)


def words(text: str) -> list[Json]:
    """The deltas of an answer in words."""
    return [{"content": f"{word} "} for word in text.split(" ")]


def called(name: str, arguments: Json, call_id: str = "c1") -> list[Json]:
    """The delta of a function call."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return [{"tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": function}]}]


def count(body: Json) -> int:
    """Tokens of a request: three characters each, and eight around a message."""
    texts = [str(message.get("content") or "") for message in body["messages"]]
    texts += [json.dumps(m["tool_calls"]) for m in body["messages"] if m.get("tool_calls")]
    texts += [json.dumps(body["tools"])] if body.get("tools") else []
    return sum(len(text) for text in texts) // 3 + 8 * len(body["messages"])


def assert_strict_template(messages: Sequence[Json]) -> None:
    """What Mistral's template raises for, as AssertionError."""
    rest = list(messages)
    if rest and rest[0]["role"] == "system":
        rest.pop(0)
    shown = _turns(rest)
    assert all(role in ("user", "assistant") for role in shown), "Only user and assistant roles"
    assert all(role == ("user", "assistant")[at % 2] for at, role in enumerate(shown)), ALTERNATE
    assert rest, "no user query found in messages"
    assert rest[-1]["role"] in ("user", "tool"), "the last message is the assistant's"


def _turns(messages: Sequence[Json]) -> list[str]:
    """The roles that have to alternate: calls and their outputs stand outside."""
    return [m["role"] for m in messages if m["role"] != "tool" and not m.get("tool_calls")]


@dataclass
class ChatServer:
    """``routes`` of one server and model.

    Args:
        answer: what the model says to a request's body.
        window: of the model; a longer prompt (with its ``max_tokens`` in vLLM) is refused, by
            Ollama cut without a word.
        tools: whether the model may be given any. parses: whether its calls are taken out of the
            text.
        system: whether its template has that role.
    """

    answer: Answer
    kind: Kind = "vllm"
    window: int = 4096
    tools: bool = True
    parses: bool = True
    system: bool = True
    strict: bool = True
    tells_window: bool = True
    seen: list[Json] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    most_tokens: int = 0

    @property
    def asked(self) -> list[Json]:
        """Answers asked for: no prompt's head computed ahead, no question about the model."""
        return [body for body in self.seen if body.get("stream_options")]

    def routes(self) -> dict[str, Any]:
        return {
            "POST /v1/chat/completions": self._complete,
            "GET /v1/models": self._models,
        }

    async def _models(self, _request: web.Request) -> web.Response:
        model: Json = {"id": "modelo", "object": "model"}
        if self.tells_window and self.kind == "vllm":
            model["max_model_len"] = self.window
        elif self.tells_window and self.kind == "llama.cpp":
            model["meta"] = {"n_ctx": self.window, "n_ctx_train": 32_768}
        return web.json_response({"object": "list", "data": [model]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        refusal = self._refuse(body)
        if refusal is not None:
            self.refused.append(str(refusal[1]))
            return web.json_response(refusal[1], status=refusal[0])
        self.seen.append(body)
        tokens = count(body)
        self.most_tokens = max(self.most_tokens, tokens + body.get("max_tokens", 0))
        deltas = self.answer(body)
        is_call = any("tool_calls" in delta for delta in deltas)
        if is_call and not self.parses:
            deltas = [{"content": _written(deltas)}]
            is_call = False
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delta in deltas:
            await _send(response, {"choices": [{"index": 0, "delta": delta}]})
        is_cut = len(deltas) >= body.get("max_tokens", len(deltas) + 1)
        reason = "tool_calls" if is_call else "length" if is_cut else "stop"
        await _send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        usage = {"prompt_tokens": tokens, "completion_tokens": len(deltas)}
        await _send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    def _refuse(self, body: Json) -> tuple[int, Json] | None:
        messages = body["messages"]
        if body.get("tools") and not self.tools:
            return self._error(_NO_TOOLS[self.kind], 500 if self.kind == "llama.cpp" else 400)
        if not self.system and any(m["role"] == "system" for m in messages):
            return self._template_error("System role not supported")
        late = any(m["role"] == "system" for m in messages[1:])
        if late:
            return self._template_error("System message must be at the beginning.")
        if self.strict:
            try:
                assert_strict_template(messages)
            except AssertionError as error:
                return self._template_error(str(error))
        return self._refuse_length(body)

    def _refuse_length(self, body: Json) -> tuple[int, Json] | None:
        tokens, most = count(body), body.get("max_tokens", 0)
        if self.kind == "vllm" and tokens + most > self.window:
            return self._error(
                f"This model's maximum context length is {self.window} tokens. However, you "
                f"requested {tokens + most} tokens ({tokens} in the messages, {most} in the "
                "completion). Please reduce the length of the messages or completion.",
            )
        if self.kind == "llama.cpp" and tokens > self.window:
            error = {
                "code": 400,
                "message": f"request ({tokens} tokens) exceeds the available context size "
                f"({self.window} tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": tokens,
                "n_ctx": self.window,
            }
            return 400, {"error": error}
        if self.kind == "lm-studio" and tokens > self.window:
            return 400, {
                "error": f"Trying to keep the first {tokens} tokens when context the overflows. "
                f"However, the model is loaded with context length of only {self.window} tokens, "
                "which is not enough. Try to load the model with a larger context length, or "
                "provide a shorter input"
            }
        return None

    def _template_error(self, message: str) -> tuple[int, Json]:
        return self._error(message, 500 if self.kind == "llama.cpp" else 400)

    def _error(self, message: str, status: int = 400) -> tuple[int, Json]:
        if self.kind == "vllm":
            return status, {
                "error": {
                    "message": message,
                    "type": "BadRequestError",
                    "param": None,
                    "code": status,
                }
            }
        return status, {"error": {"message": message, "type": "api_error", "code": status}}


_NO_TOOLS: dict[Kind, str] = {
    "vllm": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser '
    "to be set",
    "ollama": "registry.ollama.ai/library/modelo does not support tools",
    "llama.cpp": "tools param requires --jinja flag",
    "lm-studio": "this model does not support tools",
}


def _written(deltas: Sequence[Json]) -> str:
    """Calls as a model writes them, which a server without its parser passes on."""
    told = [call["function"] for delta in deltas for call in delta.get("tool_calls") or ()]
    return "".join(
        f'{{"name": "{call["name"]}", "parameters": {call["arguments"]}}}' for call in told
    )


async def _send(response: web.StreamResponse, chunk: Json) -> None:
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
