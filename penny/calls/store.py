"""The store of kept calls: SQLite beside the gateway, or PostgreSQL by its address.

Every write is one transaction and says the same when it is repeated, so that what is brought twice
is there once. Reading is by pages with a cursor, and of one tenant's calls alone.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.calls.database import Database
from penny.calls.record import Call, Turn
from penny.calls.rows import fold, row_of, to_ms, turn_rows
from penny.calls.tables import audit, calls, turns
from penny.errors import ProtocolError


Json = dict[str, Any]

PAGE = 50
MOST = 500
MOST_DIGITS = 18
"""Of a cursor's moment: more is no number of a database's."""
SHOWN = (
    "id", "tenant", "started_ms", "duration_ms", "mode", "edge", "direction", "caller", "status",
    "end_reason", "language", "turns", "interruptions", "cost_usd", "processed", "outcome",
    "sentiment", "intent", "topics", "alert", "sound_state", "held",
)  # fmt: skip


class CallQuery(BaseModel):
    """Which calls: every filter that is given holds."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    caller: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    mode: str | None = None
    edge: str | None = None
    status: str | None = None
    processed: bool | None = None
    outcome: str | None = None
    sentiment: str | None = None
    intent: str | None = None
    topic: str | None = None
    alert: bool | None = None
    min_s: float | None = Field(None, ge=0)
    max_s: float | None = Field(None, ge=0)
    text: str | None = Field(None, max_length=200)
    """Words that all were said by either side; accents and case do not matter."""
    order: Literal["newest", "oldest"] = "newest"
    limit: int = Field(PAGE, ge=1, le=MOST)
    cursor: str | None = Field(None, max_length=200)


class CallStore:
    """Kept calls in one database.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://…``.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    async def start(self) -> None:
        """See ``Database.start``; the first use does it by itself. Raises StoreUnavailable."""
        await self._database.start()

    async def aclose(self) -> None:
        await self._database.aclose()

    # -- writing ------------------------------------------------------------------------------

    async def put(self, call: Call) -> None:
        """Keep a call; one that is there already stays as it is. Raises StoreUnavailable."""
        row = row_of(call)
        make = postgresql.insert if self._is_postgres else sqlite.insert
        async with self._begin() as connection:
            added = await connection.execute(
                make(calls).values(row).on_conflict_do_nothing(index_elements=["id"])
            )
            if not added.rowcount:
                return
            if call.turns:
                await connection.execute(turns.insert(), turn_rows(call))
            await self._index(connection, call.id, row["folded"])

    async def set_derived(self, call_id: str, derived: Json, metrics: Json, columns: Json) -> None:
        """Replace what an analysis found of a call; what was said stays. Raises StoreUnavailable.

        Args:
            columns: those of ``outcome``, ``sentiment``, ``intent``, ``topics``, ``alert`` and
                ``processed`` that it found.
        """
        async with self._begin() as connection:
            record = (
                await connection.execute(select(calls.c.record).where(calls.c.id == call_id))
            ).scalar_one_or_none()
            if record is None:
                return
            record = {**record, "derived": derived, "metrics": {**record["metrics"], **metrics}}
            await connection.execute(
                update(calls).where(calls.c.id == call_id).values(record=record, **columns)
            )

    async def set_sound(self, call_id: str, sound: Json) -> None:
        """What became of a call's sound. Raises StoreUnavailable."""
        async with self._begin() as connection:
            found = select(calls.c.record).where(calls.c.id == call_id)
            record = (await connection.execute(found)).scalar_one()
            await connection.execute(
                update(calls)
                .where(calls.c.id == call_id)
                .values(record={**record, "sound": sound}, sound_state=sound["state"])
            )

    async def set_held(self, tenant: str, call_id: str, *, held: bool) -> bool:
        """Put a call under legal hold or release it; False where there is none."""
        async with self._begin() as connection:
            done = await connection.execute(
                update(calls).where(_mine(tenant), calls.c.id == call_id).values(held=held)
            )
            return bool(done.rowcount)

    async def delete(self, tenant: str, ids: Sequence[str], now_ms: int) -> list[str]:
        """Mark calls as deleted, found no more; those under hold stay. Returns the others."""
        async with self._begin() as connection:
            free = and_(
                _mine(tenant), calls.c.id.in_(ids), ~calls.c.held, calls.c.deleted_ms.is_(None)
            )
            found = list((await connection.execute(select(calls.c.id).where(free))).scalars())
            await connection.execute(
                update(calls).where(calls.c.id.in_(found)).values(deleted_ms=now_ms)
            )
            return found

    async def purge(self, ids: Sequence[str]) -> None:
        """Take out all that was said in deleted calls; a tombstone without content remains."""
        async with self._begin() as connection:
            gone = and_(calls.c.id.in_(ids), calls.c.deleted_ms.is_not(None), ~calls.c.held)
            found = list((await connection.execute(select(calls.c.id).where(gone))).scalars())
            await connection.execute(delete(turns).where(turns.c.call_id.in_(found)))
            for call_id in found:
                await self._unindex(connection, call_id)
            await connection.execute(
                update(calls)
                .where(calls.c.id.in_(found))
                .values(record={}, folded="", caller="", sound_state="deleted")
            )

    async def note(self, tenant: str, actor: str, action: str, call_id: str, now_ms: int) -> None:
        """Write into the audit log who read, heard, exported or erased what."""
        entry = {
            "at_ms": now_ms, "tenant": tenant, "actor": actor, "action": action, "call_id": call_id,
        }  # fmt: skip
        async with self._begin() as connection:
            await connection.execute(audit.insert(), entry)

    # -- reading ------------------------------------------------------------------------------

    async def find(self, tenant: str | None, query: CallQuery) -> tuple[list[Json], str | None]:
        """A page of calls without their turns, and the cursor of the next page.

        Args:
            tenant: whose; None: everybody's, for the operator of the house.

        Raises:
            ProtocolError: the cursor is none of ours. StoreUnavailable.
        """
        columns = [calls.c[name] for name in SHOWN]
        wanted = self._filter(select(*columns), tenant, query)
        newest = query.order == "newest"
        order = (calls.c.started_ms, calls.c.id)
        if query.cursor:
            started_ms, call_id = _read_cursor(query.cursor)
            later = or_(
                calls.c.started_ms > started_ms,
                and_(calls.c.started_ms == started_ms, calls.c.id > call_id),
            )
            earlier = or_(
                calls.c.started_ms < started_ms,
                and_(calls.c.started_ms == started_ms, calls.c.id < call_id),
            )
            wanted = wanted.where(earlier if newest else later)
        ordered = [column.desc() if newest else column.asc() for column in order]
        async with self._begin() as connection:
            rows = await connection.execute(wanted.order_by(*ordered).limit(query.limit + 1))
            found = [dict(row._mapping) for row in rows]  # SQLAlchemy's public name
        rest = found[query.limit :]
        found = found[: query.limit]
        return found, _cursor(found[-1]) if rest else None

    async def get(self, tenant: str | None, call_id: str) -> Call | None:
        """One call with its turns; None where this tenant has none of that id."""
        async with self._begin() as connection:
            row = (
                await connection.execute(
                    select(calls.c.record, calls.c.held, calls.c.sound_state).where(
                        _mine(tenant), calls.c.id == call_id, calls.c.deleted_ms.is_(None)
                    )
                )
            ).one_or_none()
            if row is None:
                return None
            said = await connection.execute(
                select(turns.c.raw, turns.c.derived)
                .where(turns.c.call_id == call_id)
                .order_by(turns.c.position)
            )
            kept = [Turn.model_validate({**raw, "derived": derived}) for raw, derived in said]
        return Call.model_validate({**row.record, "turns": kept, "held": row.held})

    async def audit_of(self, call_id: str) -> list[Json]:
        """Who did what with a call, in order."""
        wanted = select(audit).where(audit.c.call_id == call_id).order_by(audit.c.id)
        async with self._begin() as connection:
            return [dict(row._mapping) for row in await connection.execute(wanted)]

    async def stream(self, tenant: str | None, query: CallQuery) -> AsyncIterator[Call]:
        """Every call that is found, whole, a page at a time."""
        cursor = query.cursor
        while True:
            page = query.model_copy(update={"cursor": cursor, "limit": MOST})
            found, cursor = await self.find(tenant, page)
            for row in found:
                if (call := await self.get(tenant, row["id"])) is not None:
                    yield call
            if cursor is None:
                return

    async def count(self, tenant: str | None) -> dict[str, int]:
        """How many calls of a tenant are kept, deleted and held; of all where it is None."""
        async with self._begin() as connection:
            row = (
                await connection.execute(
                    select(
                        func.count(),
                        func.count(calls.c.deleted_ms),
                        func.coalesce(func.sum(calls.c.held.cast(turns.c.position.type)), 0),
                    ).where(_mine(tenant))
                )
            ).one()
        return {"calls": row[0] - row[1], "deleted": row[1], "held": int(row[2])}

    async def expired(self, tenant: str, before_ms: int, limit: int = MOST) -> list[str]:
        """Calls of a tenant that ended before then, are not held and not deleted."""
        old = and_(
            _mine(tenant), calls.c.ended_ms < before_ms, ~calls.c.held, calls.c.deleted_ms.is_(None)
        )
        async with self._begin() as connection:
            return list(
                (await connection.execute(select(calls.c.id).where(old).limit(limit))).scalars()
            )

    async def tenants(self) -> list[str]:
        async with self._begin() as connection:
            return list((await connection.execute(select(calls.c.tenant).distinct())).scalars())

    # -- inside -------------------------------------------------------------------------------

    @property
    def _is_postgres(self) -> bool:
        return self._database.is_postgres

    def _begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._database.begin()

    def _filter(self, query: Select[Any], tenant: str | None, wanted: CallQuery) -> Select[Any]:
        query = query.where(_mine(tenant), calls.c.deleted_ms.is_(None))
        for name in (
            "id", "caller", "mode", "edge", "status", "processed", "outcome", "sentiment",
            "intent", "alert",
        ):  # fmt: skip
            value = getattr(wanted, name)
            if value is not None:
                query = query.where(calls.c[name] == value)
        if wanted.since is not None:
            query = query.where(calls.c.started_ms >= to_ms(wanted.since))
        if wanted.until is not None:
            query = query.where(calls.c.started_ms < to_ms(wanted.until))
        if wanted.min_s is not None:
            query = query.where(calls.c.duration_ms >= wanted.min_s * 1000)
        if wanted.max_s is not None:
            query = query.where(calls.c.duration_ms <= wanted.max_s * 1000)
        if wanted.topic is not None:
            query = query.where(
                calls.c.topics.cast(calls.c.folded.type).contains(f'"{wanted.topic}"')
            )
        if wanted.text and (words := fold(wanted.text).split()):
            query = query.where(self._said(words))
        return query

    def _said(self, words: list[str]) -> ColumnElement[bool]:
        if self._is_postgres:
            vector = func.to_tsvector(text("'simple'"), calls.c.folded)
            return vector.op("@@")(func.plainto_tsquery(text("'simple'"), " ".join(words)))
        phrase = " ".join(f'"{word}"' for word in words)
        inside = text("SELECT call_id FROM call_text WHERE call_text MATCH :phrase")
        return calls.c.id.in_(inside.bindparams(phrase=phrase).columns(calls.c.id.label("call_id")))

    async def _index(self, connection: AsyncConnection, call_id: str, folded: str) -> None:
        if not self._is_postgres:
            entry = {"call_id": call_id, "folded": folded}
            insert = text("INSERT INTO call_text (call_id, folded) VALUES (:call_id, :folded)")
            await connection.execute(insert, entry)

    async def _unindex(self, connection: AsyncConnection, call_id: str) -> None:
        if not self._is_postgres:
            remove = text("DELETE FROM call_text WHERE call_id = :call_id")
            await connection.execute(remove, {"call_id": call_id})


def _mine(tenant: str | None) -> ColumnElement[bool]:
    return calls.c.tenant == tenant if tenant is not None else calls.c.id.is_not(None)


def _cursor(row: Json) -> str:
    return urlsafe_b64encode(f"{row['started_ms']}:{row['id']}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[int, str]:
    try:
        started_ms, _, call_id = urlsafe_b64decode(cursor).decode().partition(":")
        if len(started_ms) > MOST_DIGITS:
            raise ValueError(started_ms)
        return int(started_ms), call_id
    except ValueError as error:
        raise ProtocolError("cursor: is none that was given out here", field="cursor") from error
