"""Calls that are told to receivers which fail in every way, by a gateway that is killed again and
again: ``python -m tests.faults.webhook_run --events 1000``.

The process that is killed keeps calls and delivers their events; its clock runs 200 times as fast,
so that retries of hours take seconds. The receivers are this process', and check every signature.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from sqlalchemy import select

from penny.calls.database import Database
from penny.calls.store import CallStore
from penny.calls.tables import deliveries, events
from penny.webhooks.deliverer import Deliverer
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.live import RecordTelling
from penny.webhooks.outbox import Outbox
from penny.webhooks.sender import Sender
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.penny.calls.calls import a_call


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FASTER = 200.0
TIMEOUT_S = 0.4
LEASE_S = 2.0
A_CALL = 4
"""Events of each call: it began, a turn, it ended, its analysis."""
FAILS_EVERY = 7
"""One event of so many fails twice at a receiver that fails."""
WAYS = ("good", "500", "hang", "reset", "drip", "redirect", "429", "gone")
LIMIT_S = 400.0


@dataclass
class Result:
    """What came of a run."""

    events: int = 0
    kills: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    twice: dict[str, int] = field(default_factory=dict)
    foreign: dict[str, int] = field(default_factory=dict)
    gone: str = ""


async def deliver(folder: Path, count: int, urls: dict[str, str]) -> None:
    """The process that is killed: keeps calls, tells of them, for ever."""
    began_s = time.time()

    def fast_clock() -> float:
        return began_s + (time.time() - began_s) * FASTER

    base_s = float((folder / "clock").read_text()) if (folder / "clock").exists() else began_s

    def wall_clock() -> float:
        return base_s + fast_clock() - began_s

    store = CallStore(f"sqlite:///{folder / 'calls.sqlite'}")
    receivers = {name: Endpoint(name, url, (SECRET,), concurrency=8) for name, url in urls.items()}
    outbox = Outbox(store.database, receivers)
    sender = Sender(urls.values(), wall_clock, timeout_s=TIMEOUT_S)
    deliverer = Deliverer(
        outbox, sender, wall_clock, wall_clock, keep_s=1e12, overdue_s=1e12,
        lease_s=LEASE_S * FASTER, poll_s=0.05,
    )  # fmt: skip
    await store.start()
    await deliverer.start()
    for number in range(count // A_CALL):
        call = a_call(number, "default", modes=["EXTERNAL"])
        await store.put(call, partial(RecordTelling(outbox).kept, call=call))
        print(number, flush=True)
    while True:
        (folder / "clock.new").write_text(str(wall_clock()))
        (folder / "clock.new").replace(folder / "clock")
        await asyncio.sleep(0.05)


def failing(way: str) -> Any:
    """How a receiver fails: the first two attempts of one event in ``FAILS_EVERY``."""
    tries: Counter[str] = Counter()

    async def fail(request: web.Request) -> web.StreamResponse | None:
        name = request.headers["webhook-id"]
        tries[name] += 1
        if way == "gone" and len(tries) > 20:
            return web.Response(status=410)
        if way in ("good", "gone") or int(name[-6:], 16) % FAILS_EVERY or tries[name] > 2:
            return None
        match way:
            case "hang":
                await asyncio.sleep(30)
            case "reset":
                assert request.transport is not None
                request.transport.abort()
            case "drip":  # headers that never end
                while request.transport is not None:
                    request.transport.write(b"H")  # type: ignore[attr-defined]
                    await asyncio.sleep(0.1)
            case "redirect":
                return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})
            case "429":
                return web.Response(status=429, headers={"Retry-After": "20"})
        return web.Response(status=500, text="out of order")

    return fail


async def run(folder: Path, count: int, kills: int, seed: int = 1) -> Result:
    """Deliver ``count`` events of calls through a process that is killed ``kills`` times."""
    chance, result, began_s = random.Random(seed), Result(), time.monotonic()
    async with AsyncExitStack() as stack:
        receivers = {}
        for way in WAYS:
            receiver = WebhookReceiver(SECRET, failing(way))
            receiver.any_time = True
            receivers[way] = await stack.enter_async_context(receiver)
        urls = [f"{way}={each.url}" for way, each in receivers.items()]
        while result.kills <= kills:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.faults.webhook_run", "--deliver", str(folder),
                "--events", str(count), *urls, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stdout is not None
            await process.stdout.readline()
            try:
                if result.kills < kills:
                    drain = asyncio.create_task(process.stdout.read())
                    await asyncio.sleep(chance.uniform(0.05, 1.2))
                    process.kill()
                    await drain
                else:
                    drain = asyncio.create_task(process.stdout.read())
                    await _until_done(folder, count, receivers, result, began_s)
                    process.kill()
                    await drain
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
            result.kills += 1
        result.kills -= 1
    await _judge(folder, receivers, result)
    return result


async def _until_done(
    folder: Path, count: int, receivers: dict[str, WebhookReceiver], result: Result, began_s: float
) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            for way, receiver in receivers.items():
                if way not in result.seconds and len(set(receiver.ids)) >= count:
                    result.seconds[way] = round(time.monotonic() - began_s, 1)
            waiting = await _waiting(folder)
            if len(result.seconds) == len(WAYS) - 1 and not waiting - {"gone"}:
                return
            await asyncio.sleep(0.2)


async def _waiting(folder: Path) -> set[str]:
    database = Database(f"sqlite:///{folder / 'calls.sqlite'}")
    async with database.begin() as connection:
        wanted = select(deliveries.c.endpoint).where(deliveries.c.state == "waiting").distinct()
        found = set((await connection.execute(wanted)).scalars())
    await database.aclose()
    return found


async def _judge(folder: Path, receivers: dict[str, WebhookReceiver], result: Result) -> None:
    database = Database(f"sqlite:///{folder / 'calls.sqlite'}")
    async with database.begin() as connection:
        rows = (await connection.execute(select(events.c.id, events.c.type))).all()
    outbox = Outbox(database, {"gone": Endpoint("gone", "", ("",))})
    result.gone = (await outbox.backlog())["gone"].reason
    await database.aclose()
    told = {row.id for row in rows if row.type != "endpoint.disabled"}
    every = {row.id for row in rows}
    result.events = len(told)
    for way, receiver in receivers.items():
        if way != "gone":
            result.lost[way] = len(told - set(receiver.ids))
            result.twice[way] = len(receiver.ids) - len(set(receiver.ids))
            result.foreign[way] = len(set(receiver.ids) - every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--deliver", type=Path)
    parser.add_argument("urls", nargs="*")
    given = parser.parse_args()
    if given.deliver is not None:
        urls = dict(each.split("=", 1) for each in given.urls)
        asyncio.run(deliver(given.deliver, given.events, urls))
        return
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(run(Path(folder), given.events, given.kills))
    print(f"{result.events} events, killed {result.kills} times; 410 made it {result.gone!r}")
    print("receiver   seconds  lost  twice  foreign")
    for way in result.lost:
        took = result.seconds.get(way, float("nan"))
        print(
            f"{way:10} {took:7} {result.lost[way]:5} {result.twice[way]:6} {result.foreign[way]:8}"
        )
    sys.exit(1 if any(result.lost.values()) or any(result.foreign.values()) else 0)


if __name__ == "__main__":
    main()
