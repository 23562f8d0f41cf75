"""Function calls that a model writes into its text, as Qwen2.5 and the Hermes models do.

Pure: ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``. A server does this reading itself;
engines that run the model in process do it here.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from runpod_worker.stages import LlmText, LlmToolCall


OPENING, CLOSING = "<tool_call>", "</tool_call>"
MAX_CALL_CHARS = 16_384


class ToolCallText:
    """``feed`` text as it is generated; what may still become a tag is held back.

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
