"""Whether a number that calls are placed from is on its way to be marked as spam. Pure.

Carriers and telephones mark numbers that many calls come from, that few answer, or that are hung up
on at once. None publishes from where on: ``telephony.dialing.<tenant>`` says it for the house.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.telephony import DialingSection


SHORT_S = 10.0
"""An answered call below it is a short one."""
SINCE_S = 7 * 86_400.0
"""What is looked at: a number recovers, once it is used better."""
LEAST_CALLS = 50
"""Shares of fewer calls say nothing."""


@dataclass(frozen=True, slots=True)
class NumberHealth:
    """Calls of the last seven days that one caller id was shown for and that are over."""

    tenant: str
    number: str
    calls: int
    answered: int
    short: int

    @property
    def answer_rate(self) -> float:
        """Share of the calls that were answered, by a person or a machine."""
        return self.answered / self.calls if self.calls else 0.0

    @property
    def short_share(self) -> float:
        """Share of the answered calls that were short."""
        return self.short / self.answered if self.answered else 0.0

    def alarms(self, section: DialingSection) -> tuple[str, ...]:
        """What is wrong: ``answer_rate``, ``short_calls``."""
        if self.calls < LEAST_CALLS:
            return ()
        told = []
        if self.answer_rate < section.alarm_answer_rate:
            told.append("answer_rate")
        if self.short_share > section.alarm_short_share:
            told.append("short_calls")
        return tuple(told)
