"""How effective a session's brain was, kept for the session's summary."""

from __future__ import annotations

from penny.metering.usage import Json


class SummaryObserver:
    """Observer that keeps the newest ``penny.effectiveness``.

    Args:
        totals: written into when the session ends (``details.brain``).
    """

    listens_to = ("penny.effectiveness",)

    def __init__(self, totals: Json) -> None:
        self._totals = totals
        self._newest: Json | None = None

    def caller_event(self, event: Json, at_s: float) -> None:
        return None

    def speaker_event(self, event: Json, at_s: float) -> None:
        self._newest = event["effectiveness"]

    def ended(self, reason: str, at_s: float) -> None:
        if self._newest is not None:
            self._totals.setdefault("details", {})["brain"] = self._newest
