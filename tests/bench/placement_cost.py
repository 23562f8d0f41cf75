"""What a call costs by placement, from the price table.

``python -m tests.bench.placement_cost`` writes the table of ``modes/external/README.md``.

A simulated support call, with the vendors' own token rates: a caller's second of speech is 10
tokens, the speaker's 20. The notes go where the call's own ``DeclaredContext`` and ``Placer`` put
them, and come out as they do there. Caching is taken as ideal or as none: what stood unchanged in
front of the previous response is read from the cache, or never. The meter of a real session counts
the real usage; this table only compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from brain.folio import Folio, SectionName
from config.prices import PRICES, ModelPrices
from modes.external.context import DeclaredContext
from modes.external.placing import CHARS_PER_TOKEN, NOTE_OVERHEAD_TOKENS, Placer, Policy
from modes.external.speaker import Capabilities, Step


README = Path(__file__).parents[2] / "modes/external/README.md"
USER_TOKENS_PER_S = 10
SPEAKER_TOKENS_PER_S = 20
TEXT_TOKENS_PER_S = 4
"""The transcript that the speaker writes beside its audio."""
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """Five minutes: 20 turns of 7.5 s of each side, a folio and a passage of facts each turn."""

    turns: int = 20
    user_s: float = 7.5
    speaker_s: float = 7.5
    prompt_tokens: int = 1500
    folio_tokens: int = 200
    facts_tokens: int = 130
    caches: bool = True
    analyses_per_turn: float = 1.55
    """One of the turn, and one of a reply that states something."""
    brain_fresh_tokens: int = 1200
    brain_cached_tokens: int = 1800
    brain_out_tokens: int = 250

    @property
    def minutes(self) -> float:
        return self.turns * (self.user_s + self.speaker_s) / 60


class _Prompt:
    """What stands in front of a response, in order: (name, text tokens, audio tokens)."""

    def __init__(self, instructions: int) -> None:
        self.parts: list[tuple[str, int, int]] = [("instructions", instructions, 0)]
        self._before: list[tuple[str, int, int]] = []

    def apply(self, step: Step, instructions: int) -> None:
        if step.act == "remove":
            self.parts = [part for part in self.parts if part[0] != step.folios[0]]
        elif step.act == "append":
            tokens = round(len(step.text) / CHARS_PER_TOKEN) + NOTE_OVERHEAD_TOKENS
            self.parts.append((step.folios[0], tokens, 0))
        else:
            written = instructions + round(len(step.text) / CHARS_PER_TOKEN)
            self.parts[0] = (f"instructions of {step.id}", written, 0)

    def read(self, *, caches: bool) -> tuple[int, int, int, int]:
        """(text, audio, text cached, audio cached) of the response that begins now."""
        same = 0
        while caches and self.parts[same : same + 1] == self._before[same : same + 1] != []:
            same += 1
        self._before = list(self.parts)
        cached = self.parts[:same]
        text, audio = sum(p[1] for p in self.parts), sum(p[2] for p in self.parts)
        return text, audio, sum(p[1] for p in cached), sum(p[2] for p in cached)


def speaker_usd(policy: Policy | None, prices: ModelPrices, call: SimulatedCall) -> float:
    """The speaker's cost; ``policy`` None is the speaker alone, without brain and facts."""
    serial = count(1)
    placer = Placer(policy or "append", prices)
    context = DeclaredContext("", "", placer, lambda prefix: f"{prefix}_{next(serial)}")
    context.attach(Capabilities())
    prompt = _Prompt(call.prompt_tokens)
    total = 0.0
    for turn in range(1, call.turns + 1):
        context.turn_began(turn)
        prompt.parts.append((f"caller {turn}", 0, round(call.user_s * USER_TOKENS_PER_S)))
        if policy is not None:
            context.offer(_folio("facts", turn, call.facts_tokens, 0))
        _place(context, placer, prompt, call)
        text, audio, text_cached, audio_cached = prompt.read(caches=call.caches)
        said = round(call.speaker_s * SPEAKER_TOKENS_PER_S)
        written = round(call.speaker_s * TEXT_TOKENS_PER_S)
        total += (text - text_cached) * (prices.text_in or 0.0)
        total += text_cached * (prices.text_cached or 0.0)
        total += (audio - audio_cached) * (prices.audio_in or 0.0)
        total += audio_cached * (prices.audio_cached or 0.0)
        total += said * (prices.audio_out or 0.0) + written * (prices.text_out or 0.0)
        heard = {"text_tokens": text, "audio_tokens": audio}
        cached = {"cached_tokens": text_cached + audio_cached}
        spoken = {"text_tokens": 0, "audio_tokens": said}
        details = {"input_token_details": {**heard, **cached}, "output_token_details": spoken}
        placer.measure(details)
        prompt.parts.append((f"speaker {turn}", 0, said))
        if policy is not None:
            context.offer(_folio("folio", turn, call.folio_tokens, 3))
            _place(context, placer, prompt, call)
    return total / MILLION


def _folio(section: SectionName, turn: int, tokens: int, turns: int) -> Folio:
    name = f"{section} {turn}"
    text = "x" * round(tokens * CHARS_PER_TOKEN)
    return Folio(name, section, "silent", text, turn, "", {}, "", turns)


def _place(context: DeclaredContext, placer: Placer, prompt: _Prompt, call: SimulatedCall) -> None:
    for step in context.steps(0.0):
        prompt.apply(step, call.prompt_tokens)
        if step.act == "append":
            placer.noted(step.folios[0])


def brain_usd(prices: ModelPrices, call: SimulatedCall) -> float:
    once = (
        call.brain_fresh_tokens * (prices.text_in or 0.0)
        + call.brain_cached_tokens * (prices.text_cached or 0.0)
        + call.brain_out_tokens * (prices.text_out or 0.0)
    )
    return once * call.analyses_per_turn * call.turns / MILLION


def make_table() -> str:
    """The README's table, as Markdown."""
    rows = [
        "| speaker | brain | placement | caching | speaker $ | brain $ | words $ | call $ "
        "| $/min |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    flagship, mini = "gpt-realtime-2.1", "gpt-realtime-2.1-mini"
    haiku, sonnet = "claude-haiku-5-5", "claude-sonnet-5-5"
    wanted: list[tuple[Policy | None, str, str, bool]] = [
        (None, flagship, haiku, True),
        *((policy, flagship, haiku, True) for policy in ("append", "auto", "rewrite")),
        *((policy, flagship, haiku, False) for policy in ("append", "auto", "rewrite")),
        ("auto", flagship, sonnet, True),
        *((policy, mini, haiku, True) for policy in ("append", "auto", "rewrite")),
    ]
    for policy, speaker, brain, caches in wanted:
        call = SimulatedCall(caches=caches)
        spoken = speaker_usd(policy, PRICES[speaker], call)
        thought = 0.0 if policy is None else brain_usd(PRICES[brain], call)
        minutes = call.turns * call.user_s / 60
        words = minutes * (PRICES["gpt-realtime-whisper"].per_minute or 0.0)
        usd = spoken + thought + words
        rows.append(
            f"| {speaker} | {brain if policy else 'none'} | {policy or '-'} | "
            f"{'ideal' if caches else 'none'} | {spoken:.3f} | {thought:.4f} | {words:.4f} | "
            f"{usd:.3f} | {usd / call.minutes:.3f} |"
        )
    return "\n".join(rows) + "\n"


def write_table() -> None:
    """Put the table in the place of the one that is there."""
    before, _, rest = README.read_text(encoding="utf-8").partition("| speaker | brain |")
    _, _, after = rest.partition("\n\n")
    README.write_text(f"{before}{make_table()}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    write_table()
