"""What a call costs by placement, computed from the price table: ``python -m brain.cost_model``.

A simulated support call, with the vendors' own token rates: a caller's second of speech is 10
tokens, the speaker's 20. Caching is taken as ideal: everything that stood unchanged in front of
the previous response is read from the cache. The meter of a real session counts the real usage;
this table only compares placements.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from brain.placement import HistoryLength, Policy, choose_placement
from config.prices import PRICES, ModelPrices


USER_TOKENS_PER_S = 10
SPEAKER_TOKENS_PER_S = 20
TEXT_TOKENS_PER_S = 4
"""The transcript that the speaker writes beside its audio."""


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """Five minutes: 20 turns of 7.5 s of each side, a folio and a passage of facts each turn."""

    turns: int = 20
    user_s: float = 7.5
    speaker_s: float = 7.5
    prompt_tokens: int = 1500
    folio_tokens: int = 200
    facts_tokens: int = 60
    analyses_per_turn: float = 1.5
    """One of the turn; a review where the reply states something."""
    brain_fresh_tokens: int = 900
    brain_cached_tokens: int = 2200
    brain_out_tokens: int = 250

    @property
    def minutes(self) -> float:
        return self.turns * (self.user_s + self.speaker_s) / 60


@dataclass(frozen=True, slots=True)
class CallCost:
    speaker_usd: float
    brain_usd: float
    transcription_usd: float

    @property
    def usd(self) -> float:
        return self.speaker_usd + self.brain_usd + self.transcription_usd


def cost_call(policy: Policy | None, speaker: str, brain: str, call: SimulatedCall) -> CallCost:
    """Cost of the call; ``policy`` None is the speaker alone, without brain and facts."""
    prices = PRICES[speaker]
    usd = _speaker_usd(policy, prices, call)
    thinks = 0.0 if policy is None else _brain_usd(PRICES[brain], call)
    minutes = call.turns * call.user_s / 60
    return CallCost(usd, thinks, minutes * (PRICES["gpt-realtime-whisper"].per_minute or 0.0))


def _speaker_usd(policy: Policy | None, prices: ModelPrices, call: SimulatedCall) -> float:
    user = round(call.user_s * USER_TOKENS_PER_S)
    spoken = round(call.speaker_s * SPEAKER_TOKENS_PER_S)
    text, audio, total = call.prompt_tokens, 0, 0.0
    cached_text = cached_audio = stale = 0
    for turn in range(call.turns):
        if policy is not None:
            text += call.facts_tokens
            if turn:
                note = "x" * round(call.folio_tokens * 3.5)
                history = HistoryLength(cached_text, cached_audio, stale)
                left = call.turns - turn
                cost = choose_placement(policy, note, history, prices, remaining_turns=left)
                if cost.placing == "append":
                    text += call.folio_tokens
                    stale += call.folio_tokens
                else:
                    # Behind the changed instructions nothing is the same any more.
                    cached_text, cached_audio = min(cached_text, call.prompt_tokens), 0
                    text += call.folio_tokens if turn == 1 else 0
        audio += user
        total += (text - cached_text) * (prices.text_in or 0.0)
        total += cached_text * (prices.text_cached or 0.0)
        total += (audio - cached_audio) * (prices.audio_in or 0.0)
        total += cached_audio * (prices.audio_cached or 0.0)
        total += spoken * (prices.audio_out or 0.0)
        total += call.speaker_s * TEXT_TOKENS_PER_S * (prices.text_out or 0.0)
        cached_text, cached_audio = text, audio
        audio += spoken
    return total / 1e6


def _brain_usd(prices: ModelPrices, call: SimulatedCall) -> float:
    once = (
        call.brain_fresh_tokens * (prices.text_in or 0.0)
        + call.brain_cached_tokens * (prices.text_cached or 0.0)
        + call.brain_out_tokens * (prices.text_out or 0.0)
    )
    return once * call.analyses_per_turn * call.turns / 1e6


def make_table() -> str:
    """The README's table, as Markdown."""
    call = SimulatedCall()
    rows = [
        "| speaker | brain | placement | speaker $ | brain $ | words $ | call $ | $/min |",
        "|---|---|---|---|---|---|---|---|",
    ]
    wanted: list[tuple[Policy | None, str, str]] = [
        (None, "gpt-realtime-2.1", "claude-haiku-5-5"),
        ("append", "gpt-realtime-2.1", "claude-haiku-5-5"),
        ("auto", "gpt-realtime-2.1", "claude-haiku-5-5"),
        ("rewrite", "gpt-realtime-2.1", "claude-haiku-5-5"),
        ("auto", "gpt-realtime-2.1", "claude-sonnet-5-5"),
        ("append", "gpt-realtime-2.1-mini", "claude-haiku-5-5"),
        ("auto", "gpt-realtime-2.1-mini", "claude-haiku-5-5"),
        ("rewrite", "gpt-realtime-2.1-mini", "claude-haiku-5-5"),
    ]
    for policy, speaker, brain in wanted:
        cost = cost_call(policy, speaker, brain, call)
        shown = brain if policy else "none"
        rows.append(
            f"| {speaker} | {shown} | {policy or '-'} | {cost.speaker_usd:.3f} | "
            f"{cost.brain_usd:.4f} | {cost.transcription_usd:.4f} | {cost.usd:.3f} | "
            f"{cost.usd / call.minutes:.3f} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(make_table())
