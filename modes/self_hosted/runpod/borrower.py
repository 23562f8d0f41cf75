"""Free slots of workers that other gateways hold, for sessions of this one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

import structlog

from modes.self_hosted.runpod.desk import LeaseDesk, Slot
from modes.self_hosted.runpod.lease import LoanMeter
from modes.self_hosted.runpod.pool import LeasePool
from modes.self_hosted.runpod.record import LeaseRecord
from modes.self_hosted.source import Place


log = structlog.get_logger()

LOAN_WAIT_S = 3.0
"""How long a slot that another gateway was asked for may take to come."""
NO_LOAN_S = 30.0
"""A lease whose slot did not come is not asked for another for so long."""


class Borrower:
    """Args:
    on_change: called when a borrowed slot went back.
    """

    def __init__(
        self,
        pool: LeasePool,
        desk: LeaseDesk,
        usd_per_hour: float,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._desk = desk
        self._usd_per_hour = usd_per_hour
        self._clock = clock
        self._on_change = on_change
        self._borrowed: dict[str, str] = {}  # a session whose worker died may have two for a moment
        self._useless_until_s: dict[str, float] = {}

    async def borrow(self, session_id: str, traceparent: str = "") -> Place | None:
        """A free slot of another gateway's worker, dialled here; None: there is none."""
        lender = self._pool.lender(self.useless()) if self._pool.shared else None
        if lender is None:
            return None
        loan = secrets.token_urlsafe(24)
        ask = self._pool.request(lender, loan)
        slot = await self._desk.borrow(loan, LOAN_WAIT_S, ask, traceparent)
        if slot is None:
            log.info("slot_not_borrowed", lease_id=lender.id)
            self._useless_until_s[lender.id] = self._clock() + NO_LOAN_S
            return None
        log.info("slot_borrowed", lease_id=lender.id, session_id=session_id)
        return self._place(loan, lender, slot)

    def guests(self) -> Iterable[str]:
        """Ids of the leases that sessions of this gateway are guests of."""
        return self._borrowed.values()

    def useless(self) -> list[str]:
        """Leases that have lately lent nothing."""
        now_s = self._clock()
        for name in [name for name, until_s in self._useless_until_s.items() if until_s <= now_s]:
            del self._useless_until_s[name]
        return list(self._useless_until_s)

    def _place(self, loan: str, lender: LeaseRecord, slot: Slot) -> Place:
        meter = LoanMeter(self._usd_per_hour, self._clock(), lender.live + 1)
        self._borrowed[loan] = lender.id

        async def release() -> None:
            self._borrowed.pop(loan, None)
            self._on_change()
            await slot.close()

        def spent_usd() -> float:
            told = self._pool.others.get(lender.id)
            if told is not None:
                meter.note(told.live, self._clock())
            return meter.usd(self._clock())

        return Place(slot.socket, lender.described(), release, spent_usd)
