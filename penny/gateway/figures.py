"""Figures of kept calls over HTTP.

GET /metrics/dashboard           since, until, tenant, mode, edge, test
GET /metrics/dashboard/{table}   the same as CSV: figures, series, latency, ways, sentiment,
                                 outcomes, intents, topics, ends, alerts, rules, cost
GET /metrics/alerts              the newest calls that raised an alert; tenant
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from penny.calls.export import write_csv
from penny.errors import ProtocolError
from penny.figures.alerts import find_alerts
from penny.figures.dashboard import TABLES, Dashboard
from penny.figures.days import FigureQuery
from penny.gateway.guard import WHO
from penny.gateway.json_routes import as_json, read_as, told, whose
from penny.gateway.kept_calls import KeptCalls


Json = dict[str, Any]


class FigureRoutes:
    """The routes of the dashboard. A tenant sees its own calls' figures."""

    def __init__(self, kept: KeptCalls, wall_clock: Callable[[], float]) -> None:
        self._kept = kept
        self._dashboard = Dashboard(kept.keeper.store.database, wall_clock)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/metrics/dashboard", told(self._show))
        app.router.add_get("/metrics/dashboard/{table}", told(self._table))
        app.router.add_get("/metrics/alerts", told(self._alerts))

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return as_json(await self._read(request))

    async def _table(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["table"]
        if name not in TABLES:
            raise ProtocolError(f"table: use one of {', '.join(TABLES)}", field="table")
        found = await self._read(request)
        rows: list[Json] = found.get(name) or found["tables"].get(name) or []
        since, until = found["range"]["since"], found["range"]["until"]
        headers = {
            "Content-Disposition": f'attachment; filename="{name}-{since}-{until}.csv"',
            "Cache-Control": "no-store",
        }
        return web.Response(
            body=write_csv(rows), content_type="text/csv", charset="utf-8", headers=headers
        )

    async def _alerts(self, request: web.Request) -> web.StreamResponse:
        database = self._kept.keeper.store.database
        tenant = whose(request) or read_wish(request).tenant
        return as_json({"calls": await find_alerts(database, tenant)})

    async def _read(self, request: web.Request) -> Json:
        found = await self._dashboard.read(
            whose(request), read_wish(request), self._kept.zone(request[WHO].tenant)
        )
        return {**found, "is_counting": self._kept.keeper.is_counting}


def read_wish(request: web.Request) -> FigureQuery:
    """The filters of an address. Raises ProtocolError, naming the first that is wrong."""
    given = {name: value for name, value in request.query.items() if value and name != "api_key"}
    mine = whose(request)
    if mine is not None and given.get("tenant", mine) != mine:
        raise ProtocolError("tenant: this key sees the calls of its own alone", field="tenant")
    wish: FigureQuery = read_as(lambda: FigureQuery.model_validate(given), "since")
    return wish
