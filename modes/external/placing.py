"""How a note reaches the speaker: appended, or written into the instructions. Pure.

After a rewrite of the instructions everything behind them is read again at the full price, once; an
appended note costs what stands behind it when it goes. ``auto`` computes both from the price table
and from what the provider's usage says of the history's length and of its share in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from brain.folio import Folio
from config.prices import TokenPrices


Json = dict[str, Any]
Policy = Literal["auto", "append", "rewrite"]
Placing = Literal["append", "rewrite"]

CHARS_PER_TOKEN = 3.5
"""Spanish prose in OpenAI's tokenizers; only for estimates, the meter uses the real usage."""
NOTE_OVERHEAD_TOKENS = 8
"""What a message costs beside its text."""


def count_tokens(text: str) -> int:
    return round(len(text) / CHARS_PER_TOKEN)


@dataclass(slots=True)
class Placer:
    """How each folio of one call is placed, and the length of its history as usage tells it.
    ``prices``: None where the server bills nothing; ``cached_share``: of what could have come from
    the cache, what did; 1 until measured."""

    policy: Policy
    prices: TokenPrices | None
    text_tokens: int = 0
    audio_tokens: int = 0
    cached_share: float = 1.0
    _at: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Note -> (text, audio) tokens that stood before it."""

    def measure(self, usage: Json) -> None:
        """Take in the usage of a response that ended."""
        heard: Json = usage.get("input_token_details") or {}
        said: Json = usage.get("output_token_details") or {}
        known = self.text_tokens + self.audio_tokens
        if known:
            cached = heard.get("cached_tokens") or 0
            self.cached_share += 0.5 * (min(1.0, cached / known) - self.cached_share)
        self.text_tokens = (heard.get("text_tokens") or 0) + (said.get("text_tokens") or 0)
        self.audio_tokens = (heard.get("audio_tokens") or 0) + (said.get("audio_tokens") or 0)

    def noted(self, folio_id: str) -> None:
        """A note was appended here."""
        self._at[folio_id] = (self.text_tokens, self.audio_tokens)

    def __call__(self, folio: Folio, leaving: Sequence[str]) -> Placing:
        if folio.section == "facts":
            return "append"  # of one answer: the instructions would be read again for each
        if self.policy != "auto":
            return self.policy
        append_usd, rewrite_usd = self.estimate(folio, leaving)
        return "rewrite" if rewrite_usd < append_usd else "append"

    def estimate(self, folio: Folio, leaving: Sequence[str]) -> tuple[float, float]:
        """USD of an appended note while ``leaving`` go, and of a rewrite, until the folio has gone.

        Its own text, and what comes behind it and is read again when it goes, cost the same twice.
        """
        prices = self.prices
        if prices is None:
            return 0.0, 0.0
        stays = folio.expires_after_turns + 1
        note = stays * NOTE_OVERHEAD_TOKENS * (prices.text_in or 0.0) / 1_000_000
        places = [self._at[each] for each in leaving if each in self._at]
        text, audio = min(places, default=(self.text_tokens, self.audio_tokens))
        behind = self._read_again(self.text_tokens - text, self.audio_tokens - audio, prices)
        whole = self._read_again(self.text_tokens, self.audio_tokens, prices)
        return note + behind, 2 * whole

    def _read_again(self, text: int, audio: int, prices: TokenPrices) -> float:
        text_usd = (prices.text_in or 0.0) - (prices.text_cached or 0.0)
        audio_usd = (prices.audio_in or 0.0) - (prices.audio_cached or 0.0)
        usd = max(0, text) * text_usd + max(0, audio) * audio_usd
        return self.cached_share * usd / 1_000_000
