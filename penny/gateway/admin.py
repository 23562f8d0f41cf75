"""The operator's routes, apart from the callers': ``/admin/v1/…``.

    GET  /admin                           the operator's page
    GET  /admin/v1/overview               modes, readiness, errors, the last hours
    GET  /admin/v1/sessions               every live session of every gateway
    GET  /admin/v1/sessions/{id}/events   its events as they come (server-sent events);
                                          ``?transcripts=true`` with what is said, if allowed
    POST /admin/v1/sessions/{id}/hang-up  end it, on whichever gateway it is

The page itself is open and holds nothing. Each route asks for its right (``penny.gateway.guard``)
and shows the sessions of the tenants for which that holds. Without API keys the key that holds
them all is the house's (``penny.trust.house_key``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from aiohttp import web

from penny.aio.channel import Channel, ChannelClosed
from penny.gateway.guard import WHO
from penny.gateway.trust import Trust
from penny.localized import Language, language_of
from penny.trust.rights import allows


log = structlog.get_logger()

Json = dict[str, Any]

COMMENT_S = 15.0
"""A quiet stream says so this often, so that a page that left is noticed."""


class AdminRoutes:
    """Routes of the operator's page.

    Args:
        describe: modes, readiness, errors and series, as the page shows them.
        show_transcripts: whether an operator may read along.
    """

    def __init__(
        self,
        trust: Trust,
        clock: Callable[[], float],
        describe: Callable[[Language], Json],
        *,
        show_transcripts: bool,
    ) -> None:
        self._store = trust.store
        self._watches = trust.watches
        self._clock = clock
        self._describe = describe
        self._show_transcripts = show_transcripts

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/admin/v1/overview", self._overview)
        app.router.add_get("/admin/v1/sessions", self._list)
        app.router.add_get("/admin/v1/sessions/{id}/events", self._events)
        app.router.add_post("/admin/v1/sessions/{id}/hang-up", self._hang_up)

    async def _overview(self, request: web.Request) -> web.Response:
        language = language_of(request.query.get("language", "en"))
        return web.json_response(self._describe(language))

    async def _list(self, request: web.Request) -> web.Response:
        now_s = self._clock()
        sessions = []
        for record in await self._records(request, "sessions:read"):
            watch = self._watches.live.get(record["session_id"])
            sessions.append({**record, **(watch.describe(now_s) if watch else {})})
        return web.json_response({"sessions": sessions})

    async def _records(self, request: web.Request, right: str) -> list[Json]:
        """The live sessions that who asks has this right for."""
        records = await self._store.list_sessions()
        return [each for each in records if allows(request[WHO], right, each["tenant"])]

    async def _hang_up(self, request: web.Request) -> web.Response:
        session_id = request.match_info["id"]
        records = await self._records(request, "sessions:hang_up")
        if session_id not in {record["session_id"] for record in records}:
            return _error(404, "session_unknown", "no live session has this id")
        await self._store.hang_up(session_id)
        log.info("operator_hung_up", session_id=session_id, key_id=request[WHO].key_id)
        return web.json_response({"session_id": session_id, "ending": True}, status=202)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        watch, who = self._watches.live.get(request.match_info["id"]), request[WHO]
        if watch is None or not allows(who, "sessions:events", watch.tenant):
            return _error(404, "session_unknown", "no live session of this gateway has this id")
        words = request.query.get("transcripts") == "true"
        if words and not (self._show_transcripts and allows(who, "sessions:words")):
            return _error(
                403,
                "transcripts_off",
                "what is said is not shown; see admin.show_transcripts and sessions:words",
            )
        if words:
            log.info("operator_reads_along", session_id=watch.session_id, key_id=who.key_id)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        async with watch.reading(words=words) as events:
            try:
                await _stream(events, response)
            except ConnectionError:
                return response  # the operator's page left
        return response


async def _stream(events: Channel[Json], response: web.StreamResponse) -> None:
    while True:
        try:
            async with asyncio.timeout(COMMENT_S):
                event = await events.recv()
        except TimeoutError:
            await response.write(b": quiet\n\n")
            continue
        except ChannelClosed:
            return
        await response.write(b"data: " + orjson.dumps(event) + b"\n\n")


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
