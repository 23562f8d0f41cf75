"""A call back that the caller agreed on is placed: ``schedule_callback`` ends in the dialer.

The action itself is the company's; what it did is heard here, and the call is written down by the
dialer before anything is placed, within its limits, lists and hours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from penny.aio.tasks import TaskOwner
from penny.errors import PennyError
from penny.session.observers import Observer
from penny.telephony.e164 import read_number
from penny.telephony.spoken_moment import read_moment
from penny.telephony.wishes import DialWish
from penny.trust.identity import Identity


log = structlog.get_logger()

Json = dict[str, Any]

ACTION = "schedule_callback"
LATER = timedelta(hours=1)
"""Where the caller named no time."""


class Schedules(Protocol):
    """What places a call at a later moment: ``dialer.Dialer``."""

    async def schedule(self, who: Identity, wish: DialWish, key: str | None = None) -> object:
        """Have a call placed. Raises PennyError."""
        ...


class CallBacks:
    """Places the calls back of a gateway's sessions.

    Args:
        now: with a zone, where a tenant's callers are.
        region: country of numbers that are said without its code.
    """

    def __init__(self, dialer: Schedules, now: Callable[[str], datetime], region: str) -> None:
        self._dialer = dialer
        self._now = now
        self._region = region
        self._tasks = TaskOwner("call backs")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def watch(self, session_id: str, tenant: str, caller: str, language: str) -> Observer:
        """The observer of one session.

        Args:
            caller: the number that is called where none was named; ''.
        """

        def agreed(key: str, number: str, when: str) -> None:
            work = self._schedule(f"{session_id}:{key}", tenant, number or caller, when, language)
            self._tasks.spawn(work, name="call back")

        return _Watch(agreed)

    async def _schedule(self, key: str, tenant: str, number: str, when: str, language: str) -> None:
        now, number = self._now(tenant), read_number(number, self._region)
        moment = read_moment(when, now) if when else now + LATER
        if moment is None or not number:
            # A person has to read it: no call is placed at a guess.
            log.warning("call_back_not_placed", reason="no number" if not number else "no moment")
            return
        wish = DialWish(
            to=number, not_before=moment, language="en" if language.startswith("en") else "es"
        )
        try:
            await self._dialer.schedule(Identity(tenant), wish, key)
        except PennyError as error:
            log.warning("call_back_not_placed", reason=error.code)


class _Watch(Observer):
    """Observer that hears of calls back as they are agreed on, each once."""

    listens_to = ("penny.tool_call",)

    def __init__(self, agreed: Callable[[str, str, str], None]) -> None:
        self._agreed = agreed
        self._known: set[str] = set()

    def speaker_event(self, event: Json, at_s: float) -> None:
        key = str(event.get("call_id"))
        if event.get("name") != ACTION or event.get("status") != "completed" or key in self._known:
            return
        self._known.add(key)
        asked = event.get("arguments") or {}
        self._agreed(key, str(asked.get("telefono") or ""), str(asked.get("cuando") or ""))
