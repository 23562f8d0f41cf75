"""The dashboard's figures as one JSON object: the user's documents' names, and all behind them.

Read from the sums that are kept, never from the calls; what adds them up runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from penny.calls.database import Database
from penny.figures.days import Days, FigureQuery, Stretch
from penny.figures.sums import Kept, Range, add_up, read_rows
from penny.figures.tables import headlines, series, tables


Json = dict[str, Any]

TOP_TOPICS = 3
TABLES = (
    "figures", "series", "latency", "ways", "sentiment", "outcomes", "intents", "topics", "ends",
    "alerts", "rules", "cost",
)  # fmt: skip


class Dashboard:
    """Figures of the calls in one database.

    Args:
        wall_clock: Unix time in seconds.
    """

    def __init__(self, database: Database, wall_clock: Callable[[], float]) -> None:
        self._database = database
        self._wall_clock = wall_clock

    async def read(self, tenant: str | None, wanted: FigureQuery, zone: ZoneInfo) -> Json:
        """The figures that are asked for.

        Args:
            tenant: whose; None: everybody's, for the operator of the house.
            zone: in which today begins and ends.

        Raises:
            StoreUnavailable.
        """
        now = datetime.fromtimestamp(self._wall_clock(), UTC).astimezone(zone)
        days, today = wanted.days(now.date()), Days(now.date(), now.date())
        asked = [
            [*days.stretches(), *([days.hours(zone)] if days.grain == "hour" else [])],
            list(days.before.stretches()),
            list(today.stretches()),
            [_until_this_hour(now - timedelta(days=1), zone)],
        ]
        async with self._database.begin() as connection:
            rows = [await read_rows(connection, tenant, wanted, each) for each in asked]
        return await asyncio.to_thread(_write, rows, days, now.date(), zone)


def _until_this_hour(at: datetime, zone: ZoneInfo) -> Stretch:
    """The hours of a day until the one that ends with this moment's."""
    began = datetime.combine(at.date(), time(), zone).astimezone(UTC)
    return Stretch("hour", f"{began:%Y-%m-%dT%H}", f"{at.astimezone(UTC):%Y-%m-%dT%H}")


def _write(rows: list[list[Kept]], days: Days, today: date, zone: ZoneInfo) -> Json:
    found, before = (
        add_up(each, over, zone) for each, over in zip(rows[:2], (days, days.before), strict=True)
    )
    day = add_up(rows[2], Days(today, today), zone).total
    yesterday = Days(today - timedelta(days=1), today - timedelta(days=1))
    earlier = add_up(rows[3], yesterday, zone)
    so_far = sum(parts["calls"] for parts in earlier.by_point.values())
    figures = headlines(found.total, before.total)
    told = {each["name"]: each["value"] for each in figures}
    return {
        "total_calls_today": day["calls"],
        **{name: told[name] for name in (
            "avg_call_duration", "resolution_rate", "escalation_rate", "avg_sentiment",
        )},
        "top_topics": _top(found),
        "wer_improvement": None,
        "avg_latency": told["avg_latency"],
        "range": {
            "since": days.since.isoformat(),
            "until": days.until.isoformat(),
            "before": [days.before.since.isoformat(), days.before.until.isoformat()],
            "grain": days.grain,
            "timezone": zone.key,
            "today": today.isoformat(),
        },
        "yesterday_by_now": so_far,
        "figures": figures,
        "series": series(found),
        "tables": tables(found, before.total),
    }  # fmt: skip


def _top(found: Range) -> list[str]:
    counts = found.total.family("topic")
    return sorted(counts, key=lambda topic: (-counts[topic], topic))[:TOP_TOPICS]
