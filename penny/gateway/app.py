"""The composition root: builds everything from the configuration, starts it, drains it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import structlog
import uvloop
from aiohttp import web

from config.schema import Config
from modes.external.mode import ExternalMode
from modes.registry import build_modes, find_desk, find_hosts, find_spending
from penny.aio.tasks import TaskOwner
from penny.gateway.admin import AdminRoutes
from penny.gateway.brain_metrics import BrainCollector
from penny.gateway.egress_metrics import EgressCollector
from penny.gateway.faults import HouseFaults
from penny.gateway.kb import KbRoutes, SharedKb
from penny.gateway.listener import Listener
from penny.gateway.loop_lag import LoopLag
from penny.gateway.metrics import Metrics, TrustCollector
from penny.gateway.overview import Overview
from penny.gateway.realtime import RealtimeDoor
from penny.gateway.routes import Routes
from penny.gateway.siblings import Siblings
from penny.gateway.socket import SocketDoor
from penny.gateway.trust import Trust, build_trust
from penny.gateway.worker_door import WorkerDoor
from penny.logs import LossyStream, configure_logs
from penny.metering.observer import CostObserver
from penny.metering.summary import SummaryObserver
from penny.session.broker import Broker, BrokerSettings
from penny.session.handoff import HandoffEnd
from penny.session.mode import Mode
from penny.session.session import Session, SessionLimits
from penny.session.turn_timing import TurnTiming
from penny.turns.sounding import Sounding


if TYPE_CHECKING:
    from penny.tracing.tracing import Tracing

log = structlog.get_logger()

Json = dict[str, Any]

MAX_BODY_BYTES = 1024 * 1024
REQUEST_WAIT_S = 20.0
"""A connection whose next request is not whole by then is closed: many slow ones would use up
every descriptor."""
STARTING_GRACE_S = 2.0
"""Who connected before another gateway took over may still start a session here."""


class Gateway:
    """One gateway process: ``start``, then ``stop``; or ``run`` until a signal.

    Args:
        siblings: the other processes behind the same port; None when it is alone.
        stderr: where its log lines go; what is lost there is shown.
    """

    def __init__(
        self,
        config: Config,
        siblings: Siblings | None = None,
        stderr: LossyStream | None = None,
    ) -> None:
        self._config = config
        self._siblings = siblings
        self._stderr = stderr
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self._tasks = TaskOwner("gateway")
        self.broker: Broker | None = None
        self.routes: Routes | None = None
        self.trust: Trust | None = None
        self.kb: SharedKb | None = None
        self._tracing: Tracing | None = None
        self.port = config.gateway.port

    async def start(self, host: str | None = None, port: int | None = None) -> None:
        """Build, start the modes, listen. ``port`` tells the one that was taken.

        Raises:
            ConfigError: it would listen beyond loopback without any API key.
        """
        config = self._config
        clock = asyncio.get_running_loop().time
        host = config.gateway.host if host is None else host
        self.kb = SharedKb(config)
        modes = build_modes(config, self.kb.ready)
        self.broker = broker = self._open_broker(modes, clock)
        metrics = Metrics(broker)
        if self._tracing is not None:
            metrics.count_spans(self._tracing.counts)
        overview = Overview(time.time, _minute_prices(config).__getitem__)
        broker.add_observer(overview.observe)
        broker.add_observer(_turn_timing(metrics, overview, config))
        _attach_brain(broker, metrics, config)
        self.trust = trust = build_trust(config, broker, host, clock)
        await trust.gate.check_exposure(host)
        self._runner = web.AppRunner(
            self._build_app(broker, trust, metrics, overview, self.kb, clock),
            access_log=None,
            shutdown_timeout=2.0,
            keepalive_timeout=REQUEST_WAIT_S,
        )
        await self._runner.setup()
        await trust.admission.start()
        lag = LoopLag(metrics.loop_lag.observe, clock)
        self._tasks.spawn(lag.watch(), name="loop lag")
        self._listener = Listener(self._runner, host, reuse_port=config.gateway.reuse_port)
        await self._listener.open(config.gateway.port if port is None else port)
        self.host, self.port = self._listener.address
        if self._siblings is not None:
            await web.UnixSite(self._runner, str(self._siblings.path)).start()
        self.kb.start()
        log.info("gateway_listens", host=self.host, port=self.port)
        # Listening comes first: health and page answer while a mode still loads, and say so.
        await asyncio.gather(*(mode.start() for mode in modes.values()))

    def _open_broker(self, modes: Mapping[str, Mode], clock: Callable[[], float]) -> Broker:
        config, settings = self._config, _broker_settings(self._config)
        if not config.tracing.enabled:
            return Broker(modes, settings, (), clock)
        # Here, not above: a gateway that traces nothing loads nothing of OpenTelemetry's.
        from penny.gateway.tracing import open_traced_broker

        broker = open_traced_broker(config, modes, settings, clock)
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
        counts = external.counts if isinstance(external, ExternalMode) else None
        faults = HouseFaults(kb, counts, self._stderr)
        metrics.registry.register(faults)
        self.routes = routes = Routes(
            broker, config, metrics, trust, kb.describe, faults.tellers(), self._siblings
        )
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        self.routes.add_to(app)
        door = SocketDoor(broker, config, trust.gate, clock, self._siblings)
        app.router.add_get("/ws", door.connect)
        RealtimeDoor(
            broker, config, trust.gate, trust.secrets, door.held, time.time, self._siblings
        ).add_to(app)
        KbRoutes(kb, trust.gate, config.kb.default_ref).add_to(app)
        AdminRoutes(
            trust,
            clock,
            lambda: {**routes.describe_operation(), **overview.describe()},
            show_transcripts=config.admin.show_transcripts,
        ).add_to(app)
        metrics.registry.register(TrustCollector(trust, door.held))
        hosts, desk = find_hosts(broker.modes), find_desk(broker.modes)
        if hosts is not None:
            metrics.registry.register(EgressCollector(hosts))
        if desk is not None:
            WorkerDoor(desk).add_to(app)
        return app

    async def stop(self, drain_s: float) -> None:
        """Drain live sessions, then let everything go."""
        if self._listener is not None and self.broker is not None:
            if await self._listener.hand_over():
                log.info("another_gateway_took_over", port=self.port)
                await self.broker.settle(STARTING_GRACE_S)
            await self.broker.drain(drain_s)
        if self.broker is not None:
            # While the doors still stand: rented workers are told that their lease is over.
            for mode in self.broker.modes.values():
                await mode.aclose()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._tasks.aclose()
        if self.trust is not None:
            await self.trust.admission.aclose()
        if self.kb is not None:
            await self.kb.aclose()
        if self._tracing is not None:
            await self._tracing.aclose()

    async def run(self, host: str | None, port: int | None) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        if self._siblings is not None:
            loop.add_reader(sys.stdin.fileno(), _watch_parent, stop)
        starting = asyncio.create_task(self.start(host, port), name="gateway start")
        stopping = asyncio.create_task(stop.wait(), name="gateway stop signal")
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                # What was loaded stays for good. Looking through it for garbage again and again
                # would stop every call for tens of milliseconds.
                gc.collect()
                gc.freeze()
                if self._siblings is None or self._siblings.number == 1:
                    sys.stdout.write(self.banner())
                    sys.stdout.flush()
                await stopping
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            await self.stop(self._config.gateway.drain_s)

    def banner(self) -> str:
        """Address, modes, and for each that cannot talk the reason and the remedy."""
        assert self.routes is not None
        lines = [f"Penny listens on http://{self.host}:{self.port}"]
        if self._siblings is not None:
            lines[0] += f" with {self._siblings.count} processes"
        for mode in self.routes.describe_modes()["modes"]:
            default = " (default)" if mode["default"] else ""
            if mode["available"]:
                lines.append(f"  {mode['name']}{default}: ready, {mode['label']}")
                lines.extend(f"    {text}" for text in (mode["notice"] or {}).values())
            else:
                lines.append(f"  {mode['name']}{default}: {mode['reason']}")
                lines.append(f"    -> {mode['remedy']}")
        return "\n".join(lines) + "\n"


def _broker_settings(config: Config) -> BrokerSettings:
    return BrokerSettings(
        default_mode=config.penny.default_mode,
        allow_user_selection=config.penny.allow_user_selection,
        max_sessions=config.gateway.max_sessions,
        limits=SessionLimits(
            max_s=config.gateway.session_max_s, idle_s=config.gateway.idle_timeout_s
        ),
    )


def _minute_prices(config: Config) -> dict[str, float]:
    return {name: section.cost_per_minute_usd for name, section in config.penny.modes.enabled()}


def _turn_timing(
    metrics: Metrics, overview: Overview, config: Config
) -> Callable[[Session], TurnTiming]:
    def make(session: Session) -> TurnTiming:
        def tell(turn: Json) -> None:
            overview.turn_measured(session.id, turn)
            session.tell_caller(turn)

        return TurnTiming(
            tell,
            metrics.record_stage,
            silence_ms=config.worker.turns.silence_duration_ms,
        )

    return make


def _attach_brain(broker: Broker, metrics: Metrics, config: Config) -> None:
    """Meter every session; show what the brain of EXTERNAL was worth."""
    soundings: WeakKeyDictionary[Session, Sounding] = WeakKeyDictionary()

    def listen(session: Session) -> Sounding:
        return soundings.setdefault(session, Sounding())

    broker.add_observer(listen)
    broker.add_observer(_cost_meter(config, broker, listen))
    broker.add_observer(lambda session: SummaryObserver(session.state.totals))
    if config.actions.handoff_ends_session:
        call_later = asyncio.get_running_loop().call_later
        broker.add_observer(lambda session: HandoffEnd(session, call_later, listen(session)))
    external = broker.modes.get("EXTERNAL")
    if isinstance(external, ExternalMode):
        metrics.registry.register(BrainCollector(external.counts))


def _cost_meter(
    config: Config, broker: Broker, sounding_of: Callable[[Session], Sounding]
) -> Callable[[Session], CostObserver]:
    call_later = asyncio.get_running_loop().call_later

    def make(session: Session) -> CostObserver:
        prices, state = config.models.prices, session.state
        spent = find_spending(broker.modes, session.id)
        sounding = sounding_of(session)
        return CostObserver(
            session,
            state.totals,
            prices,
            config.costs,
            call_later,
            sounding,
            spent,
            state.started_s,
        )

    return make


def _watch_parent(stop: asyncio.Event) -> None:
    """The supervisor holds our stdin open; its end is our end."""
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def main(
    config: Config,
    host: str | None = None,
    port: int | None = None,
    siblings: Siblings | None = None,
) -> None:
    """Run a gateway, alone or as one of several processes, until it is told to stop."""
    stderr = configure_logs(config.logs.level, config.logs.format)
    uvloop.run(Gateway(config, siblings, stderr).run(host, port))
