"""Realtime items -> the messages of a chat model, the one form that vLLM, Ollama and ChatML share.

Pure. The head (instructions, then the oldest items) never changes while a conversation grows, so
a server that caches prompt prefixes computes only what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


Json = dict[str, Any]

PENDING = "pending"
"""Stands for the output of a call that is still being worked on: chat servers refuse a call
without its output, and the model should know that it has not arrived."""


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
