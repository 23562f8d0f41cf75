"""The reader: answers by reading out the passage of the knowledge base that answers.

No language model. It retrieves, speaks, makes small talk, repeats, tells what it can be asked,
calls a tool when the words plainly ask for it, and says so when it does not know.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date
from typing import Any

from kb.base import KnowledgeBase
from kb.examples import choose_examples
from kb.normal.analysis import guess_language
from kb.passage import Language, Passage, UnknownCollection
from penny.errors import EngineError, PennyError
from penny.ids import new_id
from penny.realtime.usage import estimate_tokens
from runpod_worker.engines.opening_hours import (
    WEEKDAYS,
    asked_day,
    named_days,
    write_day,
)
from runpod_worker.engines.reader_words import (
    NOTHING_HEARD,
    OPENING_HOURS,
    REPLIES,
    write_help,
    write_unknown,
)
from runpod_worker.engines.small_talk import (
    ASKED,
    Kind,
    cut_small_talk,
    find_courtesy,
    kind_of,
    last_question,
)
from runpod_worker.engines.wishes import find_follow_up, find_wish, say_result
from runpod_worker.stages import (
    EngineInfo,
    LlmDelta,
    LlmRequest,
    LlmText,
    LlmToolCall,
    LlmUsage,
)


Json = dict[str, Any]

NOTICE = {
    "es": "Responde el lector: lee el pasaje de la base de conocimiento que contesta; no conversa.",
    "en": "The reader answers: it reads out the passage that answers; it does not converse.",
}
LISTED = 0.99
"""Trust of a passage whose listed question is asked word for word."""
_WORDS = re.compile(r"\S+\s*|\s+")


class Reader:
    """Llm over one collection of the knowledge base. A search takes half a millisecond.

    Args:
        ref: the collection, ``kb://company/collection``.
        today: the date where the company is: "mañana" in a question is counted from it.
    """

    def __init__(self, base: KnowledgeBase, ref: str, today: Callable[[], date]) -> None:
        self.info = EngineInfo(name="reader", languages=("es", "en"), notice=NOTICE, acts=True)
        self._base = base
        self._ref = ref
        self._today = today

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Word by word. Raises EngineError if the collection cannot be searched."""
        spent = estimate_tokens(request.instructions) + sum(
            estimate_tokens(item_text(item)) for item in request.items
        )
        call = self._call(request)
        if call is not None:
            yield call
            yield LlmUsage(spent, 0, estimate_tokens(call.name + call.arguments), stop="tool")
            return
        said, limit = 0, request.max_output_tokens
        # A millisecond of work, where no embedder is waited for, is not worth a thread.
        waits = self._base.waits
        answer = await asyncio.to_thread(self._answer, request) if waits else self._answer(request)
        for word in _WORDS.findall(answer):
            tokens = estimate_tokens(word)
            if limit is not None and said + tokens > limit:
                yield LlmUsage(spent, 0, said, stop="length")
                return
            said += tokens
            yield LlmText(word)
        yield LlmUsage(spent, 0, said)

    def count_tokens(self, text: str) -> int:
        """Estimated: see ``penny.realtime.usage.estimate_tokens``."""
        return estimate_tokens(text)

    async def prime(self, request: LlmRequest) -> None:
        """There is no prompt cache; the index is in memory already."""

    async def aclose(self) -> None:
        self._base.close()

    def _call(self, request: LlmRequest) -> LlmToolCall | None:
        last = last_item(request.items)
        if not request.tools or last.get("type") == "function_call_output":
            return None
        said = [item_text(item) for item in _messages(request.items, "user")][::-1]
        words = said[-1] if said else ""
        kind, _ = _read(words, "en" if request.language.startswith("en") else "es")
        answered = last_answer(request.items)
        wish = find_wish(
            request.tools,
            request.tool_choice,
            said,
            answered,
            self._today(),
            is_yes=kind == "yes",
        ) or find_follow_up(request.tools, request.tool_choice, said, answered, self._today())
        if wish is None:
            return None
        tool, filled = wish
        arguments = json.dumps(filled, ensure_ascii=False)
        return LlmToolCall(new_id("call"), str(tool["name"]), arguments, done=True)

    def _answer(self, request: LlmRequest) -> str:
        last = last_item(request.items)
        if last.get("type") == "function_call_output":
            output = str(last.get("output") or "")
            said = say_result(output, "en" if request.language.startswith("en") else "es")
            return write_output(output) if said is None else said
        words = last_words(request.items)
        kind, language = _read(words, "en" if request.language.startswith("en") else "es")
        if not words.strip():
            return NOTHING_HEARD[language]
        if kind == "repeat":
            return last_answer(request.items) or REPLIES[language]["repeat"]
        found = self._look_up(kind, words, language)
        if found:
            return found
        if kind in ("question", "hours"):
            courtesy = find_courtesy(words, language)
            if courtesy is not None:
                return REPLIES[language][courtesy]
            return write_unknown(self._examples(language), language)
        return REPLIES[language].get(kind) or write_help(self._examples(language), language)

    def _look_up(self, kind: Kind, words: str, language: Language) -> str:
        """What the documents say to it, or ''; to small talk only what they list word for word."""
        if kind == "hours" and (told := self._hours(cut_small_talk(words, language), language)):
            return told
        found = self._search(words, language, 0.0 if kind in ASKED else LISTED)
        if found is None and kind != "leave":
            subject = cut_small_talk(words, language)
            parts = dict.fromkeys((subject, last_question(subject, language)))
            tried = (self._search(part, language) for part in parts if part not in ("", words))
            found = next((passage for passage in tried if passage is not None), None)
        return _speak(found)

    def _hours(self, words: str, language: Language) -> str:
        """The passage for the day that is asked, after the day's name; '' where there is none."""
        day = asked_day(words, language, self._today())
        general = OPENING_HOURS[language]
        if day is None:
            return _speak(self._search(words, language) or self._search(general, language))
        name = WEEKDAYS[language][day.weekday]
        that_day = f"{general} el {name}" if language == "es" else f"{general} on {name}"
        asked = (that_day, words, general)
        found = [hit for text in asked if (hit := self._search(text, language))]
        for passage in found:
            if day.weekday in named_days(passage.text):
                return f"{write_day(day, language, named=True)} {_speak(passage)}".strip()
        if not found:
            return ""
        silent = not named_days(found[-1].text)
        return f"{write_day(day, language, named=silent)} {_speak(found[-1])}".strip()

    def _search(self, words: str, language: Language, least: float = 0.0) -> Passage | None:
        """The passage that answers, trusted by ``least`` at least."""
        try:
            result = self._base.search(self._ref, words, limit=1, language=language)
        except PennyError as error:
            raise EngineError(error.message, stage="llm", code=error.code) from error
        if not result.relevant or result.hits[0].score < least:
            return None
        return result.hits[0].passage

    def _examples(self, language: Language) -> list[str]:
        try:
            return choose_examples(self._base.questions(self._ref, language), language)
        except UnknownCollection:
            return []


def _read(words: str, heard: Language) -> tuple[Kind, Language]:
    """What was said and in which language: of the words where they tell, else as heard."""
    language: Language = "en" if guess_language(words, heard) == "en" else "es"
    kind = kind_of(words, language)
    if kind == "question":
        other: Language = "es" if language == "en" else "en"
        small = kind_of(words, other)
        if small != "question":
            return small, other
    return kind, language


def _speak(passage: Passage | None) -> str:
    return "" if passage is None else passage.speakable or passage.text


def item_text(item: Json) -> str:
    """The words of a Realtime item: its text and the transcripts of its audio."""
    if item.get("type") == "function_call_output":
        return str(item.get("output") or "")
    parts = item.get("content") or ()
    return " ".join(str(part.get("text") or part.get("transcript") or "") for part in parts).strip()


def _messages(items: tuple[Json, ...], role: str) -> Iterator[Json]:
    return (item for item in reversed(items) if item.get("role") == role)


def last_item(items: tuple[Json, ...]) -> Json:
    """What is answered: the last item that is no note to the model."""
    return next((item for item in reversed(items) if item.get("role") != "system"), {})


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
