"""Chunks of a chat completion -> the pieces an answer is made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

from penny.writable import TextJoiner
from runpod_worker.chat import ToolCallText
from runpod_worker.stages import LlmDelta, LlmText, LlmToolCall, LlmUsage


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
    """A function call, as far as its pieces have come."""

    call_id: str
    name: str = ""
    arguments: str = ""
    joiner: TextJoiner = field(default_factory=TextJoiner)


class ChatDeltas:
    """Reads the chunks of one completion in order.

    Servers differ: some name a call's index, some send each call whole and without id, some send
    the usage in a chunk of its own after the last choice. All of that is taken.

    Args:
        new_call_id: names calls that came without an id.
        written: finds the calls that a server without a parser leaves in the text.
    """

    def __init__(self, new_call_id: Callable[[], str], written: ToolCallText | None = None) -> None:
        self._new_call_id = new_call_id
        self._written = written
        self._tail = ""
        self.began_in_thought: bool | None = None
        """Whether the text began within a thought that the template had opened; None of no text
        so far."""
        self._text = TextJoiner()
        self._calls: dict[int, _Call] = {}
        self._usage: CompletionUsage | None = None
        self.stop = ""
        """How the answer ended, '' while it has not."""

    def feed(self, chunk: ChatCompletionChunk) -> Iterator[LlmDelta]:
        """What one chunk adds to the answer. Its fields are None where a server sent none."""
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            delta: ChoiceDelta | None = choice.delta
            if delta and delta.content and (text := self._text.feed(delta.content)):
                yield from self._read(text)
            elif delta and _is_reasoning(delta):
                yield LlmText("")
            for piece in (delta and delta.tool_calls) or ():
                yield self._take(piece)
            if choice.finish_reason:
                self.stop = STOPS.get(choice.finish_reason, "end")

    def finish(self) -> Iterator[LlmDelta]:
        """The rest of the text, the calls, whole, and the usage; after the last chunk."""
        if rest := self._text.flush():
            yield from self._read(rest)
        yield from self._written.finish() if self._written is not None else ()
        if self.began_in_thought is None and self._tail:
            self.began_in_thought = False
        for call in self._calls.values():
            call.arguments += call.joiner.flush()
            yield LlmToolCall(call.call_id, call.name, call.arguments or "{}", done=True)
        usage = self._usage
        details = usage and usage.prompt_tokens_details
        yield LlmUsage(
            input_tokens=(usage and usage.prompt_tokens) or 0,
            cached_tokens=(details and details.cached_tokens) or 0,
            output_tokens=(usage and usage.completion_tokens) or 0,
            stop="tool" if self._has_calls and self.stop == "end" else self.stop,
        )

    @property
    def _has_calls(self) -> bool:
        return bool(self._calls or (self._written is not None and self._written.calls))

    def _read(self, text: str) -> Iterator[LlmDelta]:
        self._tail = self._tail[-len("</think>") :] + text
        if self.began_in_thought is None and "think>" in self._tail:
            self.began_in_thought = "</think>" in self._tail
        yield from self._written.feed(text) if self._written is not None else (LlmText(text),)

    def _take(self, piece: ChoiceDeltaToolCall) -> LlmToolCall:
        name = (piece.function and piece.function.name) or ""
        arguments = (piece.function and piece.function.arguments) or ""
        index: int | None = piece.index
        if index is None:  # without an index a piece with a name is a call of its own
            starts = bool(name) or not self._calls
            index = len(self._calls) if starts else len(self._calls) - 1
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = _Call(piece.id or self._new_call_id())
        call.name = call.name or name
        arguments = call.joiner.feed(arguments)
        call.arguments += arguments
        return LlmToolCall(call.call_id, call.name, arguments, done=False)


def _is_reasoning(delta: ChoiceDelta) -> bool:
    """vLLM and llama.cpp write ``reasoning_content``, Ollama and newer vLLMs ``reasoning``."""
    extra = delta.model_extra or {}
    return bool(extra.get("reasoning_content") or extra.get("reasoning"))
