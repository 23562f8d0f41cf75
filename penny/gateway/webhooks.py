"""Webhooks over HTTP: receivers and how they fare, the delivery log, tests and replays.

    GET  /v1/webhooks                  endpoints with their counts
    GET  /v1/webhooks/deliveries       the log: ``endpoint``, ``type``, ``state``, ``call_id``,
                                       ``number``, ``before``, ``limit``
    POST /v1/webhooks/replay           ``penny.webhooks.query.Replay``
    POST /v1/webhooks/{name}/test      {"type": "call.ended"}: a made-up event, at once
    POST /v1/webhooks/{name}/enable    {"send_missed": true}

Endpoints themselves stand in ``penny.yaml``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from config.schema import Config
from penny.errors import ProtocolError
from penny.gateway.guard import WHO
from penny.gateway.json_routes import as_json, read_as, read_body, read_flag, told, whose
from penny.gateway.kept_calls import KeptCalls
from penny.session.broker import Broker
from penny.trust.identity import Identity
from penny.webhooks.again import send_again
from penny.webhooks.deliverer import Deliverer
from penny.webhooks.endpoints import Endpoint, inward_urls, read_endpoints
from penny.webhooks.live import LiveTelling, RecordTelling
from penny.webhooks.outbox import Outbox
from penny.webhooks.query import DeliveryQuery, Replay
from penny.webhooks.sample import Test, send_test
from penny.webhooks.sender import Sender


Json = dict[str, Any]

DAY_S = 86_400.0
OVERDUE_S = 300.0
"""After the longest call and so much more, one without an end is told as lost."""


class Webhooks:
    """All that tells others of this gateway's calls.

    Args:
        crms: receivers that are CRMs.

    Raises:
        ConfigError: an endpoint cannot be used.
    """

    def __init__(
        self,
        config: Config,
        kept: KeptCalls,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        crms: Mapping[str, Endpoint] = MappingProxyType({}),
    ) -> None:
        receivers = {**read_endpoints(config, os.environ), **crms}
        self.wall_clock = wall_clock
        self._kept = kept
        self.store = kept.keeper.store
        self.outbox = Outbox(self.store.database, receivers)
        self.sender = Sender(inward_urls(receivers.values()), wall_clock)
        self.deliverer = Deliverer(
            self.outbox,
            self.sender,
            clock,
            wall_clock,
            keep_s=config.webhooks.keep_days * DAY_S,
            overdue_s=config.gateway.session_max_s + OVERDUE_S,
            is_behind=lambda: kept.keeper.waiting > 0,
        )
        self._live = LiveTelling(self.outbox)
        if receivers:
            kept.keeper.tells = RecordTelling(self.outbox, awaits_analysis=config.analysis.enabled)

    async def start(self, broker: Broker) -> None:
        """Tell of every call from now on. Call it after ``KeptCalls.attach``."""
        if self.outbox.receivers:
            broker.add_observer(
                lambda session, turns: self._live.watch(
                    self._kept.recorder_of(session.id), session.state.started_s, turns
                )
            )
        await self.deliverer.start()

    async def aclose(self) -> None:
        """Stop delivering; the outbox keeps what waits."""
        await self._live.aclose()
        await self.deliverer.aclose()
        await self.sender.aclose()

    def fault(self) -> str:
        """What is wrong with delivering, for the operator; ''."""
        if self.deliverer.fault:
            return f"webhooks wait: {self.deliverer.fault}"
        backlog = self.deliverer.backlog
        disabled = sorted(name for name, each in backlog.items() if each.disabled_ms is not None)
        return f"webhooks are disabled: {', '.join(disabled)}" if disabled else ""


class WebhookRoutes:
    """The routes of webhooks: of a tenant's own events, unless who asks sees every tenant's."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks
        self._outbox = webhooks.outbox

    def add_to(self, app: web.Application) -> None:
        router = app.router
        router.add_get("/v1/webhooks", told(self._list))
        router.add_get("/v1/webhooks/deliveries", told(self._find))
        router.add_post("/v1/webhooks/replay", told(self._replay))
        router.add_post("/v1/webhooks/{name}/test", told(self._test))
        router.add_post("/v1/webhooks/{name}/enable", told(self._enable))

    async def _list(self, request: web.Request) -> web.Response:
        tenant = whose(request)
        backlog = await self._outbox.backlog(tenant)
        shown = [
            {
                "name": name,
                "url": _address(endpoint, tenant),
                "types": sorted(endpoint.types),
                "tenants": sorted(endpoint.tenants),
                "payload": "thin" if endpoint.is_thin else "full",
                "legacy_signature": endpoint.is_legacy,
                "hears_private": endpoint.may_hear_private,
                "secrets": len(endpoint.secrets),
                **asdict(backlog[name]),
            }
            for name, endpoint in self._seen(request)
        ]
        return as_json({"endpoints": shown, "fault": self._webhooks.deliverer.fault or None})

    async def _find(self, request: web.Request) -> web.Response:
        given = {k: v for k, v in request.query.items() if k != "api_key"}
        query = read_as(lambda: DeliveryQuery.model_validate(given))
        found = await self._outbox.find(whose(request), query)
        before = found[-1]["id"] if len(found) == query.limit else None
        return as_json({"deliveries": found, "before": before})

    async def _replay(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, Replay)
        if wanted.endpoint is not None:
            self._get(request, wanted.endpoint)
        await self._note(request, "webhooks replayed")
        count = await send_again(self._outbox, wanted, whose(request), self._now_ms())
        return as_json({"deliveries": count})

    async def _test(self, request: web.Request) -> web.Response:
        endpoint = self._get(request, request.match_info["name"])
        wanted = await read_body(request, Test)
        now_s = self._webhooks.wall_clock()
        answer = await send_test(self._webhooks.sender, endpoint, wanted.type, now_s)
        shown = {"status": answer.status, "error": answer.error, "answer": answer.body}
        return as_json({"ok": answer.is_success, "took_ms": answer.took_ms, **shown})

    async def _enable(self, request: web.Request) -> web.Response:
        endpoint = self._get(request, request.match_info["name"])
        missed = await read_flag(request, "send_missed")
        self._check_whole(request, endpoint)
        await self._note(request, "webhooks enabled")
        count = await self._outbox.enable(endpoint.name, self._now_ms(), send_missed=missed)
        return as_json({"enabled": endpoint.name, "deliveries": count})

    # -- inside -------------------------------------------------------------------------------

    def _seen(self, request: web.Request) -> list[tuple[str, Endpoint]]:
        """The endpoints that are told of calls of the tenant that asks."""
        tenant = whose(request)
        every = self._outbox.receivers.items()
        return [(n, e) for n, e in every if tenant is None or e.serves(tenant)]

    def _get(self, request: web.Request, name: str) -> Endpoint:
        found = dict(self._seen(request)).get(name)
        if found is None:
            raise ProtocolError("there is no such endpoint", code="endpoint_not_found")
        return found

    async def _note(self, request: web.Request, action: str) -> None:
        """Write into the audit log who did that."""
        who: Identity = request[WHO]
        actor = who.key_id or "house"
        await self._webhooks.store.note(who.tenant, actor, action, "", self._now_ms())

    @staticmethod
    def _check_whole(request: web.Request, endpoint: Endpoint) -> None:
        """Raises ProtocolError where others' events would be sent too."""
        tenant = whose(request)
        if tenant is not None and endpoint.tenants != {tenant}:
            raise ProtocolError(
                "this endpoint serves other tenants too: ask the operator", code="endpoint_shared"
            )

    def _now_ms(self) -> int:
        return round(self._webhooks.wall_clock() * 1000)


class WebhooksCollector:
    """Metrics of what is told."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._deliverer = webhooks.deliverer
        self._wall_clock = webhooks.wall_clock

    def collect(self) -> Iterator[Metric]:
        attempts = CounterMetricFamily(
            "penny_webhook_attempts", "Deliveries tried", labels=["endpoint", "outcome"]
        )
        for (endpoint, outcome), count in sorted(self._deliverer.counts.items()):
            attempts.add_metric([endpoint, outcome], count)
        yield attempts
        waiting = GaugeMetricFamily(
            "penny_webhook_waiting", "Deliveries that wait", labels=["endpoint"]
        )
        oldest = GaugeMetricFamily(
            "penny_webhook_oldest_s", "Age of the oldest that waits", labels=["endpoint"]
        )
        off = GaugeMetricFamily(
            "penny_webhook_disabled", "1 while an endpoint is disabled", labels=["endpoint"]
        )
        now_ms = self._wall_clock() * 1000
        for name, backlog in sorted(self._deliverer.backlog.items()):
            since_ms = now_ms if backlog.oldest_ms is None else backlog.oldest_ms
            waiting.add_metric([name], backlog.waiting)
            oldest.add_metric([name], max(0.0, now_ms - since_ms) / 1000)
            off.add_metric([name], backlog.disabled_ms is not None)
        yield from (waiting, oldest, off)


def _address(endpoint: Endpoint, tenant: str | None) -> str:
    """Its address without the query; to one of several tenants its host alone."""
    parts = urlsplit(endpoint.url)
    if tenant is not None and endpoint.tenants != {tenant}:
        return parts.netloc
    return parts._replace(query="", fragment="").geturl()
