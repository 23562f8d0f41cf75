"""Ends calls of which the carrier told no end: it is asked, and each end is told once.

Two kinds are looked at: placed calls that are over by the clock (``DialBook.overdue``), and rows of
``OwedCalls``. What the carrier does not know any more, or does not tell, is ``unknown`` in the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Protocol

import structlog
from prometheus_client.core import CounterMetricFamily, Metric

from penny.aio.tasks import TaskOwner
from penny.calls.database import StoreUnavailable
from penny.errors import PennyError
from penny.gateway.phones import PhoneCall
from penny.gateway.placed_calls import ENDS
from penny.telephony.dial_book import Dial
from penny.telephony.owed import Owed, OwedCalls


log = structlog.get_logger()

Json = dict[str, Any]

LOOK_EVERY_S = 2.0
ASK_EVERY_S = 60.0
"""A carrier is asked about the same call again after this."""
BEYOND_S = 300.0
"""A call that its carrier says goes on so long after it should be over is ended."""
SILENCE_S = 3600.0
"""For so long a carrier that does not answer is asked again."""
UNKNOWN, MISSED, LOST = "unknown", "missed", "lost"


class AsksCarrier(Protocol):
    """What knows a carrier's calls: ``edges.twilio.api.TwilioApi``."""

    async def state(self, call_sid: str) -> str:
        """Its carrier's word for where a call is; '' where it knows none. Raises PennyError."""
        ...

    async def end(self, call_sid: str) -> None:
        """End a call that goes on. Raises PennyError."""
        ...


class EndsDials(Protocol):
    """What holds the placed calls: ``dialer.Dialer``."""

    async def overdue(self) -> list[tuple[Dial, float]]:
        """Those that are over by the clock and have no end, and since when (Unix seconds)."""
        ...

    async def end(self, dial: Dial, outcome: str) -> bool:
        """Write down and tell an end; False where it had one."""
        ...


class Reconciler:
    """Looks at calls without an end, in every process of a gateway.

    Args:
        keep: keeps a call that had no session: the call, how it ended.
        most_s: the longest call.
        wall_clock: Unix time in seconds.
    """

    def __init__(
        self,
        dials: EndsDials,
        owed: OwedCalls,
        keep: Callable[[PhoneCall, str], None],
        most_s: float,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._dials = dials
        self._owed = owed
        self._keep = keep
        self._most_s = most_s
        self._wall_clock = wall_clock
        self._tasks = TaskOwner("reconciler")
        self._asked: dict[str, float] = {}
        self.carrier: AsksCarrier | None = None
        self.is_known: Callable[[str], Awaitable[bool]] | None = None
        """Whether a session has a record or was told of; None where no calls are kept. Raises
        StoreUnavailable."""
        self.counts: dict[str, int] = {}
        """Calls that were given their end here, by how they ended."""

    def start(self) -> None:
        """Look from now on."""
        self._tasks.spawn(self._look_on(), name="calls without an end")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def collect(self) -> Iterator[Metric]:
        """What was found, for the operator."""
        told = "Calls whose end the carrier was asked for, by how they ended"
        family = CounterMetricFamily("penny_calls_reconciled", told, labels=["outcome"])
        for outcome, count in sorted(self.counts.items()):
            family.add_metric([outcome], count)
        yield family

    async def _look_on(self) -> None:
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("calls_without_end_wait", reason=error.message)
            except Exception:  # the next look may find the file free
                log.exception("calls_without_end_not_looked_at")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Ask about each call once and end what is over. Raises StoreUnavailable."""
        looks = [partial(self._look_at_dial, *each) for each in await self._dials.overdue()]
        owed = await asyncio.to_thread(self._owed.due)
        for look in [*looks, *(partial(self._look_at_owed, each) for each in owed)]:
            try:
                await look()
            except StoreUnavailable:
                raise
            except Exception:  # it keeps no other call waiting
                log.exception("call_without_end_failed")

    async def _look_at_dial(self, dial: Dial, over_s: float) -> None:
        outcome = await self._end_of(dial, over_s)
        if outcome is not None and await self._dials.end(dial, outcome):
            self._count(outcome)

    async def _look_at_owed(self, owed: Owed) -> None:
        if self.is_known is None or await self.is_known(owed.session_id):
            await asyncio.to_thread(self._owed.settle, owed.session_id)
        else:
            await self._tell(owed)

    async def _tell(self, owed: Owed) -> None:
        """Keep a call that nothing is known of, where its end is known; the row stays until the
        record is seen."""
        reason = owed.reason
        if not reason:
            outcome = await self._ask(owed.call_sid, owed.at_s)
            if outcome is None and self._wall_clock() >= owed.at_s + self._most_s + BEYOND_S:
                outcome = UNKNOWN
            if outcome is None:
                return
            reason = MISSED if outcome == "completed" else outcome
        await asyncio.to_thread(self._owed.owe, owed.call, ASK_EVERY_S, reason)
        self._keep(PhoneCall(**owed.call), reason)
        self._count(reason)

    async def _end_of(self, dial: Dial, over_s: float) -> str | None:
        """How a placed call ended; None while it goes on, or its carrier is silent."""
        now_s = self._wall_clock()
        if not dial.call_sid or self.carrier is None:
            return UNKNOWN
        if now_s < self._asked.get(dial.id, 0.0) + ASK_EVERY_S:
            return None
        self._asked = {name: at_s for name, at_s in self._asked.items() if at_s > now_s - SILENCE_S}
        self._asked[dial.id] = now_s
        outcome = await self._ask(dial.call_sid, over_s)
        if outcome is not None or now_s < over_s + BEYOND_S:
            return outcome
        try:
            await self.carrier.end(dial.call_sid)
        except PennyError:  # told in the log by who asked
            return None
        return UNKNOWN

    async def _ask(self, call_sid: str, since_s: float) -> str | None:
        """The outcome that a carrier tells; None where it goes on, or for now no answer comes."""
        if self.carrier is None:
            return UNKNOWN
        try:
            status = await self.carrier.state(call_sid)
        except PennyError as error:
            is_given_up = not error.retryable or self._wall_clock() >= since_s + SILENCE_S
            return UNKNOWN if is_given_up else None
        return ENDS.get(status) if status else UNKNOWN

    def _count(self, outcome: str) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
