"""The operator's API with made-up calls: what the operator's page is tried on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from penny.gateway.pages import render
from penny.gateway.routes import SECURITY_HEADERS, WEB_ROOT
from tests.doubles.http import serving_app


Json = dict[str, Any]

KEY = "penny_admin_key"
STEPS = 360
NOW = 1_766_000_000


def sessions() -> list[Json]:
    def call(n: int, mode: str, edge: str, tenant: str, duration_s: float) -> Json:
        name = f"sess_{n}kq3v9"
        return {
            "session_id": name,
            "mode": mode,
            "edge": edge,
            "tenant": tenant,
            "duration_s": duration_s,
            "idle_s": 0.4,
            "responses": n,
            "usd": None,
        }

    return [
        call(1, "EXTERNAL", "socket", "banco-norte", 184.2),
        call(2, "SELF_HOSTED", "realtime", "clínica", 61.0),
        call(3, "EXTERNAL", "socket", "banco-norte", 12.5),
        call(4, "SELF_HOSTED", "socket", "default", 742.0),
    ]


def overview() -> Json:
    """Six hours with a morning's rise in them."""
    rise = [max(0.0, 1 - abs(step - 210) / 150) for step in range(STEPS)]
    live = {
        "sess_1kq3v9": ("speaking", 7, 0.241, 412, 780),
        "sess_2kq3v9": ("listening", 3, 0.010, 1830, 2410),
        "sess_3kq3v9": ("hearing", 1, 0.016, 390, 390),
    }
    return {
        "modes": [
            {
                "name": "SELF_HOSTED",
                "label": "Privado (modelos locales)",
                "available": True,
                "reason": None,
                "remedy": None,
                "live": 2,
                "started": 118,
                "workers": [
                    {"name": "lease_7f2", "state": "attached", "detail": "2 live, 6 free"},
                    {"name": "lease_9c1", "state": "draining", "detail": "0 live, 0 free"},
                ],
            },
            {
                "name": "EXTERNAL",
                "label": "Rápido (APIs externas)",
                "available": False,
                "reason": "the provider refuses: insufficient_quota",
                "remedy": "top up the account",
                "live": 2,
                "started": 431,
            },
        ],
        "readiness": {"ready": True, "reasons": []},
        "errors": [
            {
                "at": NOW - 95,
                "code": "engine_failed",
                "mode": "SELF_HOSTED",
                "session_id": "sess_x",
            },
            {"at": NOW - 1460, "code": "speaker_lost", "mode": "EXTERNAL", "session_id": "sess_y"},
        ],
        "live": {
            name: {
                "state": state,
                "turns": turns,
                "usd": usd,
                "latency_ms": {"p50": p50, "p95": p95},
            }
            for name, (state, turns, usd, p50, p95) in live.items()
        },
        "series": {
            "step_s": 60,
            "at": [NOW - 60 * (STEPS - step) for step in range(STEPS)],
            "sessions": [round(9 * part + (step * 7 % 5) / 3) for step, part in enumerate(rise)],
            "latency_p50_ms": [
                None if step < 30 else round(380 + 90 * part + step * 13 % 40)
                for step, part in enumerate(rise)
            ],
            "latency_p95_ms": [None] * STEPS,
            "errors": [1 if step % 53 == 7 else 0 for step in range(STEPS)],
            "usd": [round(0.06 * part, 4) for part in rise],
        },
    }


EVENTS: list[Json] = [
    {"from": "speaker", "at_ms": 120, "event": {"type": "session.updated", "event_id": "e1"}},
    *(
        {"from": "caller", "at_ms": 140 + n, "event": {"type": "input_audio_buffer.append"}}
        for n in range(40)
    ),
    {
        "from": "speaker",
        "at_ms": 1900,
        "event": {"type": "input_audio_buffer.speech_started", "audio_start_ms": 1740},
    },
    {
        "from": "speaker",
        "at_ms": 4120,
        "event": {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "item_4",
            "transcript": "<31 characters>",
        },
    },
    {
        "from": "speaker",
        "at_ms": 4490,
        "event": {
            "type": "response.created",
            "response": {"id": "resp_2", "status": "in_progress"},
        },
    },
]


TOKEN = "token_of_the_page"


@dataclass
class ScriptedAdmin:
    """What the operator's page did."""

    key: str | None = None
    url: str = ""
    sessions: list[Json] = field(default_factory=sessions)
    overview: Json = field(default_factory=overview)
    hung_up: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    down: bool = False
    shows_words: bool = True
    lacks: str = ""
    """The right that who asks has not; asked for where a call is ended."""

    def refuse(self, request: web.Request) -> web.Response | None:
        if self.down:
            fault = {"code": "internal_error", "message": "the store does not answer"}
            return web.json_response({"error": fault}, status=500)
        if self.key is None or request.cookies.get("penny_page") == self.key:
            if request.method == "GET" or request.headers.get("X-Penny-CSRF") == TOKEN:
                return None
            fault = {"code": "csrf_refused", "message": "the page's token is missing"}
            return web.json_response({"error": fault}, status=403)
        fault = {"code": "unauthorized", "message": "the API key is unknown or was revoked"}
        return web.json_response({"error": fault}, status=401)

    async def sign_in(self, request: web.Request) -> web.Response:
        if request.method == "POST" and (await request.json())["key"] != self.key:
            fault = {"code": "unauthorized", "message": "the API key is unknown or was revoked"}
            return web.json_response({"error": fault}, status=401)
        response = web.json_response({"signed_in": True, "csrf": TOKEN})
        if request.method == "POST":
            response.set_cookie("penny_page", self.key or "", httponly=True, samesite="Strict")
        return response

    async def list_sessions(self, request: web.Request) -> web.Response:
        return self.refuse(request) or web.json_response({"sessions": self.sessions})

    async def describe(self, request: web.Request) -> web.Response:
        return self.refuse(request) or web.json_response(self.overview)

    async def hang_up(self, request: web.Request) -> web.Response:
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        if self.lacks:
            fault = {"code": "forbidden", "message": "this needs a right", "param": self.lacks}
            return web.json_response({"error": fault}, status=403)
        name = request.match_info["id"]
        self.hung_up.append(name)
        self.sessions = [call for call in self.sessions if call["session_id"] != name]
        return web.json_response({"session_id": name, "ending": True}, status=202)

    async def events(self, request: web.Request) -> web.StreamResponse:
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        self.watched.append(request.path_qs)
        if "transcripts" in request.query and not self.shows_words:
            fault = {"code": "transcripts_off", "message": "see admin.show_transcripts"}
            return web.json_response({"error": fault}, status=403)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in EVENTS:
            if "transcripts" in request.query and "transcript" in event["event"]:
                event = {**event, "event": {**event["event"], "transcript": "¿Cuánto debo?"}}
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        while request.match_info["id"] not in self.hung_up:
            await asyncio.sleep(0.02)
        return response


@asynccontextmanager
async def serve(admin: ScriptedAdmin) -> AsyncIterator[ScriptedAdmin]:
    """Serve page and API on a free loopback port; ``admin.url`` says where."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=render("/admin"), content_type="text/html", charset="utf-8")

    async def rooms(_: web.Request) -> web.Response:
        return web.json_response({"rooms": []})

    async def secure(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(SECURITY_HEADERS)

    app = web.Application()
    app.router.add_get("/admin", page)
    app.router.add_get("/v1/rooms", rooms)
    app.router.add_static("/web", WEB_ROOT)
    app.router.add_route("*", "/v1/sign-in", admin.sign_in)
    app.router.add_get("/admin/v1/overview", admin.describe)
    app.router.add_get("/admin/v1/sessions", admin.list_sessions)
    app.router.add_get("/admin/v1/sessions/{id}/events", admin.events)
    app.router.add_post("/admin/v1/sessions/{id}/hang-up", admin.hang_up)
    app.on_response_prepare.append(secure)
    async with serving_app(app, cancels=False) as url:
        admin.url = f"{url}/admin"
        yield admin
