"""A request cut to what the model's window holds: no call ends because it has lasted long. Pure.

Kept in any case: the head (instructions, tools), what holds for this turn, the caller's newest
words and what was called since. Passages go from the last one up, the conversation from its oldest
turn down, in steps (``retention_ratio``): between two steps the prompt's beginning stays the same,
which servers cache. Of what goes, the caller's own words are kept shortened.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from penny.errors import EngineError
from runpod_worker.chat import read_text
from runpod_worker.stages import LlmRequest


Json = dict[str, Any]
Count = Callable[[str], int]

RETAINED = 0.8
"""Of the conversation's share, after a cut: GA's default of ``retention_ratio``."""
CONVERSATION_SHARE = 0.45
"""Of the room, once not all fits."""
DIGEST_SHARE = 0.1
"""Of the room, for the caller's words in turns that went."""
HEAD_SHARE = 0.5
"""Of the window, for instructions and tools."""
MESSAGE_TOKENS = 8
"""What a template writes around a message."""
IMAGE_TOKENS = 1_300
"""Of an image of a million pixels in Qwen2.5-VL: one for each 28 x 28 of them."""
CLIPPED_CHARS = 160
_WHO = re.compile(
    r"\b(?:me llamo|soy|mi (?:nombre|contrato|número|cliente|dni|teléfono|correo|dirección)"
    r"|my (?:name|account|contract|number|phone|email|address)|i am|i'm)\b",
    re.IGNORECASE,
)
_TELLING = re.compile(r"\d|(?<=\w )[A-ZÁÉÍÓÚÑ]\w")
"""A number or a name. Of turns that go, who the caller is is kept first, then these."""
_BEFORE = {
    "es": "Antes en esta llamada la persona dijo: {}",
    "en": "Earlier in this call the caller said: {}",
}


def fit(request: LlmRequest, window: int, reply: int, count: Count) -> LlmRequest:
    """``request`` so that prompt and answer fit into ``window`` tokens.

    Args:
        reply: tokens of the answer.
        count: tokens of a text; a twentieth is left for what it does not know.

    Raises:
        EngineError: ``llm_context_exceeded``: it does not fit and ``truncation`` is ``disabled``.
    """
    room = window - reply - window // 20 - 4 * MESSAGE_TOKENS
    tools = count(json.dumps(request.tools, ensure_ascii=False)) if request.tools else 0
    instructions = _clip(request.instructions, int(window * HEAD_SHARE) - tools, count)
    room = max(0, room - tools - count(instructions) - count(request.notes))
    room = min(room, _post_instructions(request) or room)
    asked = _find_asked(request.items)
    past, current = request.items[:asked], request.items[asked:]
    costs = [_cost(item, count) for item in past]
    now = sum(_cost(item, count) for item in current)
    shown = [count(passage) + 2 for passage in request.passages]
    if sum(costs) + now + sum(shown) <= room:
        return replace(request, instructions=instructions)
    if request.truncation == "disabled":
        raise EngineError(
            "the conversation no longer fits into the model's window",
            stage="llm",
            code="llm_context_exceeded",
            retryable=False,
        )
    if now > room // 2:
        current = tuple(_shorten(item, room // 2 // len(current), count) for item in current)
        now = sum(_cost(item, count) for item in current)
    share = min(int(room * CONVERSATION_SHARE), room - now)
    cut = _find_cut(past, costs, share, _ratio(request))
    digest = _digest(past[:cut], int(room * DIGEST_SHARE), request.language, count)
    left = room - now - sum(costs[cut:]) - count(digest)
    kept = []
    for passage, cost in zip(request.passages, shown, strict=True):
        if cost <= left:
            kept.append(passage)
            left -= cost
    return replace(
        request,
        instructions=instructions,
        items=past[cut:] + current,
        notes="\n".join(filter(None, (digest, request.notes))),
        passages=tuple(kept),
    )


def _find_asked(items: Sequence[Json]) -> int:
    """Where the caller's newest words stand; the end where they said nothing yet."""
    for at in range(len(items) - 1, -1, -1):
        if items[at].get("role") == "user":
            return at
    return len(items)


def _find_cut(past: Sequence[Json], costs: Sequence[int], share: int, ratio: float) -> int:
    """The first turn that stays. What goes is a multiple of a step, so that it moves rarely."""
    over = sum(costs) - share
    if over <= 0:
        return 0
    step = max(1, int(share * (1 - ratio)))
    going = math.ceil(over / step) * step
    gone = 0
    for at, item in enumerate(past):
        if gone >= going and item.get("role") == "user":
            return at
        gone += costs[at]
    return len(past)


def _digest(gone: Sequence[Json], most: int, language: str, count: Count) -> str:
    """The caller's words in turns that went: what tells most first, then the newest."""
    said = [(at, read_text(item)) for at, item in enumerate(gone) if item.get("role") == "user"]
    chosen: dict[int, str] = {}
    left = most - MESSAGE_TOKENS
    for at, words in sorted(said, key=lambda one: (_rank(one[1]), -one[0])):
        quoted = f"«{' '.join(words.split())[:CLIPPED_CHARS]}»"
        cost = count(quoted) + 1
        if cost <= left:
            chosen[at] = quoted
            left -= cost
    if not chosen:
        return ""
    return _BEFORE["en" if language.startswith("en") else "es"].format(
        ", ".join(chosen[at] for at in sorted(chosen))
    )


def _rank(words: str) -> int:
    return 0 if _WHO.search(words) else 1 if _TELLING.search(words) else 2


def _shorten(item: Json, most: int, count: Count) -> Json:
    """The item with its text cut to ``most`` tokens."""
    if item.get("type") == "function_call_output":
        return {**item, "output": _clip(str(item.get("output") or ""), most, count)}
    if item.get("role") is None:
        return item
    return {**item, "content": [{"type": "text", "text": _clip(read_text(item), most, count)}]}


def _clip(text: str, most: int, count: Count) -> str:
    while (tokens := count(text)) > max(0, most):
        keep = max(0, min(len(text) - 2, len(text) * max(0, most) // tokens - 1))
        text = f"{text[:keep]}…" if keep else ""
    return text


def _cost(item: Json, count: Count) -> int:
    texts = (
        read_text(item),
        *(str(item.get(key) or "") for key in ("name", "arguments", "output")),
    )
    parts = [part.get("type") for part in item.get("content") or ()]
    images = parts.count("input_image")
    return MESSAGE_TOKENS + images * IMAGE_TOKENS + sum(count(text) for text in texts if text)


def _ratio(request: LlmRequest) -> float:
    wish = request.truncation
    return float(wish.get("retention_ratio") or RETAINED) if isinstance(wish, dict) else RETAINED


def _post_instructions(request: LlmRequest) -> int:
    """GA's own limit of what comes after the instructions; 0 is none."""
    wish = request.truncation
    limits = (wish.get("token_limits") or {}) if isinstance(wish, dict) else {}
    return int(limits.get("post_instructions") or 0)
