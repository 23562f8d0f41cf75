"""Calls that a carrier offers: each has one end that is told, whichever process is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from penny.gateway.phones import PhoneCall
from penny.gateway.placed_calls import KEPT_BY_S, as_owed
from penny.gateway.reconciler import BEYOND_S, LOST
from penny.telephony.owed import OwedCalls


STREAM_BY_S = 90.0
"""A call that was offered, and has no stream by then, is asked about."""


class OfferedCalls:
    """Writes down whose end is to be told, before it is.

    Args:
        keep: keeps a call that had no session: the call, how it ended.
        most_s: the longest call.
    """

    def __init__(
        self, owed: OwedCalls, keep: Callable[[PhoneCall, str], None], most_s: float
    ) -> None:
        self._owed = owed
        self._keep = keep
        self._most_s = most_s

    async def offered(self, call: PhoneCall, call_sid: str) -> None:
        """It is to be connected."""
        await asyncio.to_thread(self._owed.owe, as_owed(call), STREAM_BY_S, "", call_sid)

    async def refused(self, call: PhoneCall, reason: str, call_sid: str) -> None:
        """Nothing here answers it."""
        await asyncio.to_thread(self._owed.owe, as_owed(call), KEPT_BY_S, reason, call_sid)
        self._keep(call, reason)

    async def begun(self, call: PhoneCall, call_sid: str) -> None:
        """It has its stream: what carries it tells its end, unless its process is killed."""
        wait_s = self._most_s + BEYOND_S
        await asyncio.to_thread(self._owed.owe, as_owed(call), wait_s, LOST, call_sid)
