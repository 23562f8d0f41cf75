"""What each Claude model takes in a request, and the parameters that follow. Pure.

The Anthropic SDK names the models (``anthropic.types.Model``) and the ways to think
(``ThinkingTypes``: "false exactly when a request that sends it gets a 400"); which model takes
which is from https://platform.claude.com/docs/en/build-with-claude/thinking and …/effort, as of
2026-11. A test fails when the installed SDK knows a model that has no row in ``texts/models.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from anthropic.resources.messages import DEPRECATED_MODELS

from brain.texts import read_table
from config.brain import Depth


Json = dict[str, Any]

THINKING_TOKENS = 2_000
"""Added to ``max_tokens`` of a model that thinks: its thoughts count toward the same limit."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model takes.

    Args:
        thinking_off: the ``thinking.type`` that has it answer without thinking first; ``omitted``
            where it does so by itself, None where it always thinks.
        effort: whether ``output_config.effort`` is taken; otherwise it is a 400.
    """

    thinking_off: Literal["disabled", "between_tools", "omitted"] | None
    effort: bool


UNKNOWN = ModelFacts("omitted", effort=False)
"""Of a name that is no Claude model, such as one of another Messages server: it is sent neither."""
FACTS = {
    name: ModelFacts(group["thinking_off"], group["effort"])
    for group in read_table("models")["models"]
    for name in group["names"]
}


def request_parameters(model: str, depth: Depth) -> Json:
    """``max_tokens``, and ``thinking`` and ``output_config.effort`` where the model takes them.

    A depth is a wish: a model that cannot leave thinking off gets room for its thoughts instead.
    """
    facts = FACTS.get(model, UNKNOWN)
    parameters: Json = {"max_tokens": depth.max_tokens}
    thinks = facts.thinking_off is None
    if depth.thinking == "disabled" and facts.thinking_off in ("disabled", "between_tools"):
        parameters["thinking"] = {"type": facts.thinking_off}
    elif depth.thinking == "default":
        thinks = facts.thinking_off != "omitted"
    if thinks:
        parameters["max_tokens"] += THINKING_TOKENS
    if depth.effort is not None and facts.effort:
        parameters["output_config"] = {"effort": depth.effort}
    return parameters


def find_fault(model: str, today: date) -> str:
    """Why requests to this model fail, or will, as the SDK knows it; "" when nothing is known."""
    ends = DEPRECATED_MODELS.get(model)
    if ends is not None:
        gone = _read_date(ends) <= today
        return f"{model} {'was' if gone else 'is'} turned off on {ends}"
    if model.startswith("claude-") and model not in FACTS:
        return f"{model} is no model that the installed SDK knows; it is sent plain requests"
    return ""


def _read_date(text: str) -> date:
    """``June 15th, 2026``, as the SDK writes it."""
    month, day, year = text.replace(",", "").split()
    return datetime.strptime(f"{month} {day[:-2]} {year}", "%B %d %Y").date()  # noqa: DTZ007
