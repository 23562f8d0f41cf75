"""10,000 events that wait: how fast they are delivered, beside a bare loop of the same HTTP client.

    python -m tests.bench.webhooks [--events 10000] [--places 16]

The receiver is a process of its own and answers 204 at once. Both send it the same bodies, as many
at a time; only the outbox, the signatures and the log are between.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from penny.calls.database import Database
from penny.webhooks.deliverer import Deliverer
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import Event
from penny.webhooks.outbox import Outbox
from penny.webhooks.sample import make_sample
from penny.webhooks.secrets import make_secret
from penny.webhooks.sender import Sender
from penny.webhooks.signing import sign, write_body


LOOK_S = 0.25
"""Counting what waits is work for the database too."""


async def _receive() -> None:
    """The receiver: tells its port on stdout, and answers until stdin ends."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


@asynccontextmanager
async def _receiver() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.webhooks", "--receive",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    port = int(await process.stdout.readline())
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.stdin.close()
        await process.wait()


async def _bare(told: list[Event], endpoint: Endpoint, places: int) -> float:
    """Seconds that the client alone takes."""
    sender = Sender([endpoint.url], time.time)
    waiting = iter([(each.id, write_body(each, endpoint)) for each in told])
    headers = sign("msg_" + "0" * 32, b"{}", endpoint, time.time())

    async def send() -> None:
        for _id, body in waiting:
            await sender.post(endpoint.url, body, headers)

    began_s = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(places)))
    took_s = time.perf_counter() - began_s
    await sender.aclose()
    return took_s


async def _delivered(told: list[Event], endpoint: Endpoint, folder: Path) -> tuple[float, float]:
    """Seconds until all of it is written down as delivered, and the most that one waited."""
    outbox = Outbox(Database(f"sqlite:///{folder / 'calls.sqlite'}"), {"crm": endpoint})
    for at in range(0, len(told), 500):
        await outbox.add(told[at : at + 500])
    sender = Sender([endpoint.url], time.time)
    clock = asyncio.get_running_loop().time
    deliverer = Deliverer(outbox, sender, clock, time.time, keep_s=1e9, overdue_s=1e9)
    began_s, oldest_s = time.perf_counter(), 0.0
    await deliverer.start()
    looks = 0
    while (backlog := (await outbox.backlog())["crm"]).waiting:
        oldest_s = time.perf_counter() - began_s
        if looks % 4 == 0:
            print(f"  {backlog.waiting:6} wait, the oldest for {oldest_s:5.1f} s", flush=True)
        looks += 1
        await asyncio.sleep(LOOK_S)
    took_s = time.perf_counter() - began_s
    await deliverer.aclose()
    await sender.aclose()
    return took_s, oldest_s


async def _measure(count: int, places: int) -> None:
    now = datetime.now(UTC)
    told = [make_sample("call.ended", now) for _ in range(count)]
    async with _receiver() as url:
        endpoint = Endpoint("crm", url, (make_secret(),), concurrency=places)
        bare_s = await _bare(told, endpoint, places)
        with tempfile.TemporaryDirectory() as folder:
            took_s, oldest_s = await _delivered(told, endpoint, Path(folder))
    print(f"{count} events, {places} at a time")
    print(f"bare client: {bare_s:6.1f} s, {count / bare_s:7.0f} a second")
    print(f"outbox:      {took_s:6.1f} s, {count / took_s:7.0f} a second; oldest {oldest_s:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--places", type=int, default=16)
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    asyncio.run(_receive() if given.receive else _measure(given.events, given.places))


if __name__ == "__main__":
    main()
