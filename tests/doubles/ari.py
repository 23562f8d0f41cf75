"""Asterisk's REST interface, as its description (``rest-api``) has it: channels, and events.

What Asterisk would refuse is refused: a request without the password, an unknown parameter, a
channel's id that is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from tests.doubles.http import serving_app


Json = dict[str, Any]

USER, PASSWORD = "penny", "secreto-de-ari"
PARAMETERS = {
    *("endpoint", "extension", "context", "priority", "label", "app", "appArgs", "callerId"),
    *("timeout", "channelId", "otherChannelId", "originator", "formats", "variables"),
}


class FakeAri:
    """What was asked, and a way to tell of it."""

    def __init__(self) -> None:
        self.url = ""
        self.placed: list[Json] = []
        self.channels: set[str] = set()
        self.hung_up: list[str] = []
        self.refuses = 0
        """HTTP status that the next channel is refused with."""
        self.listeners: list[web.WebSocketResponse] = []
        self._transports: list[Any] = []
        self._is_still = False

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._check])
        app.router.add_get("/ari/events", self._events)
        app.router.add_get("/ari/channels", self._list)
        app.router.add_post("/ari/channels", self._originate)
        app.router.add_delete("/ari/channels/{id}", self._hang_up)
        return app

    @web.middleware
    async def _check(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self._is_still:
            await asyncio.Event().wait()  # the kernel takes the connection, no one answers it
        if request.headers.get("Authorization") != aiohttp.encode_basic_auth(USER, PASSWORD):
            return web.json_response({"message": "Authentication required"}, status=401)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        assert request.query["app"]
        assert request.query["subscribeAll"] == "true"
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.listeners.append(socket)
        self._transports.append(request.transport)
        async for _ in socket:
            pass
        self.listeners.remove(socket)
        return socket

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response([{"id": each} for each in sorted(self.channels)])

    async def _originate(self, request: web.Request) -> web.Response:
        told = await request.json()
        unknown = set(told) - PARAMETERS
        if unknown or ("app" in told) == ("context" in told):
            return web.json_response({"message": "Invalid parameters"}, status=400)
        if self.refuses:
            return web.json_response({"error": "Allocation failed"}, status=self.refuses)
        if told["channelId"] in self.channels:
            return web.json_response({"message": "Channel with that ID exists"}, status=409)
        self.placed.append(told)
        self.channels.add(told["channelId"])
        return web.json_response({"id": told["channelId"], "state": "Down"})

    async def _hang_up(self, request: web.Request) -> web.Response:
        channel = request.match_info["id"]
        if channel not in self.channels:
            return web.json_response({"message": "Channel not found"}, status=404)
        self.hung_up.append(channel)
        return web.Response(status=204)

    def stand_still(self) -> None:
        """Read no more, as a stopped process: no ping is answered."""
        self._is_still = True
        for transport in self._transports:
            transport.pause_reading()

    async def tell(self, channel: str, state: str) -> None:
        """Its state has changed: Ringing, Up."""
        about = {"id": channel, "name": "PJSIP/fxo-1-00000001", "state": state}
        await self._send({"type": "ChannelStateChange", "channel": about})

    async def destroy(self, channel: str, cause: int) -> None:
        """It is over."""
        self.channels.discard(channel)
        about = {"id": channel, "state": "Down"}
        await self._send({"type": "ChannelDestroyed", "channel": about, "cause": cause})

    async def _send(self, event: Json) -> None:
        for socket in self.listeners:
            await socket.send_json(event)


@asynccontextmanager
async def running_ari() -> AsyncIterator[FakeAri]:
    ari = FakeAri()
    async with serving_app(ari.app()) as url:
        ari.url = url
        yield ari
