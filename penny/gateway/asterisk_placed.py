"""Calls that are placed through Asterisk, over ARI: the other half of ``penny.gateway.dialer``.

A call rings at the tenant's own line; what ARI tells of its channel, named by the dial's id, is
what becomes of it. Once it is answered the rendered dialplan announces it as any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric

from config.telephony import DialingSection
from penny.aio.tasks import TaskOwner
from penny.edges.asterisk.ari import Ari, read_end
from penny.edges.telephone.wire import CarrierRefused
from penny.errors import PennyError
from penny.gateway.placed_calls import PlacedCalls, Placer
from penny.telephony.dial_book import Dial
from penny.telephony.store import TelephonyStore


log = structlog.get_logger()

Json = dict[str, Any]

MOMENTS = {"Ringing": "ringing", "Up": "in-progress"}


class AsteriskPlacer:
    """Places calls by the lines of the page (``Placer``).

    Args:
        placed: is told what becomes of them.
        otherwise: places the calls of tenants that have no line here; None where nothing does.
        on_change: is told whether Asterisk is there.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        store: TelephonyStore,
        placed: PlacedCalls,
        otherwise: Placer | None,
        on_change: Callable[[bool], object],
    ) -> None:
        self._store, self._placed, self._otherwise = store, placed, otherwise
        self._ari = Ari(url, user, password, self._take, self._changed)
        self._on_change = on_change
        self._live: dict[str, int] = {}
        """Seconds that each may last."""
        self._answered: set[str] = set()
        self._tasks = TaskOwner("asterisk calls placed")

    def start(self) -> None:
        self._tasks.spawn(self._ari.run(), name="events of Asterisk")

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._ari.aclose()

    def collect(self) -> Iterator[Metric]:
        """Whether Asterisk is there, for the operator."""
        told = "Whether Asterisk's REST interface answers"
        yield GaugeMetricFamily("penny_asterisk_up", told, value=int(self._ari.is_there))

    async def place(self, dial: Dial, section: DialingSection) -> str:
        """Ring a number at the tenant's line; the channel's id, which is the dial's. Raises
        PennyError."""
        lines = await asyncio.to_thread(self._store.read)
        line = lines.receiving_of(dial.tenant)
        if line is None:
            if self._otherwise is not None:
                return await self._otherwise.place(dial, section)
            raise PennyError("this tenant has no line; save one at /telephony", code="no_carrier")
        self._live[dial.id] = section.max_s
        variables = {"PENNY_DIAL": dial.id, "PENNY_LINE": line.id, "PENNY_DID": dial.caller_id}
        endpoint = f"PJSIP/{dial.number}@{line.id}"
        try:
            await self._ari.originate(dial.id, endpoint, dial.caller_id, section.ring_s, variables)
        except CarrierRefused as error:
            if not error.is_open:
                self._forget(dial.id)
            raise
        return dial.id

    async def _take(self, event: Json) -> None:
        channel = event.get("channel") or {}
        dial_id = str(channel.get("id", ""))
        if not dial_id.startswith("dial_"):
            return  # a caller's; a dial may be another process's, or of one before a restart
        match event.get("type"):
            case "ChannelStateChange" if word := MOMENTS.get(str(channel.get("state"))):
                is_ours = dial_id in self._live and dial_id not in self._answered
                if word == "in-progress" and is_ours:
                    self._answered.add(dial_id)
                    self._tasks.spawn(self._end_after(dial_id), name="longest call")
                await self._placed.told(dial_id, dial_id, word)
            case "ChannelDestroyed":
                was_answered = dial_id in self._answered
                self._forget(dial_id)
                word = read_end(event.get("cause"), was_answered=was_answered)
                await self._placed.told(dial_id, dial_id, word)

    async def _end_after(self, dial_id: str) -> None:
        await asyncio.sleep(self._live[dial_id])
        if dial_id in self._live:
            log.warning("placed_call_too_long", dial_id=dial_id)
            await self._ari.hang_up(dial_id)

    def _forget(self, dial_id: str) -> None:
        self._live.pop(dial_id, None)
        self._answered.discard(dial_id)

    def _changed(self, is_there: bool) -> None:
        self._on_change(is_there)
        if is_there and self._live:
            self._tasks.spawn(self._look_again(), name="calls after Asterisk was away")

    async def _look_again(self) -> None:
        """What ended while nothing was heard of it."""
        known = set(self._live)
        try:
            gone = known - await self._ari.channels()
        except CarrierRefused:
            return  # logged; the clock of the dialer ends them
        for dial_id in gone:
            await self._take({"type": "ChannelDestroyed", "channel": {"id": dial_id}, "cause": 41})
