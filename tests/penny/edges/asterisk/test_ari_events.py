"""The events of Asterisk's REST interface, from servers that answer as none should."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from penny.edges.asterisk.ari import Ari
from tests.doubles.http import serving


pytestmark = pytest.mark.socket

Json = dict[str, Any]


async def test_an_event_that_is_no_json_ends_neither_the_next_ones_nor_goes_unseen() -> None:
    opened, got = 0, asyncio.Event()

    async def events(request: web.Request) -> web.WebSocketResponse:
        nonlocal opened
        opened += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("{" if opened == 1 else '{"type": "Dial"}')
        async for _ in socket:
            pass
        return socket

    async def take(event: Json) -> None:
        assert event == {"type": "Dial"}
        got.set()

    changes: list[bool] = []
    async with serving({"GET /ari/events": events}) as url:
        ari = Ari(url, "penny", "secret", take, changes.append)
        with capture_logs() as logs:
            running = asyncio.create_task(ari.run())
            async with asyncio.timeout(15):
                await got.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ari.aclose()
    assert changes == [True, False, True]
    told = [each["reason"] for each in logs if each["event"] == "asterisk_events_failed"]
    assert told == ["JSONDecodeError"]


async def test_a_wrong_password_is_told_once() -> None:
    asked, twice = 0, asyncio.Event()

    async def events(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 3:
            twice.set()
        return web.Response(status=401)

    async def take(event: Json) -> None:
        raise AssertionError(event)

    async with serving({"GET /ari/events": events}) as url:
        ari = Ari(url, "penny", "wrong", take, lambda _there: None)
        with capture_logs() as logs:
            running = asyncio.create_task(ari.run())
            async with asyncio.timeout(15):
                await twice.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ari.aclose()
    told = [each["reason"] for each in logs if each["event"] == "asterisk_events_failed"]
    assert told == ["HTTP 401"]
