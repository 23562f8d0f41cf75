"""The desk where folios wait, are sent, take effect and leave. Pure.

One desk per session. It never speaks to a socket: it says what is to be sent at a safe point and
is told what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from brain.context import SystemContext
from brain.folio import DropReason, Folio, Move, Section, Status


KEPT = 256
"""Folios remembered for the session's summary; the oldest that are over go first."""

OnMove = Callable[[Folio, Move], None]


@dataclass(slots=True)
class Effectiveness:
    """What the folios were worth. ``in_time``: in force for the turn after their own."""

    folios: int = 0
    in_time: int = 0
    late: int = 0
    stale: int = 0
    usd: float = 0.0
    corrections_made: int = 0
    corrections_confirmed: int = 0
    corrections_ignored: int = 0

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


class FolioDesk:
    """Args: on_move: told every move of every folio, with its reason."""

    def __init__(self, context: SystemContext, on_move: OnMove) -> None:
        self.context = context
        self._on_move = on_move
        self._folios: list[Folio] = []
        self._newest_turn: dict[Section, int] = {}
        self.worth = Effectiveness()

    # -- coming in ----------------------------------------------------------------------------

    def offer(self, folio: Folio, now_s: float) -> bool:
        """Take a folio; False when it comes too late or says nothing new."""
        section = folio.section
        self.worth.folios += 1
        self.worth.usd += folio.usd
        self._folios.append(folio)
        self._forget_old()
        if folio.section != "results" and folio.turn < self._newest_turn.get(section, 0):
            self._drop(folio, now_s, "stale")
            return False
        if folio.section != "results":
            self._newest_turn[section] = folio.turn
            folio.supersedes = tuple(self._supersede(folio, section, now_s))
        return True

    def _supersede(self, newer: Folio, section: Section, now_s: float) -> Iterator[str]:
        for folio in self._living():
            if folio is newer or folio.section != section:
                continue
            yield folio.id
            if folio.status == "queued":
                self._drop(folio, now_s, "superseded")

    # -- going out ----------------------------------------------------------------------------

    def due(self) -> Folio | None:
        """The next folio for a safe point: a correction first, then in the order they came."""
        queued = [folio for folio in self._folios if folio.status == "queued"]
        return min(queued, key=lambda folio: folio.kind != "correction", default=None)

    def sent(self, folio: Folio, placement: str, now_s: float) -> int:
        """It is on its way; returns the context's revision that carries it."""
        folio.revision = self.context.put(folio.section, folio.text)
        folio.placement = placement
        self._move(folio, "sent", now_s, placement)
        return folio.revision

    def acknowledged(self, folio_id: str, now_s: float) -> Folio | None:
        folio = self._find(folio_id, "sent")
        if folio is None:
            return None
        self._move(folio, "acknowledged", now_s, "")
        for older in self._living():
            if older.id in folio.supersedes:
                over: Status = "dropped" if older.status == "sent" else "expired"
                self._move(older, over, now_s, "superseded")
        return folio

    def refused(self, folio_id: str, now_s: float) -> Folio | None:
        folio = self._find(folio_id, "sent")
        if folio is not None:
            self._drop(folio, now_s, "refused")
        return folio

    # -- taking effect ------------------------------------------------------------------------

    def response_started(self, response_id: str, turn: int, now_s: float) -> None:
        """What is acknowledged now is in force for this response, which answers ``turn``."""
        for folio in self._living():
            if folio.status != "acknowledged":
                continue
            folio.response_id = response_id
            self._move(folio, "active", now_s, response_id)
            if turn - folio.turn <= 1:
                self.worth.in_time += 1
            else:
                self.worth.late += 1

    def turn_began(self, turn: int, now_s: float) -> None:
        """Let go of what has outlived its turns."""
        for folio in self._living():
            if not folio.expired_at(turn):
                continue
            if folio.status in ("queued", "sent"):
                self._drop(folio, now_s, "stale")
            else:
                self._move(folio, "expired", now_s, "turns")
            section = folio.section
            if self.context.get(section) == folio.text:
                self.context.remove(section)

    def withdraw(self, folio_id: str, reason: DropReason, now_s: float) -> None:
        """Take a folio back (a correction whose words were not heard, an interruption)."""
        for folio in self._living():
            if folio.id == folio_id:
                self._drop(folio, now_s, reason)

    def settle(self, folio_id: str, now_s: float) -> None:
        """A correction that was said has done its work and leaves the context."""
        for folio in self._living():
            if folio.id == folio_id and folio.status in ("acknowledged", "active"):
                self._move(folio, "expired", now_s, "confirmed")
                self.context.remove(folio.section)

    def upstream_replaced(self, now_s: float) -> None:
        """A new upstream was seeded with the whole context: what was in force still is."""
        for folio in self._living():
            if folio.status == "active":
                self._move(folio, "queued", now_s, "upstream_replaced")
                self._move(folio, "sent", now_s, "seed")
            elif folio.status == "queued":
                continue
            if folio.status == "sent":
                self._move(folio, "acknowledged", now_s, "seed")

    # -- inside -------------------------------------------------------------------------------

    @property
    def folios(self) -> tuple[Folio, ...]:
        return tuple(self._folios)

    def in_force(self, section: Section = "folio") -> Folio | None:
        for folio in reversed(self._folios):
            if folio.section == section and folio.status in ("acknowledged", "active"):
                return folio
        return None

    def _living(self) -> list[Folio]:
        return [folio for folio in self._folios if not folio.is_over]

    def _find(self, folio_id: str, status: Status) -> Folio | None:
        for folio in self._folios:
            if folio.id == folio_id and folio.status == status:
                return folio
        return None

    def _drop(self, folio: Folio, now_s: float, reason: DropReason) -> None:
        if reason in ("stale", "superseded"):
            self.worth.stale += 1
        self._move(folio, "dropped", now_s, reason)

    def _move(self, folio: Folio, status: Status, now_s: float, reason: str) -> None:
        folio.move(status, now_s, reason)
        self._on_move(folio, folio.history[-1])

    def _forget_old(self) -> None:
        while len(self._folios) > KEPT:
            over = next((f for f in self._folios if f.is_over), self._folios[0])
            self._folios.remove(over)
