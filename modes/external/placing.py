"""How a note reaches the speaker: appended, or written into the instructions. Pure.

Rewriting the instructions changes the beginning of the prompt: everything behind it is read again
at the full price, once. An appended note leaves the cache alone when it comes and costs what stands
behind it when it goes. ``auto`` computes both from the price table and from what the provider's own
usage says of the history's length and of how much of it really comes from the cache.
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
MILLION = 1_000_000


def count_tokens(text: str) -> int:
    return round(len(text) / CHARS_PER_TOKEN)


@dataclass(slots=True)
class History:
    """The length of the conversation, as the newest usage told it.

    Args:
        cached_share: of what could have come from the cache, what did; 1 until measured.
        turns: answered so far.
    """

    text_tokens: int = 0
    audio_tokens: int = 0
    cached_share: float = 1.0
    turns: int = 0
    _at: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Note -> (text, audio) tokens that stood before it."""

    def measure(self, usage: Json) -> None:
        """Take in the usage of a response that ended."""
        heard, said = (
            usage.get("input_token_details") or {},
            usage.get("output_token_details") or {},
        )
        known = self.text_tokens + self.audio_tokens
        if known:
            cached = heard.get("cached_tokens") or 0
            self.cached_share += 0.5 * (min(1.0, cached / known) - self.cached_share)
        self.text_tokens = (heard.get("text_tokens") or 0) + (said.get("text_tokens") or 0)
        self.audio_tokens = (heard.get("audio_tokens") or 0) + (said.get("audio_tokens") or 0)
        self.turns += 1

    def noted(self, folio_id: str) -> None:
        """A note was appended here."""
        self._at[folio_id] = (self.text_tokens, self.audio_tokens)

    def behind(self, notes: Sequence[str]) -> tuple[int, int]:
        """(text, audio) tokens behind the oldest of these notes: what is read again without it."""
        places = [self._at[each] for each in notes if each in self._at]
        if not places:
            return 0, 0
        text, audio = min(places)
        return max(0, self.text_tokens - text), max(0, self.audio_tokens - audio)


@dataclass(slots=True)
class Placer:
    """How each folio of one call is placed. ``prices``: None where the server bills nothing."""

    policy: Policy
    prices: TokenPrices | None
    history: History = field(default_factory=History)

    def __call__(self, folio: Folio, leaving: Sequence[str]) -> Placing:
        if folio.section == "facts":
            return "append"  # of one answer: the instructions would be read again for each
        if self.policy != "auto":
            return self.policy
        append_usd, rewrite_usd = self.estimate(folio, leaving)
        return "rewrite" if rewrite_usd < append_usd else "append"

    def estimate(self, folio: Folio, leaving: Sequence[str]) -> tuple[float, float]:
        """USD of an appended note and of a rewrite, each until the folio has gone again."""
        history, share = self.history, self.history.cached_share
        stays = folio.expires_after_turns + 1
        text, audio = history.text_tokens, history.audio_tokens
        turns = max(1, history.turns)
        text_grown, audio_grown = text * stays // turns, audio * stays // turns
        note = self._fresh(count_tokens(folio.text))
        append = note + stays * self._fresh(NOTE_OVERHEAD_TOKENS)
        # Out again, either way what stands behind its place is read again; and what leaves now.
        append += self._read_again(*history.behind(leaving), share)
        append += self._read_again(text_grown, audio_grown, share)
        rewrite = note + self._read_again(text, audio, share)
        rewrite += self._read_again(text + text_grown, audio + audio_grown, share)
        return append, rewrite

    def _fresh(self, text: int) -> float:
        return 0.0 if self.prices is None else text * (self.prices.text_in or 0.0) / MILLION

    def _read_again(self, text: int, audio: int, share: float) -> float:
        prices = self.prices
        if prices is None:
            return 0.0
        text_usd = (prices.text_in or 0.0) - (prices.text_cached or 0.0)
        audio_usd = (prices.audio_in or 0.0) - (prices.audio_cached or 0.0)
        return share * (text * text_usd + audio * audio_usd) / MILLION
