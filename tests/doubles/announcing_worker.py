"""A worker process without engines: it announces its port and accepts sockets that say nothing.

Run it as ``python -m tests.doubles.announcing_worker``. With TEST_BROKEN_PROFILE in its
environment it ends at once when it is started with that profile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys

from aiohttp import web


async def listen(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        pass
    return socket


async def serve(profile: str | None) -> None:
    app = web.Application()
    app.router.add_get("/v1/realtime", listen)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    told = {"ready": True, "port": runner.addresses[0][1], "info": {"profile": profile}}
    print(json.dumps(told), flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("--host", "--port", "--config", "--profile"):
        parser.add_argument(option)
    parser.add_argument("--announce", action="store_true")
    given = parser.parse_args()
    if given.profile and given.profile == os.environ.get("TEST_BROKEN_PROFILE"):
        sys.exit(3)
    asyncio.run(serve(given.profile))
