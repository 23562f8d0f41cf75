"""Chat messages -> the prompt of a ChatML model (Qwen), for engines without a template engine.

Pure. Byte for byte what Qwen2.5's own template writes for messages, tools, calls and outputs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any


Json = dict[str, Any]

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
