"""Chunks of a chat completion -> the pieces an answer is made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from runpod_worker.stages import LlmDelta, LlmText, LlmToolCall, LlmUsage


Json = dict[str, Any]

STOPS: Final = {
    "stop": "end",
    "length": "length",
    "content_filter": "filter",
    "tool_calls": "tool",
    "function_call": "tool",
}
"""``finish_reason`` of the OpenAI chat API -> ``LlmUsage.stop``."""


@dataclass(slots=True)
class _Call:
    call_id: str
    name: str = ""
    arguments: str = ""


class ChatDeltas:
    """Reads the chunks of one completion in order.

    Servers differ: some name a call's index, some send each call whole and without id, some send
    the usage in a chunk of its own after the last choice. All of that is taken.

    Args:
        new_call_id: names calls that came without an id.
    """

    def __init__(self, new_call_id: Callable[[], str]) -> None:
        self._new_call_id = new_call_id
        self._calls: dict[int, _Call] = {}
        self._usage: Json = {}
        self.stop = ""
        """How the answer ended, '' while it has not."""

    def feed(self, chunk: Json) -> Iterator[LlmDelta]:
        """What one chunk adds to the answer."""
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if delta.get("content"):
                yield LlmText(delta["content"])
            for piece in delta.get("tool_calls") or ():
                yield self._take(piece)
            if choice.get("finish_reason"):
                self.stop = STOPS.get(choice["finish_reason"], "end")

    def finish(self) -> Iterator[LlmDelta]:
        """The calls, whole, and the usage; after the last chunk."""
        for call in self._calls.values():
            yield LlmToolCall(call.call_id, call.name, call.arguments or "{}", done=True)
        details = self._usage.get("prompt_tokens_details") or {}
        yield LlmUsage(
            input_tokens=self._usage.get("prompt_tokens") or 0,
            cached_tokens=details.get("cached_tokens") or 0,
            output_tokens=self._usage.get("completion_tokens") or 0,
            stop="tool" if self._calls and self.stop == "end" else self.stop,
        )

    def _take(self, piece: Json) -> LlmToolCall:
        function = piece.get("function") or {}
        index = piece.get("index")
        if index is None:  # without an index a piece with a name is a call of its own
            starts = bool(function.get("name")) or not self._calls
            index = len(self._calls) if starts else len(self._calls) - 1
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = _Call(piece.get("id") or self._new_call_id())
        call.name = call.name or function.get("name") or ""
        arguments = function.get("arguments") or ""
        call.arguments += arguments
        return LlmToolCall(call.call_id, call.name, arguments, done=False)
