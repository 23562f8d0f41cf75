"""HTTP routes: health, modes, metrics, and the files of the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from config.schema import Config
from penny import __version__
from penny.errors import ProtocolError
from penny.gateway.kb import SharedKb
from penny.gateway.metrics import Metrics, merge
from penny.gateway.sibling_processes import SiblingProcesses
from penny.gateway.trust import Trust
from penny.localized import Language, in_language
from penny.session.broker import Broker
from penny.session.mode import HasWorkers
from penny.trust.resilient_store import ResilientStore


Json = dict[str, Any]

WEB_ROOT = Path(__file__).resolve().parent.parent / "web"
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; worker-src 'self'; media-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self)",
}


class Routes:
    """The gateway's plain HTTP side.

    Args:
        kb: what the documents list is shown as examples.
        measured: how soon a mode answered on this machine, see ``Overview.measured``.
        faults: each tells what of the house works less well than usual, or ''.
    """

    def __init__(
        self,
        broker: Broker,
        config: Config,
        metrics: Metrics,
        trust: Trust,
        kb: SharedKb,
        measured: Callable[[str], Json | None],
        faults: Sequence[Callable[[], str]] = (),
        siblings: SiblingProcesses | None = None,
    ) -> None:
        self._broker = broker
        self._config = config
        self._metrics = metrics
        self._trust = trust
        self._kb = kb
        self._measured = measured
        self._faults = faults
        self._siblings = siblings

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/health", self._health)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/v1/modes", self._modes)
        if self._config.metrics.enabled:
            app.router.add_get("/metrics", self._metrics_page)
        app.router.add_static("/web", WEB_ROOT, show_index=False, follow_symlinks=False)
        app.on_response_prepare.append(_add_security_headers)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "version": __version__})

    async def _health(self, _request: web.Request) -> web.Response:
        """``/healthz`` in the words of other voice stacks."""
        return web.json_response({"status": "healthy", "version": __version__})

    async def _readyz(self, request: web.Request) -> web.Response:
        """The details, which name files and faults, are the operator's alone."""
        detail = self.describe_readiness()
        if not await self._trust.gate.has(request, "house:read"):
            detail = {name: detail[name] for name in ("ready", "reasons")}
        return web.json_response(detail, status=200 if detail["ready"] else 503)

    def describe_readiness(self) -> Json:
        """Whether new sessions are taken; when not, why, and what works less well than usual."""
        reasons = []
        if self._broker.draining:
            reasons.append("draining")
        if not any(mode.availability().available for mode in self._broker.modes.values()):
            reasons.append("no mode is available")
        store = self._trust.store
        degraded = []
        if isinstance(store, ResilientStore) and not store.state.shared:
            degraded.append("Redis does not answer: limits hold on this gateway alone")
        degraded += [fault for tell in self._faults if (fault := tell())]
        modes = {name: mode.availability() for name, mode in self._broker.modes.items()}
        return {
            "ready": not reasons,
            "reasons": reasons,
            "degraded": degraded,
            "sessions": len(self._broker.sessions),
            "knowledge_base": self._kb.describe(),
            "modes": {name: state.reason or "ready" for name, state in modes.items()},
        }

    def describe_operation(self, language: Language) -> Json:
        """Readiness, and each mode with its sessions, for the operator."""
        live = [session.mode for session in self._broker.sessions.values()]
        started = self._broker.counts.started
        modes = [
            {
                **mode,
                "live": live.count(mode["name"]),
                "started": started.get(mode["name"], 0),
                "workers": self._workers(mode["name"]),
            }
            for mode in self.describe_modes(language)["modes"]
        ]
        return {"modes": modes, "readiness": self.describe_readiness()}

    def _workers(self, name: str) -> list[Json]:
        mode = self._broker.modes[name]
        return [asdict(worker) for worker in mode.workers()] if isinstance(mode, HasWorkers) else []

    async def _modes(self, request: web.Request) -> web.Response:
        """``?language=es|en``: the language of all that a person reads; else the sessions' own."""
        asked = request.query.get("language") or self._config.session.language
        language: Language = "en" if asked.startswith("en") else "es"
        examples = await self._examples(request, language)
        return web.json_response({**self.describe_modes(language), "examples": examples})

    async def _examples(self, request: web.Request, language: Language) -> list[str]:
        """Questions that the caller's documents list; none for who may not ask them."""
        gate = self._trust.gate
        if not await gate.has(request, "kb:read"):
            return []
        policy = gate.policy(await gate.identify(request))
        try:
            return self._kb.examples(policy.collection(self._config.kb.default_ref), language)
        except ProtocolError:  # the house's collection is another tenant's
            return []

    def describe_modes(self, language: Language = "en") -> Json:
        """What a page shows before a session: every mode, available or why not."""
        sections = dict(self._config.penny.modes.enabled())
        modes = []
        for name, mode in self._broker.modes.items():
            section = sections[name]  # type: ignore[index]  # modes are built from the sections
            state = mode.availability()
            modes.append(
                {
                    "name": name,
                    "label": in_language(section.label, language),
                    "description": in_language(section.description, language),
                    "latency_ms": self._measured(name),
                    "cost_per_minute_usd": section.cost_per_minute_usd,
                    "privacy": in_language(section.privacy, language),
                    "available": state.available,
                    "reason": in_language(state.reason, language) or None,
                    "remedy": in_language(state.remedy, language) or None,
                    "notice": state.notice or None,
                    "hears": asdict(state.hears) if state.hears is not None else None,
                    "default": name == self._broker.default_mode,
                    "selectable": self._broker.is_selectable(name),
                }
            )
        return {
            "default_mode": self._broker.default_mode,
            "allow_user_selection": self._config.penny.allow_user_selection,
            "modes": modes,
        }

    async def _metrics_page(self, request: web.Request) -> web.Response:
        body = generate_latest(self._metrics.registry)
        # One of several processes tells of all, unless it is one of them that asks.
        if self._siblings is not None and not request.query.get("alone"):
            texts = await self._siblings.texts("/metrics?alone=1")
            body = merge({self._siblings.number: body.decode(), **texts})
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
