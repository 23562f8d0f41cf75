"""Asking back in a call: a doubtful word is asked about in place of an answer, and what it turned
out to be is answered in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from typing import Any

from pydantic import Field

from penny.correction.asking import Asking, Step
from penny.correction.doubts import HeardWord
from penny.realtime.commands import GenerationRequest
from penny.section import Section
from runpod_worker.stages import Transcript


Json = dict[str, Any]


class AskingSettings(Section):
    """When a caller is asked whether a word was heard right."""

    enabled: bool = Field(
        True, description="ask; recognition tells each word's confidence then (faster-whisper)"
    )
    below: float = Field(0.5, gt=0, lt=1, description="confidence under which a word is doubtful")
    most: int = Field(3, ge=1, le=10, description="questions in a call")


class AskingBack:
    """One call's questions about words.

    Args:
        tell: sends an event: ``penny.clarification`` (slot, way) for a question,
            ``penny.clarified`` (slot, way, outcome) for what came of it. Neither has a word of the
            caller's.
    """

    def __init__(self, settings: AskingSettings, tell: Callable[..., None]) -> None:
        self._asking = Asking(settings.below, settings.most) if settings.enabled else None
        self._tell = tell

    def turn(
        self, request: GenerationRequest, find: Callable[[str], Transcript | None], language: str
    ) -> tuple[str, GenerationRequest]:
        """What is said in place of an answer ('' to answer), and the request to answer.

        To be called once for each answer. A turn may be several items: who goes on after a pause
        was committed before.

        Args:
            find: the transcript of an item, by its id.
        """
        items = request.items
        turn = list(takewhile(lambda item: item.get("role") == "user", reversed(items)))[::-1]
        if self._asking is None or not turn:
            return "", request
        step = self._asking.hear([word for item in turn for word in _words(item, find)], language)
        self._report(step)
        if step.question is not None:
            return step.question.text, request
        if step.sentence:
            meant = {**turn[-1], "content": [{"type": "input_text", "text": step.sentence}]}
            return "", replace(request, items=(*items[: -len(turn)], meant))
        return "", request

    def _report(self, step: Step) -> None:
        if step.before is not None and step.answered is not None:
            before = step.before
            told = {"slot": before.doubt.slot, "way": before.way}
            self._tell("penny.clarified", **told, outcome=step.answered.outcome)
        if step.question is not None:
            question = step.question
            self._tell("penny.clarification", slot=question.doubt.slot, way=question.way)


def _words(item: Json, find: Callable[[str], Transcript | None]) -> list[HeardWord]:
    heard = find(item.get("id", ""))
    if heard is not None and heard.words:
        return [HeardWord(word.text, word.confidence) for word in heard.words]
    parts = (part.get("text") or part.get("transcript") or "" for part in item["content"])
    return [HeardWord(word) for word in " ".join(parts).split()]
