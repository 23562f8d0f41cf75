"""Whether a call kept its tenant's rules: what must be said, and what must not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from config.analysis import RuleSection
from penny.analysis.dialogue import Said
from penny.calls.rows import fold


VERSION = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one rule, why, and the turns it rests on (none where something is absent)."""

    rule: str
    kept: bool
    reason: str
    turns: tuple[int, ...]


def judge_rules(rules: Sequence[RuleSection], said: Sequence[Said], intent: str) -> list[Verdict]:
    """The verdict of every rule that holds for a call with this intent."""
    return [_judge(r, said) for r in rules if not r.intents or intent in r.intents]


def _judge(rule: RuleSection, said: Sequence[Said]) -> Verdict:
    own = [each for each in said if each.side == rule.by]
    for phrase in rule.forbidden:
        if turns := _turns_with(own, phrase):
            return Verdict(rule.name, False, f'said: "{phrase}"', turns)
    if not rule.required:
        return Verdict(rule.name, True, "nothing forbidden was said", ())
    last = rule.within_turns
    early = own if last is None else [each for each in own if each.turn <= last]
    for phrase in rule.required:
        if turns := _turns_with(early, phrase):
            return Verdict(rule.name, True, f'said: "{phrase}"', turns[:1])
    shown = " / ".join(f'"{phrase}"' for phrase in rule.required[:3])
    return Verdict(rule.name, False, f"not said: {shown}", ())


def _turns_with(said: Sequence[Said], phrase: str) -> tuple[int, ...]:
    wanted = f" {fold(phrase)} "
    return tuple(each.turn for each in said if wanted in f" {fold(each.text)} ")
