"""How a revision of the context reaches the speaker: rewritten, or appended. Pure.

Rewriting the instructions changes the beginning of the prompt: everything behind it is read
again at the full price, once. Appending keeps the cache and costs the note, once in full and
then at the cached price in every later response. ``auto`` computes both from the price table and
the real length of the history (realtime-costs, 2.6 of the protocol notes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from config.prices import TokenPrices


Policy = Literal["auto", "append", "rewrite"]
Placing = Literal["append", "rewrite"]

CHARS_PER_TOKEN = 3.5
"""Spanish prose in OpenAI's tokenizers; only for estimates, the meter uses the real usage."""
EXPECTED_TURNS = 8
"""Turns still to come in a call of unknown length: the median support call has about 16."""


@dataclass(frozen=True, slots=True)
class HistoryLength:
    """Tokens in front of the next response, as the last usage told them."""

    text_tokens: int = 0
    audio_tokens: int = 0
    stale_note_tokens: int = 0
    """Appended notes that a rewrite would make needless."""


@dataclass(frozen=True, slots=True)
class PlacementCost:
    placing: Placing
    append_usd: float
    rewrite_usd: float
    reason: str

    @property
    def usd(self) -> float:
        return self.append_usd if self.placing == "append" else self.rewrite_usd


def count_tokens(text: str) -> int:
    return round(len(text) / CHARS_PER_TOKEN)


def choose_placement(
    policy: Policy,
    note: str,
    history: HistoryLength,
    prices: TokenPrices | None,
    *,
    strong: bool = False,
    remaining_turns: int = EXPECTED_TURNS,
    able: frozenset[Placing] = frozenset({"append", "rewrite"}),
) -> PlacementCost:
    """Choose, with the estimated USD of both.

    Args:
        strong: language, persona, safety or an ignored correction: only a rewrite will do.
        able: what the provider can do at all.
    """
    append_usd, rewrite_usd = _estimate(note, history, prices, remaining_turns)

    def decide(placing: Placing, reason: str) -> PlacementCost:
        if placing not in able:
            placing, reason = next(iter(able)), "only_way"
        return PlacementCost(placing, append_usd, rewrite_usd, reason)

    if strong:
        return decide("rewrite", "strength")
    if policy != "auto":
        return decide(policy, "policy")
    if rewrite_usd < append_usd:
        return decide("rewrite", "cheaper")
    return decide("append", "cheaper")


def _estimate(
    note: str, history: HistoryLength, prices: TokenPrices | None, remaining_turns: int
) -> tuple[float, float]:
    if prices is None:
        return 0.0, 0.0
    tokens = count_tokens(note)
    text_in = prices.text_in or 0.0
    text_cached = text_in if prices.text_cached is None else prices.text_cached
    audio_in = prices.audio_in or 0.0
    audio_cached = audio_in if prices.audio_cached is None else prices.audio_cached
    note_usd = tokens * text_in + tokens * text_cached * remaining_turns
    append = note_usd + history.stale_note_tokens * text_cached * remaining_turns
    reread = history.text_tokens * (text_in - text_cached)
    reread += history.audio_tokens * (audio_in - audio_cached)
    return append / 1e6, (note_usd + reread) / 1e6


def notes_to_prune(ids: list[str], keep: int) -> list[str]:
    """Which appended notes go now: none up to ``keep``, then all but the newest quarter at once.

    One batch breaks the cache once; one deletion per turn would break it every turn.
    """
    if len(ids) <= keep:
        return []
    return ids[: len(ids) - max(1, keep // 4)]
