"""Between the dialer and Asterisk: a number in the form that the tenant's own line takes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from config.telephony import DialingSection
from penny.gateway.placed_calls import Placer
from penny.telephony.dial_book import Dial
from penny.telephony.store import TelephonyStore


class LineForms:
    """A ``Placer`` before another one. Only the number that is rung changes: rules, record and
    caller id go by E.164. A tenant without a line is placed as it is, by another carrier."""

    def __init__(self, store: TelephonyStore, placer: Placer) -> None:
        self._store, self._placer = store, placer

    async def place(self, dial: Dial, section: DialingSection) -> str:
        """Raises PennyError."""
        line = (await asyncio.to_thread(self._store.read)).receiving_of(dial.tenant)
        if line is not None:
            dial = replace(dial, number=line.dialled(dial.number))
        return await self._placer.place(dial, section)
