"""The dashboard's figures are those of the calls, and each leads to the calls behind it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from penny.calls.query import CallQuery
from penny.calls.store import CallStore
from penny.figures.alerts import find_alerts
from penny.figures.dashboard import Dashboard
from penny.figures.days import FigureQuery
from tests.penny.calls.calls import a_call, a_turn
from tests.penny.calls.test_sums import analyse, random_call


pytestmark = pytest.mark.process

Json = dict[str, Any]
MADRID = ZoneInfo("Europe/Madrid")
NOON = datetime(2026, 10, 31, 11, tzinfo=UTC)


@pytest.fixture
async def store(url: str) -> AsyncIterator[CallStore]:
    store = CallStore(url)
    yield store
    await store.aclose()


def dashboard_of(store: CallStore) -> Dashboard:
    return Dashboard(store.database, NOON.timestamp)


async def read(store: CallStore, tenant: str | None, **wanted: Any) -> Json:
    return await dashboard_of(store).read(tenant, FigureQuery.model_validate(wanted), MADRID)


def figure(found: Json, name: str) -> Json:
    return next(each for each in found["figures"] if each["name"] == name)


async def test_every_figure_leads_to_the_calls_it_counts(store: CallStore) -> None:
    tenant, chance = f"t{uuid4().hex[:12]}", random.Random(5)
    for number in range(40):
        call = random_call(chance, number, tenant)
        await store.put(call)
        if number % 3:
            await analyse(store, chance, call.id)
    ways = (
        {},
        {"mode": "EXTERNAL"},
        {"edge": "phone"},
        {"test": True},
        {"since": "2026-09-01"},
        {"since": "2026-10-10", "until": "2026-10-26"},
        {"since": "2026-05-20", "until": "2026-10-28"},
    )
    for way in ways:
        found = await read(store, tenant, **{"since": "2026-10-24", **way})
        limits = {name: found["range"][name] for name in ("since", "until")}
        query = {**limits, "test": False, **{k: v for k, v in way.items() if k not in limits}}

        async def count(behind: str, query: Json = query) -> int:
            wanted = CallQuery.model_validate({**query, "figure": behind}).in_zone(MADRID)
            return await store.count_found(tenant, wanted)

        calls = figure(found, "calls")["value"]
        assert calls == await count("calls") == sum(point["calls"] for point in found["series"])
        for name in ("outcomes", "sentiment", "topics", "intents", "ends", "alerts"):
            for row in found["tables"][name]:
                assert row["n"] == await count(row["figure"]), (way, row)
        for name in ("answered", "resolution_rate", "escalation_rate", "alerted", "analysed"):
            each = figure(found, name)
            assert each["n"] == await count(each["behind"]), (way, name)
        for name in ("cost", "avg_sentiment", "resolution_rate"):
            each = figure(found, name)
            assert each["unknown"] == await count(each["behind_unknown"]), (way, name)


async def test_the_documents_names_and_what_they_are(store: CallStore) -> None:
    tenant = f"t{uuid4().hex[:12]}"
    outcomes = ("resolved", "resolved", "transferred", None)
    for number, outcome in enumerate(outcomes):
        call = a_call(number, tenant, turns=[a_turn(), a_turn(number=2)])
        call.started_at = NOON - timedelta(minutes=10 + number)
        call.ended_at = call.started_at + timedelta(seconds=100 + number)
        call.metrics |= {"outcome": outcome, "topics": ["facturación", f"tema {number}"]}
        call.metrics["final_sentiment"] = "positive" if outcome else None
        await store.put(call)
    for number, minutes in ((8, -5), (9, 65)):  # of yesterday, one before this hour ended
        at = NOON - timedelta(days=1) + timedelta(minutes=minutes)
        await store.put(a_call(number, tenant, started_at=at, ended_at=at))
    found = await read(store, tenant, since="2026-10-31", until="2026-10-31")
    assert list(found)[:8] == [
        "total_calls_today",
        "avg_call_duration",
        "resolution_rate",
        "escalation_rate",
        "avg_sentiment",
        "top_topics",
        "wer_improvement",
        "avg_latency",
    ]
    assert found["total_calls_today"] == 4
    assert found["avg_call_duration"] == 101.5
    assert found["resolution_rate"] == 0.6667
    assert found["escalation_rate"] == 0.25
    assert found["avg_sentiment"] == 0.5
    assert found["top_topics"] == ["facturación", "tema 0", "tema 1"]
    assert found["avg_latency"] == 450
    assert found["yesterday_by_now"] == 1
    assert len(found["series"]) == 24
    assert figure(found, "calls")["previous"] == 2
    assert figure(found, "cost")["value"] is None
    assert figure(found, "cost")["unknown"] == 4
    assert figure(found, "analysis_cost")["value"] is None


async def test_what_analysis_costs_is_a_line_of_its_own(store: CallStore) -> None:
    tenant = f"t{uuid4().hex[:12]}"
    told = {"model": {"engine": "m", "usage": {"input": 9, "output": 9, "usd": 0.0021}}}
    for number, derived in enumerate((told, told, {"model": None}, {})):
        cost = {"total_usd": 0.05, "usd_by": {}}
        await store.put(a_call(number, tenant, derived=derived, cost=cost))
    found = await read(store, tenant, since="2026-11-30", until="2026-11-30")
    assert figure(found, "analysis_cost")["value"] == 0.0042
    assert figure(found, "cost")["value"] == 0.2


async def test_nothing_is_no_zero(store: CallStore) -> None:
    found = await read(store, f"t{uuid4().hex[:12]}")
    assert found["total_calls_today"] == 0
    assert [found[name] for name in ("resolution_rate", "avg_latency", "avg_sentiment")] == [
        None
    ] * 3
    assert found["top_topics"] == []
    assert all(rows == [] for rows in found["tables"].values())


@pytest.mark.parametrize("day", ["2026-10-25", "2026-03-29"])
async def test_the_hours_of_a_change_over_day_add_up(store: CallStore, day: str) -> None:
    tenant = f"t{uuid4().hex[:12]}"
    began = datetime.combine(date.fromisoformat(day), datetime.min.time(), MADRID).astimezone(UTC)
    for hour in range(-2, 28):
        at = began + timedelta(hours=hour)
        await store.put(a_call(hour + 5, tenant, started_at=at, ended_at=at))
    found = await read(store, tenant, since=day, until=day)
    hours = 25 if day == "2026-10-25" else 23
    assert [point["calls"] for point in found["series"]] == [1] * hours
    assert figure(found, "calls")["value"] == hours


async def test_alerts_are_the_newest_calls_that_raised_one(store: CallStore) -> None:
    tenant, alert = f"t{uuid4().hex[:12]}", {"kind": "frustration", "reason": "lo repite"}
    for number in range(12):
        raised = {"alerts": [alert, alert]} if number % 2 or number == 0 else {}
        await store.put(a_call(number, tenant, derived=raised, is_test=number == 11))
    found = await find_alerts(store.database, tenant)
    assert [row["id"].rpartition("_")[2] for row in found] == ["9", "7", "5", "3", "1"]
    assert found[0]["kinds"] == ["frustration"]
    assert found[0]["reason"] == "lo repite"
