"""Whether calls of a line end otherwise than they did in its own last week. Pure but for one read.

A line is a number of the house, or an edge where there is none. Every end reason is held against
its own rate: what is usual on one line (``no_answer`` of a campaign) is a fault on another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, lgamma, log, log1p

from sqlalchemy import case, func, select

from penny.calls.database import Database
from penny.calls.tables import calls


SINCE_MS = 7 * 86_400_000
WINDOWS_MS = (60_000, 300_000, 900_000)
"""The moments that telephone systems alarm by (2600hz's ``hangups``): 1, 5 and 15 minutes."""
LEAST_WEEK, LEAST_CALLS = 100, 5
"""A line with fewer calls in its week has no rate yet; fewer ends of a kind are chance."""
TIMES, CHANCE = 2.0, 1e-4
"""An alarm: so many times the rate of the week, and less likely than that by chance alone: some 20
lines with 10 end reasons, looked at each minute, would tell of nothing about ten times a month."""

PHONE = "phone"
"""The edge whose calls have a number of the house: the one called, or the one placed from."""

Line = tuple[str, str, str]
"""Tenant, edge, number of the house ('' where the edge has none)."""
Ends = dict[Line, Counter[str]]


@dataclass(frozen=True, slots=True)
class Unusual:
    """An end reason that came too often in the last ``minutes`` of a line."""

    line: Line
    reason: str
    minutes: int
    count: int
    calls: int
    usual: float
    """Its share in the week before."""


def find_unusual(windows: Mapping[int, Ends], week: Ends) -> list[Unusual]:
    """Of each line and reason the shortest window that shows it.

    Args:
        windows: how calls ended, by milliseconds until now.
        week: the seven days before the longest window.
    """
    found: dict[tuple[Line, str], Unusual] = {}
    for window_ms in sorted(windows, reverse=True):
        for line, ends in windows[window_ms].items():
            usual, total = week.get(line, Counter()), sum(ends.values())
            before = sum(usual.values())
            if before < LEAST_WEEK:
                continue
            for reason, count in ends.items():
                share = (usual[reason] + 1) / (before + 2)
                is_more = count >= LEAST_CALLS and count / total >= TIMES * share
                if is_more and _at_least(count, total, share) < CHANCE:
                    minutes = window_ms // 60_000
                    found[line, reason] = Unusual(line, reason, minutes, count, total, share)
    return list(found.values())


def _at_least(count: int, total: int, share: float) -> float:
    """How likely so many of ``total`` are, where each is one with this chance (binomial)."""
    return sum(
        exp(
            lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1)
            + k * log(share) + (total - k) * log1p(-share)
        )
        for k in range(count, total + 1)
    )  # fmt: skip


async def read_ends(
    database: Database, since_ms: int, until_ms: int, started_since_ms: int
) -> Ends:
    """How calls ended between two moments; tests are among them.

    Args:
        started_since_ms: no call that ended then began before that (an index knows beginnings).

    Raises:
        StoreUnavailable.
    """
    callee = calls.c.record["callee"].as_string()
    is_ours = case((calls.c.direction == "outbound", calls.c.caller), else_=callee)
    number = case((calls.c.edge == PHONE, is_ours), else_="").label("line")
    wanted = (
        select(calls.c.tenant, calls.c.edge, number, calls.c.end_reason, func.count())
        .where(calls.c.started_ms.between(started_since_ms, until_ms))
        .where(calls.c.ended_ms > since_ms, calls.c.ended_ms <= until_ms)
        .group_by(calls.c.tenant, calls.c.edge, number, calls.c.end_reason)
    )
    ends: Ends = {}
    async with database.begin() as connection:
        for tenant, edge, line, reason, count in await connection.execute(wanted):
            ends.setdefault((tenant, edge, line or ""), Counter())[reason] += count
    return ends
