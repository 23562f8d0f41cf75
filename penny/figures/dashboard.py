"""The dashboard's figures as one JSON object: the user's documents' names, and all behind them.

Read from the sums that are kept, never from the calls; what adds them up runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from penny.calls.database import Database
from penny.figures.days import Days, FigureQuery, Stretch
from penny.figures.sums import Kept, Range, add_up, count_in, read_parts, read_rows
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
        days, day = wanted.days(now.date()), now.date().isoformat()
        today = Stretch("day", day, day)
        so_far = _until_this_hour(now - timedelta(days=1), zone)
        asked = [*days.whole(), *days.series(zone), *days.before.whole(), today, so_far]
        async with self._database.begin() as connection:
            rows = await read_rows(connection, tenant, wanted, asked)
        return await asyncio.to_thread(_write, rows, days, today, so_far, zone)


def _until_this_hour(at: datetime, zone: ZoneInfo) -> Stretch:
    """The hours of a day until the one that ends with this moment's."""
    began = datetime.combine(at.date(), time(), zone).astimezone(UTC)
    return Stretch("hour", f"{began:%Y-%m-%dT%H}", f"{at.astimezone(UTC):%Y-%m-%dT%H}")


def _write(kept: list[Kept], days: Days, today: Stretch, so_far: Stretch, zone: ZoneInfo) -> Json:
    rows = read_parts(kept)
    found, before = add_up(rows, days, zone), add_up(rows, days.before)
    figures = headlines(found.total, before.total)
    told = {each["name"]: each["value"] for each in figures}
    return {
        "total_calls_today": count_in(rows, today),
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
            "today": today.first,
        },
        "yesterday_by_now": count_in(rows, so_far),
        "figures": figures,
        "series": series(found),
        "tables": tables(found, before.total),
    }  # fmt: skip


def _top(found: Range) -> list[str]:
    counts = found.total.family("topic")
    return sorted(counts, key=lambda topic: (-counts[topic], topic))[:TOP_TOPICS]
