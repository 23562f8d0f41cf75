"""The pages: one head, one masthead and one navigation round what each has of its own.

    GET /v1/rooms   the pages that who asks may use, in the order of the navigation

A later room adds its row to ``ROOMS``, and its parts to ``penny/web``.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from aiohttp import web
from aiohttp.typedefs import Handler

from penny.gateway.gate import Gate
from penny.gateway.guard import OPEN
from penny.gateway.routes import WEB_ROOT


@dataclass(frozen=True, slots=True)
class Room:
    """A page.

    Args:
        name: of its file and of its words; '' for the talk page, whose words have no name before.
        right: that its key needs to be of use; ``OPEN`` for none.
        styles: its own, after the house's.
        skip: the element that the skip link leads to.
        asks_key: whether a person signs in on it.
    """

    path: str
    name: str
    title: str
    right: str
    styles: tuple[str, ...]
    skip: str
    asks_key: bool = True
    script: str = ""
    state: str = 'data-state="loading"'

    def render(self, *, openid: bool) -> bytes:
        """The page, with a way in by the OpenID provider where there is one."""
        words = f"{self.name}." if self.name else ""
        parts = {
            "main": _part(f"{self.name or 'talk'}.html"),
            "entry": _part("entry.html") if self.asks_key else "",
            "openid": OPENID.format(self.path) if openid else "",
            "figures": _part("ticker.html") if not self.name else HEALTH,
            "heading": f' data-word="{words}title"' if self.name else "",
            "styles": "\n    ".join(STYLE.format(name) for name in self.styles),
            "script": self.script or f"{self.name}.js",
            "title": html.escape(self.title),
            "state": self.state,
            "skip": self.skip,
            "words": words,
        }
        page = _part("page.html")
        for name, part in parts.items():
            page = page.replace("{{" + name + "}}", part.rstrip())
        return page.encode()


OPENID = '<a class="provider" href="/v1/sign-in/openid?to={}" data-word="admin.openid"></a>'
HEALTH = '<p id="health" class="health" role="status"></p>'
STYLE = '<link rel="stylesheet" href="/web/{}">'
TALK = 'data-state="loading" data-view="lobby" data-brain="off" data-tab="talk"'
WEBHOOKS = ("kb.css", "webhooks.css")
ROOMS = (
    Room("/set-up", "setup", "Penny · Puesta a punto", "house:read", ("kb.css",), "parts"),
    Room(
        "/", "", "Penny", OPEN, ("talk.css", "brain.css"), "text",
        asks_key=False, script="page.js", state=TALK,
    ),
    Room("/admin", "admin", "Penny · Centralita", "sessions:read", ("admin.css",), "sessions"),
    Room(
        "/dashboard", "dashboard", "Penny · Panel", "analysis:read",
        ("kb.css", "dashboard.css"), "figures",
    ),
    Room(
        "/experiments", "experiments", "Penny · Experimentos", "house:read",
        ("kb.css", "dashboard.css"), "experiments",
    ),
    Room("/calls", "calls", "Penny · Llamadas", "calls:read", ("kb.css", "calls.css"), "calls"),
    Room("/webhooks", "webhooks", "Penny · Avisos", "webhooks:write", WEBHOOKS, "endpoints"),
    Room("/kb", "kb", "Penny · Documentos", "kb:write", ("kb.css",), "files"),
    Room(
        "/telephony", "telephony", "Penny · Teléfonos", "telephony:read",
        ("kb.css", "telephony.css"), "line",
    ),
    Room("/docs", "docs", "Penny · API", OPEN, ("kb.css", "docs.css"), "routes", asks_key=False),
)  # fmt: skip
"""In the order of the navigation."""


class PageRoutes:
    """The pages' routes, and which of them a person may use.

    Args:
        is_here: whether this gateway has a room at all.
        openid: whether people sign in at a provider, too.
    """

    def __init__(self, gate: Gate, is_here: Callable[[str], bool], *, openid: bool = False) -> None:
        self._gate = gate
        self._is_here = is_here
        self._openid = openid

    def add_to(self, app: web.Application) -> None:
        for room in ROOMS:
            app.router.add_get(room.path, _serve(room, openid=self._openid))
        app.router.add_get("/v1/rooms", self._tell)

    async def _tell(self, request: web.Request) -> web.Response:
        rooms = [
            {"name": room.name or "talk", "path": room.path}
            for room in ROOMS
            if self._is_here(room.path)
            and (room.right == OPEN or await self._gate.has(request, room.right))
        ]
        return web.json_response({"rooms": rooms}, headers={"Cache-Control": "no-store"})


def _serve(room: Room, *, openid: bool) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        body = render(room.path, openid=openid)
        return web.Response(body=body, content_type="text/html", charset="utf-8")

    return answer


@cache
def render(path: str, *, openid: bool = False) -> bytes:
    """The page at a path, put together once."""
    return next(room for room in ROOMS if room.path == path).render(openid=openid)


def _part(name: str) -> str:
    return (WEB_ROOT / name).read_text(encoding="utf-8")
