"""The floor on aiohttp, Penny's socket library: a plain echo, and a relay that only relays.

Client leg raw PCM16, upstream leg Realtime events; no session, no metering, no pacing. Run as
``python -m tests.bench.relay.floor_aiohttp PORT [UPSTREAM_URL]``; without an upstream it echoes.
"""

from __future__ import annotations

import asyncio
import sys
from base64 import b64decode, b64encode

import aiohttp
import orjson
import uvloop
from aiohttp import WSMsgType, web


Socket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


async def echo(request: web.Request) -> web.WebSocketResponse:
    client = web.WebSocketResponse(compress=False, max_msg_size=0)
    await client.prepare(request)
    await client.send_str('{"type":"session_started"}')
    async for message in client:
        if message.type is WSMsgType.BINARY:
            await client.send_bytes(message.data)
    return client


async def relay(request: web.Request) -> web.WebSocketResponse:
    client = web.WebSocketResponse(compress=False, max_msg_size=0)
    await client.prepare(request)
    await client.receive()  # session_start, as Penny's clients send it
    http: aiohttp.ClientSession = request.app[HTTP]
    async with http.ws_connect(request.app[UPSTREAM], compress=0, max_msg_size=0) as upstream:
        await client.send_str('{"type":"session_started"}')
        down = asyncio.create_task(carry_down(upstream, client))
        async for message in client:
            if message.type is WSMsgType.BINARY:
                audio = b64encode(message.data).decode("ascii")
                event = {"type": "input_audio_buffer.append", "audio": audio}
                await upstream.send_str(orjson.dumps(event).decode())
        down.cancel()
    return client


async def relay_events(request: web.Request) -> web.WebSocketResponse:
    """``relay`` for Realtime clients: each event is looked at and passed on as it came."""
    client = web.WebSocketResponse(compress=False, max_msg_size=0)
    await client.prepare(request)
    http: aiohttp.ClientSession = request.app[HTTP]
    async with http.ws_connect(request.app[UPSTREAM], compress=0, max_msg_size=0) as upstream:
        down = asyncio.create_task(carry_events(upstream, client))
        await carry_events(client, upstream)
        down.cancel()
    return client


async def carry_events(source: Socket, sink: Socket) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT and orjson.loads(message.data)["type"]:
            await sink.send_str(message.data)


async def carry_down(
    upstream: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse
) -> None:
    async for message in upstream:
        if message.type is WSMsgType.TEXT:
            event = orjson.loads(message.data)
            if event["type"] == "response.output_audio.delta":
                await client.send_bytes(b64decode(event["delta"]))


HTTP = web.AppKey("http", aiohttp.ClientSession)
UPSTREAM = web.AppKey("upstream", str)


async def make_app(upstream: str | None) -> web.Application:
    app = web.Application()
    app[HTTP] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    app[UPSTREAM] = upstream or ""
    app.router.add_get("/ws", relay if upstream else echo)
    app.router.add_get("/v1/realtime", relay_events)
    return app


def main() -> None:
    uvloop.install()
    upstream = sys.argv[2] if len(sys.argv) > 2 else None
    port = int(sys.argv[1])
    web.run_app(make_app(upstream), host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main()
