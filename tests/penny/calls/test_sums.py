"""Sums kept of calls are those of a count of all that is kept, whatever happened to them."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from penny.calls.query import CallQuery
from penny.calls.record import Call
from penny.calls.store import CallStore
from penny.calls.sums import Cell, count_anew, count_calls
from penny.calls.tables import calls, counted, sums
from tests.penny.calls.calls import a_call, a_turn


pytestmark = pytest.mark.process

MADRID = ZoneInfo("Europe/Madrid")
OUTCOMES = ("resolved", "transferred", "abandoned", None)
SENTIMENTS = ("very_negative", "neutral", "positive", None)
TOPICS = (["facturación", "Alta"], ["alta"], ['"rara":'], None)


async def kept_sums(store: CallStore, tenant: str) -> dict[Cell, dict[str, int]]:
    async with store.database.begin() as connection:
        rows = await connection.execute(select(sums).where(sums.c.tenant == tenant))
        found = {Cell(*row[:-1]): json.loads(row.parts) for row in rows}
    return {cell: parts for cell, parts in found.items() if parts}


async def counted_whole(store: CallStore, tenant: str) -> dict[Cell, dict[str, int]]:
    """What the kept calls come to, found without the sums: each call's parts by hand."""
    totals: dict[Cell, Counter[str]] = {}
    async for call in store.stream(tenant, CallQuery()):
        for span, form, zone in (("hour", "%Y-%m-%dT%H", UTC), ("day", "%Y-%m-%d", None)):
            at = call.started_at.astimezone(zone or MADRID)
            cell = Cell(tenant, span, at.strftime(form), call.modes[-1], call.edge, call.is_test)
            totals.setdefault(cell, Counter()).update(by_hand(call))
    return {cell: dict(total) for cell, total in totals.items()}


def by_hand(call: Call) -> Counter[str]:
    """Some of what a call adds, written down another way."""
    if call.status == "failed":
        return Counter(calls=1, unanswered=1)
    took = round((call.ended_at - call.started_at).total_seconds() * 1000)
    metrics = call.metrics
    parts = Counter(calls=1, answered=1, duration_ms=took, turns=metrics["total_turns"])
    parts[f"outcome:{metrics['outcome'] or 'unknown'}"] += 1
    parts[f"sentiment:{metrics['final_sentiment'] or 'unknown'}"] += 1
    for topic in metrics["topics"] or ():
        parts[f"topic:{topic}"] += 1
    if call.cost.get("total_usd") is not None:
        parts["cost_uusd"] += round(call.cost["total_usd"] * 1e6)
    parts["took_ms:total"] += sum(turn.latency_ms["first_audio"] or 0 for turn in call.turns)
    return parts


def random_call(chance: random.Random, number: int, tenant: str) -> Call:
    latency = {"transcript": 200, "first_token": 300, "first_audio": chance.randrange(1, 5000)}
    call = a_call(
        number,
        tenant,
        modes=[chance.choice(("EXTERNAL", "SELF_HOSTED"))],
        edge=chance.choice(("socket", "phone")),
        status=chance.choice(("completed", "completed", "failed")),
        is_test=chance.random() < 0.2,
        cost={"total_usd": chance.choice((None, 0.0123456)), "usd_by": {}},
        turns=[a_turn(number=n + 1, latency_ms=latency) for n in range(chance.randrange(3))],
    )
    # Through the night in which Madrid's clocks go back, and over the end of a month.
    call.started_at = datetime(2026, 10, 24, 20, tzinfo=UTC) + timedelta(
        minutes=chance.randrange(8 * 24 * 60)
    )
    call.ended_at = call.started_at + timedelta(milliseconds=chance.randrange(1, 300_000))
    return call


async def analyse(store: CallStore, chance: random.Random, call_id: str) -> None:
    found = {
        "outcome": chance.choice(OUTCOMES),
        "sentiment": chance.choice(SENTIMENTS),
        "topics": chance.choice(TOPICS),
    }
    alerts = [{"kind": "frustration"}] * chance.randrange(3)
    metrics = {
        "outcome": found["outcome"],
        "final_sentiment": found["sentiment"],
        "topics": found["topics"],
    }
    columns = {**found, "processed": True, "alert": bool(alerts)}
    async with store.database.begin() as connection:
        kept = select(calls.c.record).where(calls.c.id == call_id)
        record = (await connection.execute(kept)).scalar_one()
        record |= {"derived": {"alerts": alerts}, "metrics": {**record["metrics"], **metrics}}
        changed = update(calls).where(calls.c.id == call_id)
        await connection.execute(changed.values(record=record, **columns))
        await count_calls(connection, [call_id], store.zone_of)


@pytest.mark.parametrize("seed", range(3))
async def test_sums_are_those_of_a_whole_count_after_any_history(url: str, seed: int) -> None:
    chance, tenant = random.Random(seed), f"t{uuid4().hex[:12]}"
    store = CallStore(url)
    alive: list[Call] = []
    for number in range(60):
        what = chance.random()
        if what < 0.5 or not alive:
            alive.append(random_call(chance, number, tenant))
            assert await store.put(alive[-1])
        elif what < 0.6:
            assert not await store.put(chance.choice(alive))  # brought again
        elif what < 0.85:
            await analyse(store, chance, chance.choice(alive).id)
        else:
            gone = [call.id for call in alive if chance.random() < 0.2]
            await store.delete(tenant, gone, 1)
            await store.purge(gone)
            alive = [call for call in alive if call.id not in gone]
    await check_sums(store, tenant)
    await store.aclose()


async def check_sums(store: CallStore, tenant: str) -> None:
    found, wanted = await kept_sums(store, tenant), await counted_whole(store, tenant)
    assert {cell for cell in found if cell.span != "month"} == set(wanted)
    for cell, parts in wanted.items():
        assert {name: found[cell].get(name, 0) for name in parts} == parts
    totals = {}
    for span in ("hour", "day", "month"):
        totals[span] = Counter()
        for cell, parts in found.items():
            totals[span].update(parts if cell.span == span else {})
    assert totals["hour"] == totals["day"] == totals["month"]
    everything = await store.count_found(tenant, CallQuery())
    assert totals["day"]["calls"] == everything
    for name in totals["day"]:
        if name.partition(":")[0] not in ("duration_ms", "ms", "took_ms", "timed", "turns"):
            behind = await store.count_found(tenant, CallQuery(figure=name))
            assert behind == totals["day"][name] or name.startswith(("cost_uusd", "sentiment_th"))


async def test_two_analyses_of_one_call_at_once_count_it_once(url: str) -> None:
    tenant, store, other = f"t{uuid4().hex[:12]}", CallStore(url), CallStore(url)
    calls = [a_call(number, tenant) for number in range(4)]
    for call in calls:
        await store.put(call)
    chance = random.Random(1)
    await asyncio.gather(
        *(analyse(each, chance, call.id) for call in calls for each in (store, other))
    )
    await check_sums(store, tenant)
    await other.aclose()
    await store.aclose()


async def test_what_another_version_or_zone_counted_is_counted_anew(url: str) -> None:
    tenant = f"t{uuid4().hex[:12]}"
    store = CallStore(url, lambda _tenant: "America/Lima")
    for number in range(5):
        await store.put(a_call(number * 300, tenant))
    async with store.database.begin() as connection:
        mine = counted.c.tenant == tenant
        await connection.execute(
            update(counted).where(mine, counted.c.call_id.contains("_0")).values(version=0)
        )
    while await count_anew(store.database, lambda _tenant: "Europe/Madrid", 2):
        pass
    await check_sums(store, tenant)
    async with store.database.begin() as connection:
        zones = await connection.execute(select(counted.c.zone).where(mine))
        assert set(zones.scalars()) == {"Europe/Madrid"}
    await store.aclose()


async def test_names_are_found_letter_for_letter(url: str) -> None:
    tenant, store = f"t{uuid4().hex[:12]}", CallStore(url)
    for number, topic in enumerate(("alta", "Alta", "facturación", '"rara":', "100%")):
        call = a_call(number, tenant)
        call.metrics["topics"] = [topic]
        await store.put(call)
        assert await store.count_found(tenant, CallQuery(figure=f"topic:{topic}")) == 1
    assert await store.count_found(tenant, CallQuery(figure="topic:alta")) == 1
    assert await store.count_found(tenant, CallQuery(figure="topic:1000")) == 0
    assert await store.count_found(tenant, CallQuery(figure="slow:total:300")) == 0
    assert await store.count_found(tenant, CallQuery(figure="slow:total:100")) == 5
    assert await store.count_found(tenant, CallQuery(figure="slow:total:x")) == 0
    await store.aclose()
