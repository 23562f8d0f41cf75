"""The CRM's room: who calls is known as a session opens, screens pop up, the CRM tells of changes.

    GET  /v1/screen-pops            server-sent events: ``screen_pop`` for each call that begins
    POST /v1/crm/{name}/events      webhooks of Twenty's own, ``house`` or a tenant; signed

Pops are read from the outbox, where every process of every gateway puts them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, Metric
from sqlalchemy import select

from config.schema import Config
from penny.calls.database import StoreUnavailable
from penny.calls.tables import events
from penny.crm.desk import CrmDesks
from penny.errors import Unauthorized
from penny.gateway.guard import refusal
from penny.gateway.json_routes import whose
from penny.gateway.kept_calls import KeptCalls
from penny.session.broker import Broker
from penny.session.observers import Observer
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder
from penny.webhooks.events import CallStarted
from penny.webhooks.rows import of_tenant, read_events
from penny.writable import dump_json


LOOK_S = 0.5
KEEPALIVE_S = 15.0
MOST_POPS = 100
"""Of one look; with more at once the oldest come first."""


class CrmRoom:
    """The CRMs of a gateway, joined to its sessions.

    Raises:
        ConfigError: a CRM cannot be used.
    """

    def __init__(
        self,
        config: Config,
        kept: KeptCalls,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._kept = kept
        self._store = kept.keeper.store
        self._wall_clock = wall_clock
        self._is_closing = asyncio.Event()
        self.desks = CrmDesks(
            config, os.environ, lambda call_id: self._store.get(None, call_id), clock, wall_clock
        )

    def attach(self, broker: Broker) -> None:
        """Know the callers of every session from now on. Call it after ``KeptCalls.attach``."""
        if self.desks:
            broker.prepare = self.desks.know
            broker.add_observer(self._note)

    async def aclose(self) -> None:
        await self.desks.aclose()

    def add_to(self, app: web.Application) -> None:
        app.on_shutdown.append(self._close)
        app.router.add_get("/v1/screen-pops", self._pops)
        app.router.add_post("/v1/crm/{name}/events", self._told)

    async def _close(self, _app: web.Application) -> None:
        """End the streams: a query that is cut off would leave its connection behind."""
        self._is_closing.set()

    def _note(self, session: Session, _turns: TurnRecorder) -> Observer | None:
        recorder = self._kept.recorder_of(session.id)
        header = recorder.header
        number = header["callee" if header["direction"] == "outbound" else "caller"]
        contact = self.desks.take(session.id, header["tenant"], number)
        if contact is not None:
            recorder.link(contact=contact)
        return None

    async def _pops(self, request: web.Request) -> web.StreamResponse:
        tenant = whose(request)
        answer = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await answer.prepare(request)
        since_ms, seen = round(self._wall_clock() * 1000), set[str]()
        quiet_s = 0.0
        while request.transport is not None and not self._is_closing.is_set():
            try:
                found = await self._begun(tenant, since_ms)
            except StoreUnavailable:
                found = []
            for event_id, data in found:
                if event_id not in seen:
                    seen.add(event_id)
                    told = b"event: screen_pop\ndata: " + dump_json(data) + b"\n\n"
                    await answer.write(told)
                    quiet_s = 0.0
            quiet_s += LOOK_S
            if quiet_s >= KEEPALIVE_S:
                quiet_s = 0.0
                await answer.write(b": \n\n")  # whoever left is noticed by it
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._is_closing.wait()
        return answer

    async def _begun(self, tenant: str | None, since_ms: int) -> list[tuple[str, object]]:
        """The calls that began since then."""
        wanted = (
            select(events)
            .where(events.c.type == CallStarted.type, events.c.at_ms >= since_ms, of_tenant(tenant))
            .order_by(events.c.at_ms.desc())
            .limit(MOST_POPS)
        )
        async with self._store.database.begin() as connection:
            found = read_events(await connection.execute(wanted))
        return [(event.id, event.data) for event in reversed(found)]

    async def _told(self, request: web.Request) -> web.Response:
        inbound = self.desks.inbound(request.match_info["name"])
        if inbound is None:
            return refusal(Unauthorized("no webhooks are taken here"), 404)
        body = await request.read()
        if not inbound.accepts(request.headers, body, self._wall_clock()):
            return refusal(Unauthorized("the signature does not match, or is too old"), 401)
        return web.Response(status=204)

    def collect(self) -> Iterator[Metric]:
        """Look-ups by what came of them."""
        told = CounterMetricFamily(
            "penny_crm_look_ups", "Callers looked up in a CRM", labels=["crm", "outcome"]
        )
        for (name, outcome), count in sorted(self.desks.counts().items()):
            told.add_metric([name, outcome], count)
        yield told
