"""Reads sums of a range from the database and adds them up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.calls.parts import quantile
from penny.calls.tables import sums
from penny.figures.days import Days, FigureQuery, Grain, Stretch, local_hour


Kept = tuple[str, str, str, str, str]
"""A row: span, starts, mode, edge, parts."""


class Sum(Counter[str]):
    """Parts of any number of calls, added up."""

    def family(self, name: str) -> dict[str, int]:
        """What stands under each label of a family."""
        prefix = f"{name}:"
        return {
            part[len(prefix) :]: number for part, number in self.items() if part.startswith(prefix)
        }

    def quantile_ms(self, stage: str, share: float) -> int | None:
        """Of a stage of turns, within ``parts.ERROR``."""
        counts = {int(bucket): n for bucket, n in self.family(f"ms:{stage}").items()}
        ms = quantile(counts, share)
        return None if ms is None else round(ms)

    def over(self, part: str, base: str, scale: float = 1.0) -> float | None:
        """``part`` for each of ``base``; None where there is none."""
        return self[part] / self[base] / scale if self[base] else None


@dataclass(slots=True)
class Range:
    """Sums over a range: of all of it, by mode and edge, and by the moments of its series."""

    total: Sum = field(default_factory=Sum)
    by_way: dict[tuple[str, str], Sum] = field(default_factory=dict)
    by_point: dict[str, Sum] = field(default_factory=dict)


async def read_rows(
    connection: AsyncConnection,
    tenant: str | None,
    wanted: FigureQuery,
    stretches: Iterable[Stretch],
) -> list[Kept]:
    """The sums of these stretches.

    Args:
        tenant: whose; None: everybody's, or those of the tenant that is asked for.
    """
    rows: list[Kept] = []
    whose = tenant if tenant is not None else wanted.tenant
    for stretch in stretches:
        query = select(sums.c.span, sums.c.starts, sums.c.mode, sums.c.edge, sums.c.parts).where(
            sums.c.span == stretch.span,
            sums.c.starts.between(stretch.first, stretch.last),
            sums.c.is_test == wanted.test,
        )
        if whose is not None:
            query = query.where(sums.c.tenant == whose)
        for name in ("mode", "edge"):
            if (value := getattr(wanted, name)) is not None:
                query = query.where(sums.c[name] == value)
        rows += [tuple(row) for row in await connection.execute(query)]
    return rows


def add_up(rows: Iterable[Kept], days: Days, zone: ZoneInfo) -> Range:
    """The sums of a range. Pure; takes a tenth of a second for thousands of rows: not for the loop.

    Args:
        rows: of ``days``; those by hour are for the series alone.
    """
    found: dict[tuple[bool, str, str, str], Sum] = {}
    for span, starts, mode, edge, parts in rows:
        point = point_of(starts, span, days.grain, zone)  # type: ignore[arg-type]  # a Grain
        key = (span == "hour", point, mode, edge)
        found.setdefault(key, Sum()).update(json.loads(parts))
    made = Range(by_point={point: Sum() for point in days.points(zone)})
    for (is_hour, point, mode, edge), some in found.items():
        if is_hour == (days.grain == "hour") and point in made.by_point:
            made.by_point[point].update(some)
        if not is_hour:
            made.by_way.setdefault((mode, edge), Sum()).update(some)
    for some in made.by_way.values():
        made.total.update(some)
    return made


def point_of(starts: str, span: Grain, grain: Grain, zone: ZoneInfo) -> str:
    """The moment of a series that a row of sums belongs to."""
    if span == "hour":
        return local_hour(datetime.strptime(starts, "%Y-%m-%dT%H").replace(tzinfo=UTC), zone)
    return starts[:7] if grain == "month" else starts
