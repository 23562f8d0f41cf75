"""The meter of one session: charges by component and by turn. Pure."""

from __future__ import annotations

from typing import Literal

from penny.metering.usage import Charge, Json, total_usd


Component = Literal["portavoz", "cerebro", "transcription", "worker"]
Level = Literal["under", "warn", "over"]


class CostMeter:
    """Sums a session's charges by component, and tells when they near the ceiling.

    Args:
        limit_usd: ceiling of the session in US dollars, None for none.
        warn_at: share of it that warns.
    """

    def __init__(self, limit_usd: float | None, warn_at: float) -> None:
        self._limit_usd = limit_usd
        self._warn_at = warn_at
        self._by_component: dict[str, float] = {}
        self._turn_usd = 0.0
        self.metered = False

    def add(self, component: Component, charges: list[Charge]) -> float:
        """Take charges in; returns their sum in USD."""
        usd = total_usd(charges)
        if charges:
            self.metered = True
        self._by_component[component] = self._by_component.get(component, 0.0) + usd
        self._turn_usd += usd
        return usd

    def reach(self, component: Component, usd: float) -> float:
        """The component's own meter stands at ``usd``; returns what that is more than before."""
        self.metered = True
        more_usd = max(0.0, usd - self._by_component.get(component, 0.0))
        self._by_component[component] = self._by_component.get(component, 0.0) + more_usd
        self._turn_usd += more_usd
        return more_usd

    def turn_began(self) -> None:
        self._turn_usd = 0.0

    @property
    def usd(self) -> float:
        return sum(self._by_component.values())

    @property
    def by_component(self) -> dict[str, float]:
        return {name: round(usd, 6) for name, usd in self._by_component.items() if usd}

    @property
    def level(self) -> Level:
        if self._limit_usd is None or self.usd < self._limit_usd * self._warn_at:
            return "under"
        return "over" if self.usd >= self._limit_usd else "warn"

    def event(self, duration_ms: int) -> Json:
        """The ``penny.cost`` event of now."""
        return {
            "type": "penny.cost",
            "usd_total": round(self.usd, 6),
            "usd_turn": round(self._turn_usd, 6),
            "usd_by": self.by_component,
            "duration_ms": duration_ms,
        }
