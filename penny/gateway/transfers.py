"""What becomes of calls that are put through to a person, whatever carries them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import structlog
from prometheus_client.core import CounterMetricFamily, Metric

from penny.edges.asterisk.announced import Handed
from penny.gateway.phones import PhoneCall
from penny.ids import new_id
from penny.localized import Localized, in_language


log = structlog.get_logger()

MOST_WHISPERED = 300
"""Characters of a summary."""
SHORT_S = 120
"""A transferred call that ends sooner is counted as cut: its person hardly talked."""
TOOK = frozenset({"answered", "short"})
RETURNED = Localized(
    "Nobody can take your call right now. How else can I help you?",
    es="Ahora mismo no puede atenderle nadie. ¿En qué más puedo ayudarle?",
)


class Transfers:
    """Counts how the transfers of a gateway end."""

    def __init__(self) -> None:
        self.over: dict[str, int] = {}
        """Answered, short, or what the carrier told instead."""

    def end(self, outcome: str, talked_s: float | None) -> str:
        """Count one that is over; its outcome: ``short`` where it was answered and hardly talked.

        Args:
            talked_s: how long the two were joined; None where that is not known.
        """
        if outcome == "answered" and talked_s is not None and talked_s < SHORT_S:
            outcome = "short"
            log.warning("transferred_call_cut", after_s=round(talked_s, 1))
        self.over[outcome] = self.over.get(outcome, 0) + 1
        return outcome

    def collect(self) -> Iterator[Metric]:
        """How transfers end, for the operator."""
        told = "Transfers of telephone calls by how they ended; short: cut within two minutes"
        family = CounterMetricFamily("penny_phone_transfers", told, labels=["outcome"])
        for outcome, count in self.over.items():
            family.add_metric([outcome], count)
        yield family


def come_back(call: PhoneCall, outcome: str, leg: str, language: str) -> PhoneCall:
    """The call once more, as a leg of its own.

    Args:
        outcome: of the transfer.
        leg: the session before it.
    """
    context = {**call.context, "returned": outcome, "parent_call": leg}
    greeting = in_language(RETURNED, language)
    again = replace(call, greeting=greeting, context=context, session_id=new_id("sess"))
    return replace(again, on_machine="talk")  # a person is there


def leg_to_person(handed: Handed) -> PhoneCall:
    """The leg on which a person hears of the call that they have taken: no figure counts it."""
    return PhoneCall(
        tenant=handed.tenant,
        caller="",
        callee="",
        direction="outbound",
        mode=handed.mode,
        language=handed.language,
        whisper=handed.summary[:MOST_WHISPERED],
        context={"parent_call": handed.session_id, "test": True},
    )
