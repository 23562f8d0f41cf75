"""The composition root: builds a gateway from its configuration, starts it, drains it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web

from config.schema import Config
from modes.external.mode import ExternalMode
from modes.registry import (
    build_modes,
    describe_engines,
    find_hosts,
    find_lease_registry,
    find_spending,
    read_answer,
)
from modes.self_hosted.runpod.door import WorkerDoor
from penny.aio.tasks import TaskOwner
from penny.experiments.live import Experiments
from penny.gateway.admin import AdminRoutes
from penny.gateway.analysis import CallAnalysis
from penny.gateway.asterisk import AsteriskDoor
from penny.gateway.audio_api import AudioApi
from penny.gateway.calls import CallRoutes, CallsCollector
from penny.gateway.carriers import Carriers
from penny.gateway.crm import CrmRoom
from penny.gateway.experiments import ExperimentRoutes, open_experiments
from penny.gateway.figures import FigureRoutes
from penny.gateway.guard import make_guard
from penny.gateway.health import DescriptorWatch, LoopLag
from penny.gateway.kb import KbRoutes, SharedKb
from penny.gateway.kb_desk import KbDeskRoutes
from penny.gateway.kept_calls import KeptCalls
from penny.gateway.listener import Listener, load_tls
from penny.gateway.metrics import Metrics, tell_egress, tell_house, tell_spans, tell_trust
from penny.gateway.openapi import serve_document
from penny.gateway.overview import Overview
from penny.gateway.pages import ROOMS, PageRoutes
from penny.gateway.realtime import RealtimeDoor
from penny.gateway.routes import Routes
from penny.gateway.session_observers import attach_observers, broker_settings
from penny.gateway.set_up import SetUpRoutes
from penny.gateway.sibling_processes import SiblingProcesses
from penny.gateway.sign_in import SignInRoutes
from penny.gateway.socket import SocketDoor
from penny.gateway.telephony import TelephonyRoutes
from penny.gateway.trust import Trust, build_trust
from penny.gateway.webhooks import WebhookRoutes, Webhooks, WebhooksCollector
from penny.gateway.webrtc import Peers, WebRtcDoor
from penny.logs import LossyStream
from penny.session.broker import Broker
from penny.session.mode import Mode
from penny.telephony.probe import Probe
from penny.telephony.store import TelephonyStore


if TYPE_CHECKING:
    from penny.company.service import Company
    from penny.tracing.tracing import Tracing

log = structlog.get_logger()

MAX_BODY_BYTES = 1024 * 1024
REQUEST_WAIT_S = 20.0
"""A connection whose next request is not whole by then is closed: many slow ones would use up
every descriptor."""
STARTING_GRACE_S = 2.0
"""Who connected before another gateway took over may still start a session here."""


class Gateway:
    """One gateway: ``start``, then ``stop``. The process around it is ``penny.gateway.process``.

    Args:
        siblings: the other processes behind the same port; None when it is alone.
        stderr: where its log lines go; what is lost there is shown.
    """

    def __init__(
        self,
        config: Config,
        siblings: SiblingProcesses | None = None,
        stderr: LossyStream | None = None,
    ) -> None:
        self._config = config
        self._siblings = siblings
        self._stderr = stderr
        self.runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self._tasks = TaskOwner("gateway")
        self._descriptors = DescriptorWatch()
        self._webrtc: WebRtcDoor | None = None
        self._carriers: Carriers | None = None
        self._kept: KeptCalls | None = None
        self._webhooks: Webhooks | None = None
        self._analysis: CallAnalysis | None = None
        self._experiments: Experiments | None = None
        self._crm: CrmRoom | None = None
        self._company: Company | None = None
        self._calls_fault = ""
        self.broker: Broker | None = None
        self.routes: Routes | None = None
        self.trust: Trust | None = None
        self.kb: SharedKb | None = None
        self._tracing: Tracing | None = None
        self.port = config.gateway.port
        self.is_tls = config.gateway.tls is not None

    async def start(self, host: str | None = None, port: int | None = None) -> None:
        """Build, start the modes, listen. ``port`` tells the one that was taken.

        Raises:
            ConfigError: it would listen beyond loopback without any API key, or its certificate
                cannot be used.
        """
        config = self._config = await self._open_company()
        tls = load_tls(config)
        clock = asyncio.get_running_loop().time
        self.host = host = config.gateway.host if host is None else host
        self.kb = SharedKb(config)
        modes = build_modes(config, self.kb.ready)
        self.broker = broker = self._open_broker(modes, clock)
        metrics = Metrics(broker)
        if self._tracing is not None:
            metrics.figures.append(partial(tell_spans, self._tracing.spans))
        self.trust = trust = build_trust(config, broker, host, clock)
        overview = Overview(time.time, lambda session: trust.watches.live[session.id].price)
        broker.add_observer(overview.observe)
        attach_observers(
            broker,
            config,
            metrics,
            partial(find_spending, modes),
            trust.admission,
        )
        await trust.gate.check_exposure(host)
        if config.calls.enabled:
            await self._keep_calls(broker, trust, overview)
        self.runner = web.AppRunner(
            self._build_app(broker, trust, metrics, overview, self.kb, clock),
            access_log=None,
            shutdown_timeout=2.0,
            keepalive_timeout=REQUEST_WAIT_S,
            auto_decompress=False,  # a megabyte may be a thousand of them
        )
        await self.runner.setup()
        await trust.admission.start()
        self._tasks.spawn(self._descriptors.watch(), name="descriptors")
        lag = LoopLag(metrics.loop_lag.observe, clock)
        self._tasks.spawn(lag.watch(), name="loop lag")
        if self._carriers is not None:
            await self._carriers.start()
        reuse_port = config.gateway.reuse_port
        self._listener = Listener(self.runner, host, reuse_port=reuse_port, tls=tls)
        await self._listener.open(config.gateway.port if port is None else port)
        self.host, self.port = self._listener.address
        if self._siblings is not None:
            await web.UnixSite(self.runner, str(self._siblings.path)).start()
        self.kb.start()
        log.info("gateway_listens", host=self.host, port=self.port)
        # Listening comes first: health and page answer while a mode still loads, and say so.
        await asyncio.gather(*(mode.start() for mode in modes.values()))

    async def _open_company(self) -> Config:
        """The configuration with the sample company's actions, where it asks for them."""
        config = self._config
        if not config.actions.sample or config.actions.table:
            return config
        # Here, not above: a gateway without the sample loads nothing of it.
        from penny.company.service import Company, read_actions

        zone = ZoneInfo(config.kb.timezone)
        path = config.resolve(config.kb.index).parent / "company.sqlite"
        self._company = Company(path, lambda: datetime.now(zone).date())
        try:
            await self._company.start()
        except (OSError, sqlite3.Error) as error:
            log.error("sample_company_away", error=type(error).__name__, path=str(path))  # noqa: TRY400
            return config
        log.info("sample_company_listens", url=self._company.url)
        return config.with_actions(read_actions(self._company.url))

    def _open_broker(self, modes: Mapping[str, Mode], clock: Callable[[], float]) -> Broker:
        config, settings = self._config, broker_settings(self._config)
        if not config.tracing.enabled:
            return Broker(modes, settings, (), clock)
        # Here, not above: a gateway that traces nothing loads nothing of OpenTelemetry's.
        from penny.gateway.tracing import open_traced_broker

        broker = open_traced_broker(config, modes, settings, clock, find_hosts(modes))
        self._tracing = broker.tracing
        return broker

    def _build_app(
        self,
        broker: Broker,
        trust: Trust,
        metrics: Metrics,
        overview: Overview,
        kb: SharedKb,
        clock: Callable[[], float],
    ) -> web.Application:
        config = self._config
        external = broker.modes.get("EXTERNAL")
        faults = [kb.degraded, self._tell_of_calls, self._tell_of_webhooks, self._tell_of_crm]
        if isinstance(external, ExternalMode):
            metrics.figures.append(external.counts.collect)
            faults.append(external.counts.fault)
        faults += [self._descriptors.fault, lambda: trust.ledger.fault]
        if self._stderr is not None:
            faults.append(self._stderr.fault)
        metrics.figures.append(partial(tell_house, kb, self._stderr))
        self.routes = routes = Routes(
            broker,
            config,
            metrics,
            trust,
            kb,
            overview.measured,
            faults,
            self._siblings,
        )
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[make_guard(trust.gate)])
        self.routes.add_to(app)
        notice = self._kept.notice if self._kept is not None else lambda *_call: ""
        peers = Peers(config, self.host) if config.gateway.webrtc.enabled else None
        door = SocketDoor(broker, config, trust.gate, clock, self._siblings, peers, notice)
        app.router.add_get("/ws", door.connect)
        broker.give_up_lost = lambda: door.held.give_up_longest_lost(clock())
        realtime = RealtimeDoor(broker, config, trust.gate, trust.secrets, time.time, notice)
        realtime.add_to(app)
        AudioApi(realtime, trust.gate).add_to(app)
        if peers is not None:
            self._webrtc = WebRtcDoor(realtime, peers)
            self._webrtc.add_to(app)
        self._carriers = Carriers(broker, config, trust.gate, clock, notice, metrics, app)
        KbRoutes(kb, trust.gate, config.kb.default_ref).add_to(app)
        KbDeskRoutes(kb, trust.gate).add_to(app)
        AdminRoutes(
            trust,
            clock,
            lambda language: {**routes.describe_operation(language), **overview.describe()},
            show_transcripts=config.admin.show_transcripts,
        ).add_to(app)
        self._add_pages(app, routes, trust, metrics)
        metrics.figures.append(partial(tell_trust, trust, door.held))
        hosts, leases = find_hosts(broker.modes), find_lease_registry(broker.modes)
        if hosts is not None:
            metrics.figures.append(partial(tell_egress, hosts))
        if leases is not None:
            WorkerDoor(leases).add_to(app)
        app.router.add_route("*", "/v1/{path:.*}", RealtimeDoor.refuse_path)  # what nothing took
        return app

    def _add_openid(self, app: web.Application, trust: Trust) -> None:
        """The way in by an OpenID provider. Raises ConfigError when its client's secret is away."""
        section = self._config.sign_in.openid
        if section is None:
            return
        # Here, not above: a gateway of keys alone loads nothing of signatures.
        from penny.gateway.openid import OpenIdRoutes

        pages = frozenset(room.path for room in ROOMS)
        gate, sign_ins, clock = trust.gate, trust.sign_ins, time.monotonic
        OpenIdRoutes(self._config, section, gate, sign_ins, pages, clock).add_to(app)

    def _add_pages(
        self, app: web.Application, routes: Routes, trust: Trust, metrics: Metrics
    ) -> None:
        """The pages, what they show of the house, and of its calls."""
        SignInRoutes(trust.gate, trust.sign_ins).add_to(app)
        self._add_openid(app, trust)
        kept = self._kept
        section = self._config.telephony
        lines = TelephonyStore(self._config.resolve(section.folder), section, os.environ)
        probe = Probe(time.monotonic, allow_loopback=section.probe_loopback)
        telephony = TelephonyRoutes(lines, probe)
        telephony.add_to(app)
        faults = {"calls": self._tell_of_calls, "webhooks": self._tell_of_webhooks}
        told = (routes.describe_operation, self.describe_engines, faults)
        SetUpRoutes(self._config, *told, telephony.describe).add_to(app)
        needs_calls = ("/calls", "/dashboard", "/experiments", "/webhooks")
        PageRoutes(
            trust.gate,
            lambda path: path not in needs_calls or kept is not None,
            openid=self._config.sign_in.openid is not None,
        ).add_to(app)
        app.router.add_get("/openapi.json", serve_document)
        if kept is not None:
            CallRoutes(kept, time.time).add_to(app)
            FigureRoutes(kept, time.time).add_to(app)
            if self._experiments is not None:
                ExperimentRoutes(self._config.experiments, self._experiments).add_to(app)
            if self._carriers is not None:
                self._carriers.phones.keep = kept.keeper.keep_unconnected
                self._carriers.reconciler.is_known = kept.keeper.store.knows
            metrics.figures.append(CallsCollector(kept.keeper).collect)
        for room in (self._analysis, self._crm):
            if room is not None:
                room.add_to(app)
                metrics.figures.append(room.collect)
        if self._webhooks is not None:
            WebhookRoutes(self._webhooks).add_to(app)
            metrics.figures.append(WebhooksCollector(self._webhooks).collect)

    async def _keep_calls(self, broker: Broker, trust: Trust, overview: Overview) -> None:
        """Keep every call from now on. A gateway talks where nothing can be kept; it says so."""
        clock = asyncio.get_running_loop().time
        watches, is_open = trust.watches, not trust.gate.needs_key
        kept = KeptCalls(self._config, watches, time.time, read_answer, is_open=is_open)
        crm = CrmRoom(self._config, kept, clock, time.time)
        webhooks = Webhooks(self._config, kept, clock, time.time, crm.desks.receivers())
        try:
            await kept.keeper.start()
        except OSError as error:
            log.error("calls_not_kept", reason=error.strerror)  # noqa: TRY400
            self._calls_fault = f"calls are not kept: {error.strerror}"
            return
        self._kept, self._webhooks, self._crm = kept, webhooks, crm
        self._experiments = open_experiments(self._config, kept)
        kept.attach(broker)
        crm.attach(broker)  # before those who tell of a call's beginning
        await self._experiments.start(broker)
        await webhooks.start(broker)
        self._analysis = CallAnalysis(self._config, kept, broker, time.time)
        self._analysis.start(overview, self.kb)

    def _tell_of_calls(self) -> str:
        keeper = self._kept.keeper if self._kept is not None else None
        if keeper is None:
            return self._calls_fault
        if keeper.spool.fault:
            return f"calls are not kept: {keeper.spool.fault}"
        return f"calls wait in the spool: {keeper.fault}" if keeper.fault else ""

    @property
    def asterisk(self) -> AsteriskDoor | None:
        """The door of Asterisk's calls, where it is open."""
        return self._carriers.asterisk if self._carriers is not None else None

    def _tell_of_webhooks(self) -> str:
        return self._webhooks.fault() if self._webhooks is not None else ""

    def _tell_of_crm(self) -> str:
        return self._crm.desks.fault() if self._crm is not None else ""

    def describe_engines(self) -> str:
        """Which engines the local worker runs and why, in a line; "" where the file names them."""
        return describe_engines(self.broker.modes) if self.broker is not None else ""

    async def stop(self, drain_s: float) -> None:
        """Drain live sessions, then let everything go."""
        if self._listener is not None and self.broker is not None:
            is_taken_over = await self._listener.hand_over()
            if self._carriers is not None:
                self._carriers.close()
            if is_taken_over:
                log.info("another_gateway_took_over", port=self.port)
                await self.broker.settle(STARTING_GRACE_S)
            await self.broker.drain(drain_s)
        if self._webrtc is not None:
            await self._webrtc.aclose()
        if self._carriers is not None:
            await self._carriers.aclose()
        if self.broker is not None:
            # While the doors still stand: rented workers are told that their lease is over.
            for mode in self.broker.modes.values():
                await mode.aclose()
        if self.runner is not None:
            await self.runner.cleanup()
        for room in (self._analysis, self._webhooks, self._experiments, self._crm):
            if room is not None:
                await room.aclose()
        if self._kept is not None:
            await self._kept.keeper.aclose()
        await self._tasks.aclose()
        if self.trust is not None:
            await self.trust.admission.aclose()
        if self.kb is not None:
            await self.kb.aclose()
        if self._tracing is not None:
            await self._tracing.aclose()
        if self._company is not None:
            await self._company.aclose()
