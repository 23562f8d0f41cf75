"""The worker's socket: a Realtime server on one port, its engines loaded before it listens.

Routes:
    GET /v1/realtime   WebSocket, OpenAI Realtime GA (``?penny_events=1`` adds ``penny.*``)
    GET /v1/info       what the engines are and what they cannot do
    GET /health        as /healthz, and whether Triton or the local model transcribes now,
                       and how many calls are cleaned, left raw for want of time, or broke off
    GET /healthz       200 when it can take a session, 503 when full or closing
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType, web
from structlog.contextvars import bound_contextvars

from penny.aio.tasks import TaskOwner
from penny.errors import ConfigError
from penny.ids import new_id
from penny.logs import configure_logs
from penny.realtime.commands import Hangup
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings
from penny.writable import dump_json
from runpod_worker.connection import Connection
from runpod_worker.egress import (
    guard_process,
    guarded_hosts,
    hosts_of,
    lock_down,
    new_guarded_loop,
    silence_libraries,
)
from runpod_worker.engines.registry import Engines, load_engines
from runpod_worker.filler import Fillers
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import BehindServer, Voice
from runpod_worker.system_guard import NO_GUARD, SystemGuard


if TYPE_CHECKING:
    from penny.tracing.trace import Trace
    from penny.tracing.tracing import Tracing

log = structlog.get_logger()

Json = dict[str, Any]

KEPT_AUDIO_MS = 15_000
"""Of a session, for clients that retrieve an item with its audio: 0.7 MB, and as much of what was
heard and is no item yet. Twice that, written and read again, is a pause that others hear."""
FAIR_SHARE = 8
"""Messages of one connection that may wait in its buffer and be taken before others' are."""
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Past the core's own limit: what is too long is refused by name, what is absurd by a close."""
TOKEN_VARIABLE = "PENNY_WORKER_TOKEN"


RealtimeSocket = web.WebSocketResponse | ClientWebSocketResponse
"""Who dialled makes no difference: a rented worker dials its gateway."""


class Worker:
    """The worker process: serves Realtime connections with its engines.

    Holds the engines and the open connections; one per process.
    """

    def __init__(
        self, settings: WorkerSettings, engines: Engines, guard: SystemGuard = NO_GUARD
    ) -> None:
        self._settings = settings
        self._guard = guard
        self._engines = engines
        self._fillers = Fillers(engines.tts, settings.spoken.fillers)
        self._apologies = Fillers(engines.tts, settings.spoken.apologies())
        self._sockets: set[RealtimeSocket] = set()
        self._token = os.environ.get(TOKEN_VARIABLE, "")
        self._tracing = _open_tracing(settings)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._realtime)
        app.router.add_get("/v1/info", self._info)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/health", self._health)
        app.on_shutdown.append(self._close_all)
        return app

    def info(self) -> Json:
        """Engine names, languages and honest notices, as JSON."""
        return {
            "engines": {
                stage: asdict(engine.info)
                for stage, engine in (
                    ("vad", self._engines.vad),
                    ("stt", self._engines.stt),
                    ("llm", self._engines.llm),
                    ("tts", self._engines.tts),
                )
            },
            "voices": list(self._engines.tts.voices()),
            "slots": self._settings.slots,
            "sessions": len(self._sockets),
            "egress": self._egress(),
        }

    def _egress(self) -> Json:
        """Whether this process is guarded, by whom, and which hosts it was kept from reaching."""
        hosts = guarded_hosts()
        return {
            "guarded": hosts is not None,
            "refused": dict(hosts.refused) if hosts else {},
            "kernel": asdict(self._guard),
        }

    async def prepare(self) -> None:
        """Make the sentences beside the answers in the voice of who asks for none.

        A slow voice that made them in the first call would make its answer late.
        """
        name = next(iter(self._engines.tts.voices()), "")
        for language in self._engines.tts.info.languages:
            for sentences in (self._fillers, self._apologies):
                await sentences.prepare(Voice(language, name))

    async def _info(self, _request: web.Request) -> web.Response:
        return web.json_response(self.info())

    async def _healthz(self, _request: web.Request) -> web.Response:
        full = len(self._sockets) >= self._settings.slots
        return web.json_response(
            {"status": "full" if full else "ok", "sessions": len(self._sockets)},
            status=503 if full else 200,
        )

    async def _health(self, _request: web.Request) -> web.Response:
        """``/healthz`` in the words of other voice stacks, and who transcribes now: Triton
        (``triton_mode``), or the local model."""
        full = len(self._sockets) >= self._settings.slots
        stt = self._engines.stt
        told: Json = {"status": "full" if full else "healthy", "triton_mode": False}
        if isinstance(stt, BehindServer):
            told |= {"triton_mode": stt.is_well(), "triton_url": stt.url}
        budget = self._engines.budget
        if budget.ms_per_s:
            told["cleaned_calls"] = {
                name: getattr(budget, name) for name in ("active", "bypassed", "failed")
            }
        return web.json_response(told, status=503 if full else 200)

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        if self._token and request.headers.get("Authorization") != f"Bearer {self._token}":
            return _refusal(401, "invalid_api_key", "the worker's token is missing or wrong")
        if len(self._sockets) >= self._settings.slots:
            return _refusal(503, "worker_full", f"all {self._settings.slots} slots are taken")
        socket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE_BYTES, compress=False, heartbeat=20.0, protocols=("realtime",)
        )
        await socket.prepare(request)
        await self.serve(
            socket,
            model=request.query.get("model") or "penny",
            penny_events=request.query.get("penny_events") == "1",
            traceparent=request.headers.get("traceparent", ""),
        )
        return socket

    async def serve(
        self, socket: RealtimeSocket, *, model: str, penny_events: bool, traceparent: str = ""
    ) -> None:
        """Run one Realtime session on an open socket until either ends.

        Args:
            traceparent: of the gateway's session, when that is traced.
        """
        self._sockets.add(socket)
        try:
            trace = self._tracing.join(traceparent) if self._tracing is not None else None
            with bound_contextvars(**({"trace_id": trace.id} if trace is not None else {})):
                await self._converse(socket, trace, model=model, penny_events=penny_events)
        finally:
            self._sockets.discard(socket)

    async def aclose(self) -> None:
        """Sends the last spans."""
        if self._tracing is not None:
            await self._tracing.aclose()

    async def _converse(
        self, socket: RealtimeSocket, trace: Trace | None, *, model: str, penny_events: bool
    ) -> None:
        async def hang_up(hangup: Hangup) -> None:
            await socket.close(code=hangup.code, message=hangup.reason.encode())

        core = RealtimeCore(
            CoreSettings(
                model=model,
                session_max_s=self._settings.session_max_s,
                voices=tuple(self._engines.tts.voices()),
                penny_events=penny_events,
                accept_images=self._engines.llm.info.sees,
                kept_audio_ms=KEPT_AUDIO_MS,
            ),
            new_id,
        )
        engines, send = self._engines, _sender(socket)
        if trace is not None:
            from runpod_worker.stage_trace import trace_stages

            engines, send = trace_stages(trace, engines, send)
        connection = Connection(
            core,
            engines,
            self._settings,
            penny_events=penny_events,
            send_event=send,
            hang_up=hang_up,
            fillers=self._fillers,
            apologies=self._apologies,
        )
        # Read once: a clock that is set meanwhile ends no session.
        epoch_s = time.time() - time.monotonic()
        taken = 0
        try:
            await connection.open(epoch_s + time.monotonic())
            async with _ticking(connection, epoch_s):
                async for message in socket:
                    if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                        await connection.receive(message.data)
                    elif message.type is WSMsgType.ERROR:
                        log.info("client_socket_failed", error=type(socket.exception()).__name__)
                    taken += 1
                    if taken % FAIR_SHARE == 0:
                        await asyncio.sleep(0)
        finally:
            await connection.aclose()

    async def _close_all(self, _app: web.Application) -> None:
        for open_socket in list(self._sockets):
            await open_socket.close(code=WSCloseCode.GOING_AWAY, message=b"worker stops")


def _open_tracing(settings: WorkerSettings) -> Tracing | None:
    """Raises ConfigError for a collector that this worker may not reach."""
    if not settings.tracing.enabled:
        return None
    allowed = guarded_hosts() or hosts_of(settings)
    reason = settings.tracing.refusal(allowed)
    if reason:
        raise ConfigError(f"tracing.endpoint: {reason}", key="tracing.endpoint")
    # Here, not above: a worker that traces nothing loads nothing of OpenTelemetry's.
    from penny.tracing.tracing import Tracing

    return Tracing(settings.tracing, "penny-worker", allowed, time.monotonic)


def _sender(socket: RealtimeSocket) -> Callable[[Json], Awaitable[None]]:
    async def send(event: Json) -> None:
        with suppress(ConnectionError):  # the reading side notices the loss and ends the session
            await socket.send_str(dump_json(event).decode())

    return send


@asynccontextmanager
async def _ticking(connection: Connection, epoch_s: float) -> AsyncIterator[None]:
    """Tell the core the time once a second: that is as fine as ``expires_at`` needs."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(1.0)
            connection.tick(epoch_s + time.monotonic())

    task = asyncio.create_task(tick(), name="realtime expiry")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _refusal(status: int, code: str, message: str) -> web.Response:
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return web.json_response({"error": error}, status=status)


async def serve(
    settings: WorkerSettings,
    listening: socket.socket,
    *,
    announce: bool,
    guard: SystemGuard = NO_GUARD,
    load: Callable[[WorkerSettings], Awaitable[Engines]] = load_engines,
) -> None:
    """Load the engines and serve until SIGTERM, SIGINT or (announced) the parent's end.

    With ``announce`` one JSON line on stdout tells the parent the port: ``{"ready": true, …}``.
    The parent holds our stdin open; its end is our end, so no worker outlives a killed gateway.
    """
    engines = await load(settings)
    worker = Worker(settings, engines, guard)
    runner = web.AppRunner(worker.app(), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    site = web.SockSite(runner, listening)
    await site.start()
    bound = runner.addresses[0]
    log.info("worker_listens", host=bound[0], port=bound[1])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if announce:
        sys.stdout.write(
            json.dumps({"ready": True, "port": bound[1], "info": worker.info()}) + "\n"
        )
        sys.stdout.flush()
        loop.add_reader(sys.stdin.fileno(), _watch_parent, stop)
    keep_loaded()
    tasks = TaskOwner("worker")
    if engines.tts.info.first_phrase_chars:
        tasks.spawn(worker.prepare(), name="sentences made")
    try:
        await stop.wait()
    finally:
        await tasks.aclose()
        await runner.cleanup()
        await engines.aclose()
        await worker.aclose()


def keep_loaded() -> None:
    """Leave what was loaded out of the search for garbage from now on: 280,000 objects of modules,
    looked through again and again, stopped every call for 120 ms."""
    gc.collect()
    gc.freeze()


def _watch_parent(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def main(settings: WorkerSettings, host: str, port: int, *, announce: bool = False) -> None:
    """Run a worker until it is told to stop."""
    configure_logs(settings.log_level, settings.log_format)
    silence_libraries()
    guard_process(hosts_of(settings))
    listening = socket.create_server((host, port), family=_family_of(host), backlog=128)
    guard = lock_down(settings)  # before any engine is loaded: its libraries are bound as well
    log.info("worker_locked_down", **asdict(guard))
    with asyncio.Runner(loop_factory=new_guarded_loop) as runner:
        runner.run(serve(settings, listening, announce=announce, guard=guard))


def _family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
