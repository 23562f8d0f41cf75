"""Reads sums of a range from the database and adds them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.calls.parts import quantile
from penny.calls.tables import sums
from penny.figures.days import Days, FigureQuery, Grain, Stretch, local_hour


Kept = tuple[str, str, str, str, str]
"""A row: span, starts, mode, edge, parts."""
Parted = tuple[str, str, str, str, dict[str, int]]


class Sum(Counter[str]):
    """Parts of any number of calls, added up."""

    def add(self, parts: Mapping[str, int], sign: int = 1) -> None:
        """``sign`` -1 takes them off."""
        if self or sign < 0:
            (self.update if sign > 0 else self.subtract)(parts)
        else:
            dict.update(self, parts)

    def family(self, name: str) -> dict[str, int]:
        """What stands under each label of a family."""
        prefix = f"{name}:"
        return {
            part[len(prefix) :]: number
            for part, number in self.items()
            if number and part.startswith(prefix)
        }

    def quantiles_ms(self, stage: str, shares: Iterable[float]) -> list[int | None]:
        """Of a stage of turns, within ``parts.ERROR``."""
        counts = {int(bucket): n for bucket, n in self.family(f"ms:{stage}").items()}
        return [None if (ms := quantile(counts, each)) is None else round(ms) for each in shares]

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
    """The sums of these stretches, each once. One statement, so that all are of one moment: days
    that are taken off a month are those that were added to it.

    Args:
        tenant: whose; None: everybody's, or those of the tenant that is asked for.
    """
    query = select(sums.c.span, sums.c.starts, sums.c.mode, sums.c.edge, sums.c.parts).where(
        or_(
            *(
                and_(sums.c.span == span, sums.c.starts.between(first, last))
                for span, first, last in {(each.span, each.first, each.last) for each in stretches}
            )
        ),
        sums.c.is_test == wanted.test,
    )
    whose = tenant if tenant is not None else wanted.tenant
    for name, value in (("tenant", whose), ("mode", wanted.mode), ("edge", wanted.edge)):
        if value is not None:
            query = query.where(sums.c[name] == value)
    return [tuple(row) for row in await connection.execute(query)]


def read_parts(rows: Iterable[Kept]) -> list[Parted]:
    """The rows with their parts as numbers. Pure; not for the loop."""
    return [(*row[:4], orjson.loads(row[4])) for row in rows]


def add_up(rows: Sequence[Parted], days: Days, zone: ZoneInfo | None = None) -> Range:
    """The sums of a range. Pure; takes a tenth of a second for thousands of rows: not for the loop.

    Args:
        zone: of the series; None leaves it out.
    """
    made = Range()
    for sign, (_, _, mode, edge, parts) in _of(rows, days.whole()):
        made.by_way.setdefault((mode, edge), Sum()).add(parts, sign)
    for some in made.by_way.values():
        made.total.add(some)
    if zone is not None:
        made.by_point = {point: Sum() for point in days.points(zone)}
        for sign, (span, starts, _, _, parts) in _of(rows, days.series(zone)):
            made.by_point[point_of(starts, span, days.grain, zone)].add(parts, sign)
    return made


def count_in(rows: Iterable[Parted], stretch: Stretch) -> int:
    """The calls of a stretch."""
    return sum(int(row[4].get("calls", 0)) for _, row in _of(rows, [stretch]))


def _of(rows: Iterable[Parted], stretches: Iterable[Stretch]) -> Iterator[tuple[int, Parted]]:
    """The rows of some stretches, with the sign that each is counted by."""
    rows = list(rows)
    for each in stretches:
        yield from ((each.sign, row) for row in rows if each.holds(row[0], row[1]))


def point_of(starts: str, span: str, grain: Grain, zone: ZoneInfo) -> str:
    """The moment of a series that a row of sums belongs to."""
    if span == "hour":
        return local_hour(datetime.strptime(starts, "%Y-%m-%dT%H").replace(tzinfo=UTC), zone)
    return starts[:7] if grain == "month" else starts
