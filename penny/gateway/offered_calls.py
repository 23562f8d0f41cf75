"""Calls that a carrier offers: each has one end that is told, whichever process is killed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

import structlog

from penny.gateway.phones import PhoneCall
from penny.gateway.placed_calls import KEPT_BY_S, as_owed
from penny.gateway.reconciler import BEYOND_S, LOST
from penny.telephony.owed import OwedCalls


log = structlog.get_logger()

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
        await self._owe(call, STREAM_BY_S, "", call_sid)

    async def refused(self, call: PhoneCall, reason: str, call_sid: str) -> None:
        """Nothing here answers it."""
        await self._owe(call, KEPT_BY_S, reason, call_sid)
        self._keep(call, reason)

    async def begun(self, call: PhoneCall, call_sid: str) -> None:
        """It has its stream: what carries it tells its end, unless its process is killed."""
        await self._owe(call, self._most_s + BEYOND_S, LOST, call_sid)

    async def _owe(self, call: PhoneCall, wait_s: float, reason: str, call_sid: str) -> None:
        """Write the row; a caller is answered though the disk does not take it."""
        try:
            await asyncio.to_thread(self._owed.owe, as_owed(call), wait_s, reason, call_sid)
        except (sqlite3.Error, OSError) as error:
            log.error("offered_call_not_written", error=type(error).__name__)  # noqa: TRY400
