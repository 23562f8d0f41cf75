"""What became of a session's folios: recorded, counted, told."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from brain.folio import Json, Outcome
from brain.host import BrainHost
from penny.tracing.attributes import Attributes


if TYPE_CHECKING:
    from penny.tracing.trace import Trace


@dataclass(slots=True)
class Effectiveness:
    """Counts of what became of folios, from their outcomes.

    ``in_time``: used at the latest for the turn after their own. ``stale``: gone before they were
    used, because they came too late or a newer one was there.
    """

    folios: int = 0
    in_time: int = 0
    late: int = 0
    stale: int = 0
    usd: float = 0.0
    corrections_made: int = 0
    corrections_confirmed: int = 0
    corrections_ignored: int = 0

    def take(self, outcome: Outcome, *, is_new: bool, was_used: bool) -> None:
        """Count one outcome of a folio; ``is_new``: its first, ``was_used``: by a response."""
        folio = outcome.folio
        if is_new:
            self.folios += 1
            self.usd += folio.usd
        if outcome.state == "used" and not was_used:
            in_time = outcome.turn - folio.turn <= 1
            self.in_time += in_time
            self.late += not in_time
        elif outcome.state == "in_force":
            self.corrections_made += folio.kind == "correction" and not folio.urgent
        elif outcome.state == "gone":
            self.stale += outcome.reason in ("stale", "superseded") and not was_used
            self.corrections_confirmed += outcome.reason == "withdrawn:confirmed"
            self.corrections_ignored += outcome.reason == "withdrawn:ignored"

    def add(self, other: Effectiveness) -> None:
        """Take another's counts in."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def as_json(self) -> dict[str, float]:
        done = max(1, self.folios)
        return {
            "folios": self.folios,
            "applied_in_time_pct": round(100 * self.in_time / done, 1),
            "stale_pct": round(100 * self.stale / done, 1),
            "usd_per_folio": round(self.usd / done, 6),
            "corrections_made": self.corrections_made,
            "corrections_confirmed": self.corrections_confirmed,
            "corrections_ignored": self.corrections_ignored,
        }


class OutcomeLog:
    """Takes the outcomes of one session."""

    def __init__(self, trace: Trace | None, host: BrainHost) -> None:
        self._trace = trace
        self._host = host
        self._tell = host.tell
        self._used: dict[str, bool] = {}
        self._told: Json = {}
        self.effectiveness = Effectiveness()

    def take(self, outcome: Outcome) -> None:
        """Record, count and tell one outcome."""
        folio = outcome.folio
        was_used = self._used.get(folio.id)
        self.effectiveness.take(outcome, is_new=was_used is None, was_used=bool(was_used))
        self._used[folio.id] = bool(was_used) or outcome.state == "used"
        self._host.note(
            "folio",
            item_id=folio.based_on,
            folio_id=folio.id,
            section=folio.section,
            source=folio.source,
            turn=folio.turn,
            status=outcome.state,
            reason=outcome.reason,
            placement=outcome.placement,
            response_id=outcome.response_id,
        )
        if outcome.state == "in_force":
            self._tell_in_force(outcome)
        elif outcome.state == "gone":
            self._used.pop(folio.id, None)
        told = self.effectiveness.as_json()
        if told != self._told:
            self._told = told
            self._tell({"type": "penny.effectiveness", "effectiveness": told})

    def _tell_in_force(self, outcome: Outcome) -> None:
        folio = outcome.folio
        if self._trace is not None:
            about: Attributes = {
                "penny.folio.id": folio.id,
                "penny.folio.section": folio.section,
                "penny.folio.placement": outcome.placement,
            }
            item_id, began_s = folio.based_on, folio.created_s
            self._trace.start("folio", item_id=item_id, at_s=began_s, attributes=about).end()
        common: Json = {"item_id": folio.based_on, "revision": outcome.revision}
        if folio.kind == "correction" and not folio.urgent:
            self._tell({"type": "penny.correction", **folio.body, **common})
        elif folio.section == "folio":
            ended_s = folio.turn_ended_s
            latency_ms = None if ended_s is None else max(0, round((outcome.at_s - ended_s) * 1000))
            self._tell(
                {
                    "type": "penny.context_update",
                    "context_update": folio.body,
                    "placement": outcome.placement,
                    "passages": list(folio.passages),
                    "latency_ms": latency_ms,
                    "usd": round(folio.usd, 6),
                    **common,
                }
            )
