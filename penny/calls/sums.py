"""Sums of what calls add (``parts``) by hour, day and month, kept in the transaction of the change.

What a call added is kept beside it (``counted``), and taken off again before it is counted anew, so
that counting the same call twice changes nothing. Hours are UTC's; days and months are those of the
tenant's time zone. One row of sums for each tenant, span, mode and edge; test calls have their own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.calls.database import Database
from penny.calls.parts import STAGES, VERSION, Parts, parts_of, slowest
from penny.calls.tables import call_figures, calls, counted, sums, turns


Json = dict[str, Any]
ZoneOf = Callable[[str], str]
"""Of a tenant: the name of its time zone."""

SPANS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}
HOUSE_ZONE = "Europe/Madrid"
READ = (
    "id", "tenant", "started_ms", "duration_ms", "mode", "edge", "direction", "status",
    "end_reason", "turns", "interruptions", "cost_usd", "processed", "outcome", "sentiment",
    "intent", "topics", "record",
)  # fmt: skip
"""Of a call, to count it."""


class Cell(NamedTuple):
    """Which sums: the primary key of ``sums``. ``starts`` is as ``SPANS`` writes it."""

    tenant: str
    span: str
    starts: str
    mode: str
    edge: str
    is_test: bool


def cells_of(counts: Json) -> list[Cell]:
    """The sums that a call belongs to.

    Args:
        counts: its row of ``counted``.
    """
    began = datetime.fromtimestamp(counts["started_ms"] / 1000, UTC)
    local = began.astimezone(ZoneInfo(counts["zone"]))
    return [
        Cell(
            counts["tenant"],
            span,
            (began if span == "hour" else local).strftime(form),
            *(counts[name] for name in ("mode", "edge", "is_test")),
        )
        for span, form in SPANS.items()
    ]


def write_parts(parts: Parts) -> str:
    """Parts as they are kept: text, in which a name is found alike in both databases."""
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


async def count_calls(connection: AsyncConnection, ids: Iterable[str], zone_of: ZoneOf) -> None:
    """Bring the sums up to what these calls are now; those that were deleted are taken off."""
    names = sorted(set(ids))
    if connection.dialect.name == "postgresql":  # SQLite has one writer, from the delete on
        locked = select(calls.c.id).where(calls.c.id.in_(names)).order_by(calls.c.id)
        await connection.execute(locked.with_for_update())
    gone = delete(counted).where(counted.c.call_id.in_(names)).returning(*counted.c)
    before = {row["call_id"]: dict(row) for row in (await connection.execute(gone)).mappings()}
    after = await _count(connection, names, zone_of)
    if after:
        await connection.execute(counted.insert(), after)
    changes: dict[Cell, Counter[str]] = {}
    for sign, rows in ((-1, before.values()), (1, after)):
        for row in rows:
            for cell in cells_of(row):
                change = changes.setdefault(cell, Counter())
                for name, number in json.loads(row["parts"]).items():
                    change[name] += sign * number
    await _add(connection, {cell: c for cell, c in changes.items() if any(c.values())})


async def _count(connection: AsyncConnection, names: Sequence[str], zone_of: ZoneOf) -> list[Json]:
    """Rows of ``counted``, as the calls are now."""
    columns = [calls.c[name] for name in READ]
    wanted = select(*columns).where(calls.c.id.in_(names), calls.c.deleted_ms.is_(None))
    rows = [dict(row) for row in (await connection.execute(wanted)).mappings()]
    said: dict[str, list[Json]] = {}
    for turn in await connection.execute(
        select(turns.c.call_id, turns.c.raw)
        .where(turns.c.call_id.in_(names))
        .order_by(turns.c.position)
    ):
        said.setdefault(turn.call_id, []).append(turn.raw)
    judged = select(call_figures).where(call_figures.c.call_id.in_(names))
    found = {row["call_id"]: dict(row) for row in (await connection.execute(judged)).mappings()}
    made = []
    for row in rows:
        spoken = said.get(row["id"], [])
        slow = slowest(spoken)
        made.append(
            {
                "call_id": row["id"],
                **{name: row[name] for name in ("tenant", "started_ms", "mode", "edge")},
                "is_test": bool(row["record"].get("is_test")),
                "zone": zone_of(row["tenant"]),
                "version": VERSION,
                "parts": write_parts(parts_of(row, spoken, found.get(row["id"]))),
                "arms": json.dumps(arms) if (arms := row["record"].get("experiments")) else None,
                **{f"slow_{stage}": slow.get(stage, -1) for stage in STAGES},
            }
        )
    return made


async def _add(connection: AsyncConnection, changes: dict[Cell, Counter[str]]) -> None:
    """In the order of the cells, so that no two transactions wait for each other."""
    if not changes:
        return
    cells = sorted(changes)
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    empty = [{**cell._asdict(), "parts": "{}"} for cell in cells]
    await connection.execute(make(sums).on_conflict_do_nothing(), empty)
    key = [sums.c[name] for name in Cell._fields]
    wanted = select(*key, sums.c.parts).where(tuple_(*key).in_(cells)).order_by(*key)
    now = []
    for row in await connection.execute(wanted.with_for_update()):
        cell = Cell(*row[:-1])
        total = Counter(json.loads(row.parts))
        total.update(changes[cell])
        kept = {name: number for name, number in total.items() if number}
        now.append({**{f"at_{k}": v for k, v in cell._asdict().items()}, "now": write_parts(kept)})
    here = and_(*(column == bindparam(f"at_{column.name}") for column in key))
    await connection.execute(sums.update().where(here).values(parts=bindparam("now")), now)


async def count_anew(database: Database, zone_of: ZoneOf, limit: int) -> int:
    """Count calls that were not counted yet, or as an earlier version or another time zone counted
    them; how many these were, at most ``limit``. Raises StoreUnavailable."""
    async with database.begin() as connection:
        tenants = (await connection.execute(select(calls.c.tenant).distinct())).scalars().all()
    for tenant in tenants:
        is_old = or_(
            counted.c.call_id.is_(None),
            counted.c.version != VERSION,
            counted.c.zone != zone_of(tenant),
        )
        wanted = (
            select(calls.c.id)
            .outerjoin(counted, counted.c.call_id == calls.c.id)
            .where(calls.c.tenant == tenant, calls.c.deleted_ms.is_(None), is_old)
            .limit(limit)
        )
        async with database.begin() as connection:
            if found := (await connection.execute(wanted)).scalars().all():
                await count_calls(connection, found, zone_of)
                return len(found)
    return 0


def counts_in(figure: str) -> ColumnElement[bool]:
    """That a call is one of those behind a figure.

    Args:
        figure: the name of a part; or ``slow:STAGE:BUCKET``, some turn was at least so slow.
    """
    family, _, rest = figure.partition(":")
    stage, _, bucket = rest.partition(":")
    if family == "slow" and stage in STAGES and bucket.isdecimal() and len(bucket) < 5:
        is_in = counted.c[f"slow_{stage}"] >= int(bucket)
    else:
        # LIKE would take capitals for small letters in SQLite.
        name = json.dumps(figure, ensure_ascii=False) + ":"
        is_in = func.replace(counted.c.parts, name, "") != counted.c.parts
    return exists().where(counted.c.call_id == calls.c.id, is_in)


def is_test(value: bool) -> ColumnElement[bool]:
    """That a call is a test, or is none."""
    return exists().where(counted.c.call_id == calls.c.id, counted.c.is_test == value)
