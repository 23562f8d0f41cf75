"""The operator's routes, apart from the callers': ``/admin/v1/…``.

    GET  /admin                           the operator's page
    GET  /admin/v1/overview               modes, readiness, errors, the last hours
    GET  /admin/v1/sessions               every live session of every gateway
    GET  /admin/v1/sessions/{id}/events   its events as they come (server-sent events);
                                          ``?transcripts=true`` with what is said, if allowed
    POST /admin/v1/sessions/{id}/hang-up  end it, on whichever gateway it is

The page itself is open and holds nothing. The routes ask for a key created with ``--admin``; on
loopback without keys they are open, to pages of Penny's own origin alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from aiohttp import web

from penny.aio.channel import Channel, ChannelClosed
from penny.errors import Unauthorized
from penny.gateway.routes import WEB_ROOT
from penny.gateway.trust import Trust


log = structlog.get_logger()

Json = dict[str, Any]

COMMENT_S = 15.0
"""A quiet stream says so this often, so that a page that left is noticed."""


class AdminRoutes:
    """Routes of the operator's page, for admin keys alone.

    Args:
        describe: modes, readiness, errors and series, as the page shows them.
        show_transcripts: whether an operator may read along.
    """

    def __init__(
        self,
        trust: Trust,
        clock: Callable[[], float],
        describe: Callable[[], Json],
        *,
        show_transcripts: bool,
    ) -> None:
        self._gate = trust.gate
        self._store = trust.store
        self._watches = trust.watches
        self._clock = clock
        self._describe = describe
        self._show_transcripts = show_transcripts

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/admin", self._page)
        app.router.add_get("/admin/v1/overview", self._overview)
        app.router.add_get("/admin/v1/sessions", self._list)
        app.router.add_get("/admin/v1/sessions/{id}/events", self._events)
        app.router.add_post("/admin/v1/sessions/{id}/hang-up", self._hang_up)

    async def _page(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB_ROOT / "admin.html")

    async def _overview(self, request: web.Request) -> web.Response:
        refusal = await self._refuse(request)
        return refusal or web.json_response(self._describe())

    async def _list(self, request: web.Request) -> web.Response:
        refusal = await self._refuse(request)
        if refusal is not None:
            return refusal
        now_s = self._clock()
        sessions = []
        for record in await self._store.list_sessions():
            watch = self._watches.live.get(record["session_id"])
            sessions.append({**record, **(watch.describe(now_s) if watch else {})})
        return web.json_response({"sessions": sessions})

    async def _hang_up(self, request: web.Request) -> web.Response:
        refusal = await self._refuse(request)
        if refusal is not None:
            return refusal
        session_id = request.match_info["id"]
        known = {record["session_id"] for record in await self._store.list_sessions()}
        if session_id not in known:
            return _error(404, "session_unknown", "no live session has this id")
        await self._store.hang_up(session_id)
        log.info("operator_hung_up", session_id=session_id)
        return web.json_response({"session_id": session_id, "ending": True}, status=202)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        refusal = await self._refuse(request)
        if refusal is not None:
            return refusal
        watch = self._watches.live.get(request.match_info["id"])
        if watch is None:
            return _error(404, "session_unknown", "no live session of this gateway has this id")
        words = request.query.get("transcripts") == "true"
        if words and not self._show_transcripts:
            return _error(
                403, "transcripts_off", "what is said is not shown; see admin.show_transcripts"
            )
        if words:
            log.info("operator_reads_along", session_id=request.match_info["id"])
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

    async def _refuse(self, request: web.Request) -> web.Response | None:
        try:
            self._gate.check_page(request)
            identity = await self._gate.identify(request)
        except Unauthorized as error:
            status = 403 if error.code == "origin_refused" else 401
            return _error(status, error.code, error.message)
        if not identity.admin:
            return _error(403, "not_admin", "use a key created with --admin")
        return None


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
