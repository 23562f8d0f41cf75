"""Routes of calls that are placed.

POST   /v1/calls          {"to": "+34…", …}: place a call; ``Idempotency-Key`` names the wish.
                          With ``not_before``: then, or at the next moment that is allowed
GET    /v1/dials/{id}     where it is, and how it ended
DELETE /v1/dials/{id}     place it no more, where it waits, nor a further attempt
POST   /v1/do-not-call    {"number": "+34…"}: never call it again
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from penny.errors import ProtocolError
from penny.gateway.dialer import Dialer
from penny.gateway.guard import WHO
from penny.gateway.json_routes import read_body, told, whose
from penny.telephony.dial_book import Dial
from penny.telephony.dialing import read_number, retry_after_s
from penny.telephony.wishes import DialWish, OptOut
from penny.writable import dump_json


Json = dict[str, Any]


class DialRoutes:
    """The routes of the dialer."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/v1/calls", told(self._place))
        app.router.add_get("/v1/dials/{id}", told(self._show))
        app.router.add_delete("/v1/dials/{id}", told(self._cancel))
        app.router.add_post("/v1/do-not-call", told(self._opt_out))

    async def _place(self, request: web.Request) -> web.Response:
        wish = await read_body(request, DialWish)
        key = request.headers.get("Idempotency-Key")
        place = self._dialer.place if wish.not_before is None else self._dialer.schedule
        return self._tell(await place(request[WHO], wish, key), 202)

    async def _show(self, request: web.Request) -> web.Response:
        return self._tell(await self._find(request))

    async def _cancel(self, request: web.Request) -> web.Response:
        dial = await self._find(request)
        if not await asyncio.to_thread(self._dialer.book.cancel, dial.series):
            raise ProtocolError(
                "no further call of this one waits; a live call is ended by its session",
                code="dial_under_way",
            )
        return web.Response(status=204)

    async def _opt_out(self, request: web.Request) -> web.Response:
        number = read_number((await read_body(request, OptOut)).number)
        await asyncio.to_thread(self._dialer.book.opt_out, request[WHO].tenant, number)
        return web.Response(status=204)

    async def _find(self, request: web.Request) -> Dial:
        await self._dialer.expire()
        dial_id = request.match_info["id"]
        found = await asyncio.to_thread(self._dialer.book.find, dial_id, whose(request))
        if found is None:
            raise ProtocolError("there is no such call", code="dial_not_found")
        return found

    def _tell(self, dial: Dial, status: int = 200) -> web.Response:
        section = self._dialer.config.telephony.dialing_of(dial.tenant)
        outcome = dial.outcome or "no_answer"
        is_last = retry_after_s(outcome, dial.attempt, dial.attempts, section) is None
        body = dump_json({**describe(dial), "is_last_attempt": is_last})
        return web.Response(body=body, status=status, content_type="application/json")


def describe(dial: Dial) -> Json:
    """A call as it is told."""
    state = "placing" if dial.call_sid is None else "placed"
    if dial.placed_s is None:
        state = "scheduled"
    if dial.ringing_s is not None:
        state = "ringing"
    if dial.answered_s is not None:
        state = "answered"
    moments = {
        "created": dial.created_s,
        "due": dial.due_s,
        "ringing": dial.ringing_s,
        "answered": dial.answered_s,
        "ended": dial.ended_s,
    }
    return {
        "id": dial.id,
        "session_id": dial.session_id,
        "to": dial.number,
        "from": dial.caller_id,
        "state": "ended" if dial.outcome is not None else state,
        "outcome": dial.outcome,
        "series": dial.series,
        "attempt": dial.attempt,
        "answered_by": dial.answered_by,
        **{f"{name}_at": None if at is None else _iso(at) for name, at in moments.items()},
    }


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat()
