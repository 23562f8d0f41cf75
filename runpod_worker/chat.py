"""Chat messages: written from Realtime items, rendered as a ChatML prompt, calls read from text.

Pure. ``write_messages`` gives the one form that vLLM, Ollama and ChatML share; its head
(instructions, then the oldest items) never changes while a conversation grows, so a server that
caches prompt prefixes computes only what is new. ``write_prompt`` is for engines without a
template engine: byte for byte what Qwen2.5's own template writes. ``ToolCallText`` reads the calls
that Qwen2.5 and the Hermes models write into their text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from runpod_worker.stages import LlmText, LlmToolCall


Json = dict[str, Any]

OPENING, CLOSING = "<tool_call>", "</tool_call>"
MAX_CALL_CHARS = 16_384
PENDING = "pending"
"""Stands for the output of a call that is still being worked on: chat servers refuse a call
without its output, and the model should know that it has not arrived."""
_TOOLS = """

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{signatures}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def write_messages(
    instructions: str, items: Sequence[Json], *, late_system_role: str = "system"
) -> list[Json]:
    """The conversation as chat messages.

    A system item in the middle stays where it is, in ``late_system_role`` (some models' templates
    allow a system message only at the top; "user" suits them). A function's output moves to its
    call; an output whose call has left the context goes with it. Text is taken as the item holds
    it: an interrupted answer is already cut to what was heard.
    """
    outputs = {
        item["call_id"]: str(item.get("output", ""))
        for item in items
        if item.get("type") == "function_call_output"
    }
    messages: list[Json] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    head = len(messages)
    for kind, run in _group(items):
        if kind == "function_call":
            _add_calls(messages, head, run, outputs)
            continue
        for item in run:
            text = read_text(item)
            if text:
                role = item["role"]
                role = late_system_role if role == "system" and messages else role
                messages.append({"role": role, "content": text})
    return messages


def write_tools(tools: Iterable[Json]) -> list[Json]:
    """Realtime tools are flat, chat tools nest under ``function``."""
    return [
        {
            "type": "function",
            "function": {
                key: tool[key]
                for key in ("name", "description", "parameters")
                if tool.get(key) is not None
            },
        }
        for tool in tools
        if tool.get("type", "function") == "function"
    ]


def write_tool_choice(choice: str | Json) -> str | Json:
    """``{"type": "function", "name": n}`` -> the nested form; the words pass as they are."""
    if isinstance(choice, dict) and "name" in choice:
        return {"type": "function", "function": {"name": choice["name"]}}
    return choice


def read_text(item: Json) -> str:
    """The words of a message item: its text parts and the transcripts of its audio."""
    words = (
        part.get("text") or part.get("transcript") or ""
        for part in item.get("content") or ()
        if part.get("type") != "input_image"
    )
    return " ".join(word.strip() for word in words if word.strip())


def _group(items: Sequence[Json]) -> Iterable[tuple[str, list[Json]]]:
    """Runs of calls, and runs of messages; outputs separate neither (they move to their call)."""
    run: list[Json] = []
    kind = ""
    for item in items:
        of = item.get("type", "message")
        if of not in ("message", "function_call"):
            continue
        if of != kind and run:
            yield kind, run
            run = []
        kind = of
        run.append(item)
    if run:
        yield kind, run


def _add_calls(messages: list[Json], head: int, calls: list[Json], outputs: Json) -> None:
    """One assistant message carries the calls (and the words said just before), outputs follow."""
    told = [
        {
            "id": call["call_id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call.get("arguments") or "{}"},
        }
        for call in calls
    ]
    last = messages[-1] if len(messages) > head else None
    if last is not None and last["role"] == "assistant" and "tool_calls" not in last:
        last["tool_calls"] = told
    else:
        messages.append({"role": "assistant", "content": "", "tool_calls": told})
    messages.extend(
        {
            "role": "tool",
            "tool_call_id": call["call_id"],
            "content": outputs.get(call["call_id"], PENDING),
        }
        for call in calls
    )


def write_prompt(messages: Sequence[Json], tools: Sequence[Json] = ()) -> str:
    """The prompt up to where the assistant's answer begins."""
    parts = []
    rest = list(messages)
    if tools:
        head = rest.pop(0)["content"] if rest and rest[0]["role"] == "system" else ""
        signatures = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
        parts.append(_turn("system", head + _TOOLS.format(signatures=signatures)))
    for role, run in groupby(rest, key=lambda message: message["role"]):
        if role == "tool":  # outputs that follow each other share one turn of the user
            told = "\n".join(_tag("tool_response", message["content"]) for message in run)
            parts.append(_turn("user", told))
            continue
        for message in run:
            calls = [_call(call["function"]) for call in message.get("tool_calls") or ()]
            parts.append(_turn(role, "\n".join(filter(None, (message["content"], *calls)))))
    return "".join(parts) + "<|im_start|>assistant\n"


def _turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def _call(function: Json) -> str:
    return _tag(
        "tool_call", f'{{"name": "{function["name"]}", "arguments": {function["arguments"]}}}'
    )


def _tag(name: str, content: str) -> str:
    return f"<{name}>\n{content}\n</{name}>"


class ToolCallText:
    """Finds the function calls in generated text: ``<tool_call>{"name": …}</tool_call>``.

    ``feed`` text as it comes; what may still become a tag is held back.

    Args:
        new_call_id: names the calls, as the model does not.
    """

    def __init__(self, new_call_id: Callable[[], str]) -> None:
        self._new_call_id = new_call_id
        self._text = ""
        self._in_call = False
        self.calls = 0

    def feed(self, text: str) -> list[LlmText | LlmToolCall]:
        """Raises ValueError for a call that is no JSON object with a name."""
        self._text += text
        found: list[LlmText | LlmToolCall] = []
        while True:
            tag = CLOSING if self._in_call else OPENING
            before, tagged, after = self._text.partition(tag)
            if not tagged:
                break
            found += [self._read(before)] if self._in_call else _words(before)
            self._text, self._in_call = after, not self._in_call
        if self._in_call:
            if len(self._text) > MAX_CALL_CHARS:
                raise ValueError(f"a function call is longer than {MAX_CALL_CHARS} characters")
            return found
        held = _held_back(self._text)
        whole, self._text = (
            self._text[: len(self._text) - held],
            self._text[len(self._text) - held :],
        )
        return found + _words(whole)

    def finish(self) -> list[LlmText | LlmToolCall]:
        """What is left. Raises ValueError for a call cut off in the middle."""
        if self._in_call:
            raise ValueError("a function call was cut off")
        rest, self._text = self._text, ""
        return list(_words(rest))

    def _read(self, body: str) -> LlmToolCall:
        told = json.loads(body)
        if not isinstance(told, dict) or not isinstance(told.get("name"), str):
            raise ValueError("a function call has no name")
        self.calls += 1
        arguments = told.get("arguments") or {}
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return LlmToolCall(self._new_call_id(), told["name"], written, done=True)


def _words(text: str) -> list[LlmText | LlmToolCall]:
    """White space around calls is the template's, not the answer's."""
    return [LlmText(text)] if text.strip() or text == " " else []


def _held_back(text: str) -> int:
    """Length of the end that may be the beginning of a tag."""
    for size in range(min(len(OPENING) - 1, len(text)), 0, -1):
        if text.endswith(OPENING[:size]):
            return size
    return 0
