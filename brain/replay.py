"""Runs a journal's analyses again, offline: another model, another prompt, and what differs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brain.analysis import AnalysisRequest, BrainFailure
from brain.claude import Claude
from brain.journal import read_journal
from brain.prompt import SYSTEM
from config.brain import Depths
from config.schema import ModelsSection
from penny.errors import PennyError
from penny.metering.usage import price_messages, total_usd


Json = dict[str, Any]

SHOWN = (
    "user_intent",
    "relevant_data",
    "suggested_response_elements",
    "tone_guidance",
    "warnings",
    "corrections",
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One analysis, then and now. ``differences``: field -> (then, now)."""

    turn: int
    purpose: str
    model: str
    took_ms_then: int
    usd_then: float
    differences: dict[str, tuple[object, object]] = field(default_factory=dict)
    failure: str = ""
    took_ms: int = 0
    usd: float = 0.0


async def replay_journal(
    path: Path,
    base_url: str | None,
    *,
    model: str | None = None,
    prompt: str | None = None,
    models: ModelsSection | None = None,
) -> AsyncIterator[Replayed]:
    """Ask again what the journal says was asked, in order.

    Args:
        model: null asks the model of then. prompt: the system text; null is today's.

    Raises:
        PennyError: ``journal_unreadable``.
    """
    prices = (models or ModelsSection()).prices
    claude = Claude(base_url, system=prompt or SYSTEM)
    try:
        for entry in read_journal(path):
            if entry["kind"] in ("analysis", "analysis_failed"):
                yield await _ask_again(claude, entry, model, prices)
    finally:
        await claude.aclose()


async def _ask_again(claude: Claude, entry: Json, model: str | None, prices: Any) -> Replayed:
    try:
        request = AnalysisRequest.from_json(entry["request"])
    except (KeyError, ValueError) as error:
        raise PennyError(
            "the journal is of another version of Penny", code="journal_unreadable"
        ) from error
    chosen = model or entry.get("model") or "claude-haiku-5-5"
    then: Json = {
        "turn": request.turn,
        "purpose": request.purpose,
        "model": chosen,
        "took_ms_then": entry.get("took_ms") or 0,
        "usd_then": entry.get("usd") or 0.0,
    }
    try:
        analysis = await claude.analyse(request, chosen, Depths().standard, lambda usage: None)
    except BrainFailure as failure:
        return Replayed(**then, failure=failure.code)
    update = analysis.update.model_dump(mode="json") if analysis.update else {}
    before = entry.get("update") or {}
    before |= {"corrections": entry.get("corrections", [])}
    update |= {"corrections": [each.model_dump(mode="json") for each in analysis.corrections]}
    pairs = {name: (before.get(name), update.get(name)) for name in SHOWN}
    differences: Json = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    usd = total_usd(price_messages(analysis.usage.as_json(), chosen, prices))
    return Replayed(**then, differences=differences, took_ms=analysis.took_ms, usd=usd)
