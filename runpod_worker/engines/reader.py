"""The reader: answers by reading out the passage of the knowledge base that answers.

No language model. It retrieves, speaks, greets, repeats, calls a tool when the words plainly ask
for it, and says so when it does not know. The honest fallback of the profile without weights.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from kb.base import KnowledgeBase
from kb.normal.analysis import guess_language
from penny.errors import EngineError, PennyError
from penny.ids import new_id
from runpod_worker.engines.reader_words import (
    NOTHING_HEARD,
    REPLIES,
    UNKNOWN,
    command_language,
    find_intent,
)
from runpod_worker.engines.tool_choice import choose_tool, fill_arguments
from runpod_worker.stages import (
    EngineInfo,
    LlmDelta,
    LlmRequest,
    LlmText,
    LlmToolCall,
    LlmUsage,
)
from runpod_worker.tokens import count_tokens


Json = dict[str, Any]

NOTICE = {
    "es": "Responde el lector: lee el pasaje de la base de conocimiento que contesta; no conversa.",
    "en": "The reader answers: it reads out the passage that answers; it does not converse.",
}
_WORDS = re.compile(r"\S+\s*|\s+")


class Reader:
    """Llm over one collection of the knowledge base. A search takes half a millisecond."""

    def __init__(self, base: KnowledgeBase, ref: str) -> None:
        self.info = EngineInfo(name="reader", languages=("es", "en"), notice=NOTICE)
        self._base = base
        self._ref = ref

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Word by word. Raises EngineError if the collection cannot be searched."""
        spent = count_tokens(request.instructions) + sum(
            count_tokens(item_text(item)) for item in request.items
        )
        call = self._call(request)
        if call is not None:
            yield call
            yield LlmUsage(spent, 0, count_tokens(call.name + call.arguments), stop="tool")
            return
        said, limit = 0, request.max_output_tokens
        # A millisecond of work, where no embedder is waited for, is not worth a thread.
        waits = self._base.waits
        answer = await asyncio.to_thread(self._answer, request) if waits else self._answer(request)
        for word in _WORDS.findall(answer):
            tokens = count_tokens(word)
            if limit is not None and said + tokens > limit:
                yield LlmUsage(spent, 0, said, stop="length")
                return
            said += tokens
            yield LlmText(word)
        yield LlmUsage(spent, 0, said)

    def count_tokens(self, text: str) -> int:
        """See ``runpod_worker.tokens``."""
        return count_tokens(text)

    async def prime(self, request: LlmRequest) -> None:
        """There is no prompt cache; the index is in memory already."""

    async def aclose(self) -> None:
        self._base.close()

    def _call(self, request: LlmRequest) -> LlmToolCall | None:
        last = request.items[-1] if request.items else {}
        if not request.tools or last.get("type") == "function_call_output":
            return None
        words = last_words(request.items)
        tool = choose_tool(request.tools, request.tool_choice, words)
        if tool is None:
            return None
        arguments = json.dumps(fill_arguments(tool, words), ensure_ascii=False)
        return LlmToolCall(new_id("call"), str(tool["name"]), arguments, done=True)

    def _answer(self, request: LlmRequest) -> str:
        words = last_words(request.items)
        language = self._language(words, request.language)
        last = request.items[-1] if request.items else {}
        if last.get("type") == "function_call_output":
            return write_output(str(last.get("output") or ""))
        if not words.strip():
            return NOTHING_HEARD[language]
        intent = find_intent(words)
        if intent == "repeat":
            return last_answer(request.items) or REPLIES[language]["repeat"]
        # The kb may say how to reach a person; the reader's own word is the second choice.
        if intent is not None and intent != "person":
            return REPLIES[language][intent]
        found = self._search(words, language)
        if found:
            return found
        return REPLIES[language]["person"] if intent == "person" else UNKNOWN[language]

    def _search(self, words: str, language: Literal["es", "en"]) -> str:
        try:
            result = self._base.search(self._ref, words, limit=1, language=language)
        except PennyError as error:
            raise EngineError(error.message, stage="llm", code=error.code) from error
        if not result.relevant:
            return ""
        passage = result.hits[0].passage
        return passage.speakable or passage.text

    def _language(self, words: str, heard: str) -> Literal["es", "en"]:
        """Of the question, where its words tell; else what was heard."""
        default: Literal["es", "en"] = "en" if heard.startswith("en") else "es"
        known = command_language(words) or guess_language(words, default)
        return "en" if known == "en" else "es"


def item_text(item: Json) -> str:
    """The words of a Realtime item: its text and the transcripts of its audio."""
    if item.get("type") == "function_call_output":
        return str(item.get("output") or "")
    parts = item.get("content") or ()
    return " ".join(str(part.get("text") or part.get("transcript") or "") for part in parts).strip()


def _messages(items: tuple[Json, ...], role: str) -> Iterator[Json]:
    return (item for item in reversed(items) if item.get("role") == role)


def last_words(items: tuple[Json, ...]) -> str:
    """What the caller said last, or ''."""
    return next((item_text(item) for item in _messages(items, "user")), "")


def last_answer(items: tuple[Json, ...]) -> str:
    """What Penny said last, or ''."""
    return next((text for item in _messages(items, "assistant") if (text := item_text(item))), "")


def write_output(output: str) -> str:
    """A tool's output in plain words: a JSON object as ``name: value``, anything else as it is."""
    try:
        value = json.loads(output)
    except ValueError:
        return output
    return _say(value)


def _say(value: object) -> str:
    match value:
        case dict():
            return ". ".join(f"{_name(key)}: {_say(inner)}" for key, inner in value.items())
        case list():
            return ", ".join(_say(inner) for inner in value)
        case True:
            return "sí"
        case False:
            return "no"
        case None:
            return ""
        case _:
            return str(value)


def _name(key: object) -> str:
    return str(key).replace("_", " ")
