"""Chat messages: written from Realtime items, calls read from text.

Pure. ``write_messages`` gives the one form that every chat template takes (vLLM, Ollama, llama.cpp,
LM Studio, ChatML): one system message at the head, then user and assistant in turn, beginning with
the user. Its head never changes while a conversation grows, so a server that caches prompt prefixes
computes only what is new. ``flatten`` is for servers without tools or a system role, in the form of
Qwen2.5's own template. ``ToolCallText`` reads the calls that models write into their text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from typing import Any

from runpod_worker.stages import LlmRequest, LlmText, LlmToolCall


Json = dict[str, Any]

OPENING, CLOSING = "<tool_call>", "</tool_call>"
MAX_CALL_CHARS = 16_384
PENDING = "pending"
"""Stands for the output of a call that is still being worked on: chat servers refuse a call
without its output, and the model should know that it has not arrived."""
_IMAGE = {"url": "image_url", "detail": "detail"}
"""Field of a chat server's image -> that of a Realtime part."""
NOTHING_SAID = "…"
"""A turn that a template wants and nobody took: the caller's before a greeting, or the answer that
was cut off before its first word."""
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


def write_request(request: LlmRequest) -> list[Json]:
    """A request's messages; what holds for its turn stands before the caller's last words."""
    notes = "\n".join(filter(None, (request.notes, *request.passages)))
    return write_messages(request.instructions, request.items, notes)


def write_messages(instructions: str, items: Sequence[Json], notes: str = "") -> list[Json]:
    """The conversation as chat messages.

    A system item in the middle becomes part of the caller's turn, in brackets: most templates allow
    a system message at the top alone. A function's output moves to its call; an output whose call
    has left the context goes with it. Text is taken as the item holds it: an interrupted answer is
    already cut to what was heard.

    Args:
        notes: what holds for the newest turn alone, put before the caller's last words.
    """
    outputs = {
        item["call_id"]: str(item.get("output", ""))
        for item in items
        if item.get("type") == "function_call_output"
    }
    messages: list[Json] = [{"role": "system", "content": instructions}] if instructions else []
    for kind, run in _group(items):
        if kind == "function_call":
            _add_calls(messages, run, outputs)
            continue
        for item in run:
            text, images = read_text(item), _read_images(item)
            if text and item["role"] == "system" and not messages:
                messages.append({"role": "system", "content": text})
            elif text and item["role"] == "system":
                _add(messages, "user", f"[{text}]")
            elif text or images:
                _add(messages, item["role"], text, images)
    if not messages or messages[-1]["role"] in ("system", "assistant"):
        _add(messages, "user", NOTHING_SAID)
    if notes:
        last = next(m for m in reversed(messages) if m["role"] == "user")
        last["content"] = f"{notes}\n---\n{last['content']}"
    return messages


def _add(messages: list[Json], role: str, text: str, images: Sequence[Json] = ()) -> None:
    """Say more in a role's turn, or let it begin; what a template wants between stands there."""
    last: Json = messages[-1] if messages else {"role": "system"}
    if last["role"] == role and "tool_calls" not in last:
        last["content"] = "\n".join(filter(None, (last["content"], text)))
        if images:
            last.setdefault("images", []).extend(images)
        return
    if role == "assistant" and last["role"] == "system":
        messages.append({"role": "user", "content": NOTHING_SAID})
    elif role == "user" and last["role"] == "tool":
        messages.append({"role": "assistant", "content": NOTHING_SAID})
    message: Json = {"role": role, "content": text}
    messages.append({**message, "images": list(images)} if images else message)


def show(messages: Sequence[Json]) -> list[Json]:
    """The same with the images of a turn in its content, behind its words, as chat servers take
    them."""
    shown = []
    for message in messages:
        message = dict(message)
        if images := message.pop("images", None):
            message["content"] = [{"type": "text", "text": message["content"]}, *images]
        shown.append(message)
    return shown


def flatten(messages: Sequence[Json], tools: Sequence[Json], *, system: bool = True) -> list[Json]:
    """The same in plain text: tools described at the head, calls and outputs written in tags.

    Args:
        system: False puts the head into the caller's first turn, for templates without that role.
    """
    rest = list(messages)
    head = rest.pop(0)["content"] if rest and rest[0]["role"] == "system" else ""
    if tools:
        signatures = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
        head += _TOOLS.format(signatures=signatures)
    plain: list[Json] = [{"role": "system", "content": head}] if head else []
    for role, run in groupby(rest, key=lambda message: message["role"]):
        if role == "tool":  # outputs that follow each other share one turn of the user
            told = "\n".join(_tag("tool_response", message["content"]) for message in run)
            plain.append({"role": "user", "content": told})
            continue
        for message in run:
            calls = [_call(call["function"]) for call in message.get("tool_calls") or ()]
            told = "\n".join(filter(None, (message["content"], *calls)))
            plain.append({**message, "role": role, "content": told})
            plain[-1].pop("tool_calls", None)
    if not system and head and len(plain) > 1:
        plain[1]["content"] = f"{head}\n\n{plain[1]['content']}"
        del plain[0]
    return plain


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


def _read_images(item: Json) -> list[Json]:
    """The image parts of a message item, as chat servers take them."""
    return [
        {
            "type": "image_url",
            "image_url": {name: part[of] for name, of in _IMAGE.items() if part.get(of)},
        }
        for part in item.get("content") or ()
        if part.get("type") == "input_image"
    ]


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


def _add_calls(messages: list[Json], calls: list[Json], outputs: Json) -> None:
    """One assistant message carries the calls (and the words said just before), outputs follow."""
    told = [
        {
            "id": call["call_id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call.get("arguments") or "{}"},
        }
        for call in calls
    ]
    last = messages[-1] if messages else {"role": "system"}
    if last["role"] != "assistant":
        if last["role"] == "system":
            messages.append({"role": "user", "content": NOTHING_SAID})
        messages.append({"role": "assistant", "content": ""})
    messages[-1]["tool_calls"] = told
    messages.extend(
        {
            "role": "tool",
            "tool_call_id": call["call_id"],
            "content": outputs.get(call["call_id"], PENDING),
        }
        for call in calls
    )


def _call(function: Json) -> str:
    return _tag(
        "tool_call", f'{{"name": "{function["name"]}", "arguments": {function["arguments"]}}}'
    )


def _tag(name: str, content: str) -> str:
    return f"<{name}>\n{content}\n</{name}>"


class ToolCallText:
    """Finds the function calls in generated text: ``<tool_call>{"name": …}</tool_call>``.

    ``feed`` text as it comes; what may still become a tag is held back. With ``names`` an answer
    that begins as bare JSON, or in the forms of Mistral and Llama, is held whole: servers without a
    parser for their model pass calls on like that.

    Args:
        new_call_id: names the calls, as the model does not.
        names: of the functions there are.
    """

    def __init__(self, new_call_id: Callable[[], str], names: Collection[str] = ()) -> None:
        self._new_call_id = new_call_id
        self._names = names
        self._is_bare: bool | None = None if names else False
        """Whether the answer is a call without tags; None until its first characters tell."""
        self._text = ""
        self._in_call = False
        self.calls = 0

    def feed(self, text: str) -> list[LlmText | LlmToolCall]:
        """Raises ValueError for a call that is no JSON object with a name."""
        self._text += text
        if self._is_bare is None:
            self._is_bare = _looks_bare(self._text.lstrip())
        if self._is_bare is None or (self._is_bare and len(self._text) <= MAX_CALL_CHARS):
            return []
        found: list[LlmText | LlmToolCall] = []
        while True:
            tag = CLOSING if self._in_call else OPENING
            before, tagged, after = self._text.partition(tag)
            if not tagged:
                break
            found += [self._read(json.loads(before))] if self._in_call else _words(before)
            self._text, self._in_call = after, not self._in_call
        if self._in_call:
            if len(self._text) > MAX_CALL_CHARS:
                raise ValueError(f"a function call is longer than {MAX_CALL_CHARS} characters")
            return found
        whole = len(self._text) - _held_back(self._text)
        found += _words(self._text[:whole])
        self._text = self._text[whole:]
        return found

    def finish(self) -> list[LlmText | LlmToolCall]:
        """What is left. Raises ValueError for a call cut off in the middle, or of no function."""
        if self._in_call:
            raise ValueError("a function call was cut off")
        rest, self._text = self._text, ""
        told = _read_bare(rest) if self._is_bare else []
        if any(each.get("name") not in self._names for each in told):
            raise ValueError("a function call has no name that there is")
        return [self._read(each) for each in told] or list(_words(rest))

    def _read(self, told: object) -> LlmToolCall:
        if not isinstance(told, dict) or not isinstance(told.get("name"), str):
            raise ValueError("a function call has no name")
        self.calls += 1
        arguments = told.get("arguments") or told.get("parameters") or {}
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return LlmToolCall(self._new_call_id(), told["name"], written, done=True)


_BARE = ("{", "[{", "```json", "[TOOL_CALLS]", "<|python_tag|>", "<function=")
_WRAPPING = re.compile(r"```(?:json)?|\[TOOL_CALLS\]|<\|python_tag\|>")
_NAMED = re.compile(r"<function=([\w-]+)>(.*?)(?:</function>|\Z)|([\w-]+)\[ARGS\](.*)", re.DOTALL)


def _looks_bare(text: str) -> bool | None:
    """Whether an answer's beginning is that of a call without tags; None while it may become so."""
    if any(text.startswith(form) for form in _BARE):
        return True
    return None if any(form.startswith(text) for form in _BARE) else False


def _read_bare(text: str) -> list[Json]:
    """The calls of an answer that is nothing else; [] for one that is text."""
    body = _WRAPPING.sub("", text).strip()
    named = _NAMED.match(body)
    try:
        if named is not None:
            name, arguments = (named[1], named[2]) if named[1] else (named[3], named[4])
            return [{"name": name, "arguments": json.loads(arguments)}]
        told = json.loads(body)
    except ValueError:
        return []
    told = told if isinstance(told, list) else [told]
    return told if all(isinstance(each, dict) and "name" in each for each in told) else []


def _words(text: str) -> list[LlmText | LlmToolCall]:
    """White space around calls is the template's, not the answer's."""
    return [LlmText(text)] if text.strip() or text == " " else []


def _held_back(text: str) -> int:
    """Length of the end that may be the beginning of a tag."""
    for size in range(min(len(OPENING) - 1, len(text)), 0, -1):
        if text.endswith(OPENING[:size]):
            return size
    return 0
