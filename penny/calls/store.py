"""The store of kept calls: SQLite beside the gateway, or PostgreSQL by its address.

Every write is one transaction and says the same when it is repeated, so that what is brought twice
is there once. Reading is by pages with a cursor, and of one tenant's calls alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import and_, delete, exists, false, func, or_, select, text, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.calls.database import Database
from penny.calls.query import (
    MOST,
    SHOWN,
    CallQuery,
    Said,
    count_matches,
    find_calls,
    mine,
    said_in_postgres,
    said_in_sqlite,
    write_cursor,
)
from penny.calls.record import Call, Turn
from penny.calls.rows import fold, row_of, turn_rows
from penny.calls.sums import HOUSE_ZONE, ZoneOf, count_calls
from penny.calls.tables import (
    analysis_jobs,
    analysis_steps,
    audit,
    call_figures,
    calls,
    events,
    turns,
)


Json = dict[str, Any]
Also = Callable[[AsyncConnection], Awaitable[None]]
"""What is written in the same transaction, or not at all."""

MOST_LEGS = 100
"""Of one call that are looked up."""
WHOLE = 100
"""Calls with all that was said that are in memory at a time."""
RARE = 4000
"""Most calls with the words that are wanted that SQLite looks up one by one: about as long as going
through one tenant's 25,000 in order."""


class CallStore:
    """Kept calls in one database.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://…``.
        zone_of: in which a tenant's days are counted.
    """

    def __init__(self, url: str, zone_of: ZoneOf = lambda _tenant: HOUSE_ZONE) -> None:
        self.database = Database(url)
        self._begin = self.database.begin
        self.zone_of = zone_of

    async def start(self) -> None:
        """See ``Database.start``; the first use does it by itself. Raises StoreUnavailable."""
        await self.database.start()

    async def aclose(self) -> None:
        await self.database.aclose()

    # -- writing ------------------------------------------------------------------------------

    async def put(self, call: Call, also: Also | None = None) -> bool:
        """Keep a call, and whether it is new: one that is there already stays as it is.

        Args:
            also: written with a new one.

        Raises:
            StoreUnavailable.
        """
        row = row_of(call)
        make = postgresql.insert if self.database.is_postgres else sqlite.insert
        async with self._begin() as connection:
            added = await connection.execute(
                make(calls).values(row).on_conflict_do_nothing(index_elements=["id"])
            )
            if not added.rowcount:
                return False
            if call.turns:
                await connection.execute(turns.insert(), turn_rows(call))
            await self._index(connection, call.id, row["folded"])
            await count_calls(connection, [call.id], self.zone_of)
            if also is not None:
                await also(connection)
            return True

    async def set_sound(self, call_id: str, sound: Json, also: Also | None = None) -> None:
        """What became of a call's sound. Raises StoreUnavailable."""
        async with self._begin() as connection:
            found = select(calls.c.record).where(calls.c.id == call_id)
            record = (await connection.execute(found)).scalar_one()
            await connection.execute(
                update(calls)
                .where(calls.c.id == call_id)
                .values(record={**record, "sound": sound}, sound_state=sound["state"])
            )
            if also is not None:
                await also(connection)

    async def set_links(self, tenant: str, call_id: str, links: Json) -> None:
        """Note ``parent`` or ``pbx_recording`` of a call. Raises StoreUnavailable."""
        this = and_(mine(tenant), calls.c.id == call_id)
        columns = {"parent": links["parent"]} if "parent" in links else {}
        async with self._begin() as connection:
            record = (await connection.execute(select(calls.c.record).where(this))).scalar_one()
            changed = update(calls).where(this).values(record={**record, **links}, **columns)
            await connection.execute(changed)

    async def set_held(self, tenant: str, call_id: str, *, held: bool) -> bool:
        """Put a call under legal hold or release it; False where there is none."""
        async with self._begin() as connection:
            done = await connection.execute(
                update(calls).where(mine(tenant), calls.c.id == call_id).values(held=held)
            )
            return bool(done.rowcount)

    async def delete(self, tenant: str, ids: Sequence[str], now_ms: int) -> list[str]:
        """Mark calls as deleted, found no more; those under hold stay. Returns the others."""
        async with self._begin() as connection:
            free = and_(
                mine(tenant), calls.c.id.in_(ids), ~calls.c.held, calls.c.deleted_ms.is_(None)
            )
            found = list((await connection.execute(select(calls.c.id).where(free))).scalars())
            await connection.execute(
                update(calls).where(calls.c.id.in_(found)).values(deleted_ms=now_ms)
            )
            await count_calls(connection, found, self.zone_of)
            return found

    async def purge(self, ids: Sequence[str]) -> None:
        """Take out all that was said in deleted calls, and what was told of them; a tombstone
        without content remains."""
        async with self._begin() as connection:
            gone = and_(calls.c.id.in_(ids), calls.c.deleted_ms.is_not(None), ~calls.c.held)
            found = list((await connection.execute(select(calls.c.id).where(gone))).scalars())
            for table in (turns, events, analysis_steps, analysis_jobs, call_figures):
                await connection.execute(delete(table).where(table.c.call_id.in_(found)))
            for call_id in found:
                await self._unindex(connection, call_id)
            await connection.execute(
                update(calls)
                .where(calls.c.id.in_(found))
                .values(record={}, folded="", caller="", user_id="", text_row=None)
                .values(sound_state="deleted")
            )
        if found:
            await self.database.forget()

    async def forget_events(
        self, tenant: str | None, ids: Sequence[str], caller: str, user_id: str
    ) -> None:
        """Take out what was told of calls that have no record: these, and those of a person.

        Args:
            caller, user_id: '' asks for none.
        """
        kept = exists().where(calls.c.id == events.c.call_id, calls.c.held)
        names = [(events.c.caller, caller), (events.c.data["user_id"].as_string(), user_id)]
        of_person = [column == name for column, name in names if name]
        gone = or_(events.c.call_id.in_(ids), and_(true(), *of_person) if of_person else false())
        whose = true() if tenant is None else events.c.tenant == tenant
        async with self._begin() as connection:
            await connection.execute(delete(events).where(gone, whose, ~kept))

    async def half_erased(self, limit: int = MOST) -> list[str]:
        """Calls that were marked as deleted and not purged: the process ended in between."""
        left = or_(calls.c.folded != "", calls.c.sound_state != "deleted")
        half = and_(calls.c.deleted_ms.is_not(None), left)
        async with self._begin() as connection:
            found = await connection.execute(select(calls.c.id).where(half).limit(limit))
            return list(found.scalars())

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
        async with self._begin() as connection:
            wanted = find_calls(columns, tenant, query, await self._said(connection, query))
            rows = await connection.execute(wanted.limit(query.limit + 1))
            found = [dict(row) for row in rows.mappings()]
        rest = found[query.limit :]
        found = found[: query.limit]
        return found, write_cursor(found[-1]) if rest else None

    async def get(self, tenant: str | None, call_id: str) -> Call | None:
        """One call with its turns; None where this tenant has none of that id."""
        async with self._begin() as connection:
            found = await self._whole(connection, tenant, [call_id])
        return found[0] if found else None

    async def legs(self, tenant: str, call: Call) -> list[Json]:
        """The other calls of the tree that a call is a leg of, as lists show them, oldest first;
        a leg that more than ``MOST_LEGS`` others lie between is left out."""
        columns = [calls.c[name] for name in SHOWN]
        alive = select(*columns).where(mine(tenant), calls.c.deleted_ms.is_(None))
        tree: dict[str, Json] = {}
        async with self._begin() as connection:
            root, above = call.id, call.parent
            while above and len(tree) < MOST_LEGS and above not in tree and above != call.id:
                rows = await connection.execute(alive.where(calls.c.id == above))
                found = rows.mappings().first()
                if found is None:
                    break
                tree[above] = dict(found)
                root, above = above, tree[above]["parent"]
            wanted, seen = [root], {root}
            while wanted and len(tree) < MOST_LEGS:
                below = alive.where(calls.c.parent.in_(wanted)).limit(MOST_LEGS)
                legs = [dict(row) for row in (await connection.execute(below)).mappings()]
                wanted = [leg["id"] for leg in legs if leg["id"] not in seen]
                seen |= set(wanted)
                tree |= {leg["id"]: leg for leg in legs}
        tree.pop(call.id, None)
        return sorted(tree.values(), key=lambda row: (row["started_ms"], row["id"]))

    async def _whole(
        self, connection: AsyncConnection, tenant: str | None, ids: Sequence[str]
    ) -> list[Call]:
        """Calls with their turns, in the order of ``ids``."""
        rows = await connection.execute(
            select(calls.c.id, calls.c.record, calls.c.held).where(
                mine(tenant), calls.c.id.in_(ids), calls.c.deleted_ms.is_(None)
            )
        )
        kept = {row.id: row for row in rows}
        said: dict[str, list[Turn]] = {}
        for each in await connection.execute(
            select(turns).where(turns.c.call_id.in_(ids)).order_by(turns.c.position)
        ):
            turn = Turn.model_validate({**each.raw, "derived": each.derived})
            said.setdefault(each.call_id, []).append(turn)
        return [
            Call.model_validate(
                {**kept[each].record, "turns": said.get(each, []), "held": kept[each].held}
            )
            for each in ids
            if each in kept
        ]

    async def audit_of(self, call_id: str) -> list[Json]:
        """Who did what with a call, in order."""
        wanted = select(audit).where(audit.c.call_id == call_id).order_by(audit.c.id)
        async with self._begin() as connection:
            return [dict(row) for row in (await connection.execute(wanted)).mappings()]

    async def rows(
        self, tenant: str | None, query: CallQuery, page: int = MOST
    ) -> AsyncIterator[list[Json]]:
        """Every call that is found as lists show it, pages of them at a time."""
        cursor = query.cursor
        while True:
            wanted = query.model_copy(update={"cursor": cursor, "limit": page})
            found, cursor = await self.find(tenant, wanted)
            if found:
                yield found
            if cursor is None:
                return

    async def stream(self, tenant: str | None, query: CallQuery) -> AsyncIterator[Call]:
        """Every call that is found, whole; a page is in memory at a time."""
        async for found in self.rows(tenant, query, WHOLE):
            async with self._begin() as connection:
                page = await self._whole(connection, tenant, [row["id"] for row in found])
            for call in page:
                yield call

    async def count_found(self, tenant: str | None, query: CallQuery) -> int:
        """How many calls a query finds. Raises ProtocolError, StoreUnavailable."""
        async with self._begin() as connection:
            said = await self._said(connection, query)
            found = find_calls([calls.c.id], tenant, query, said).order_by(None)
            wanted = select(func.count()).select_from(found.subquery())
            return int((await connection.execute(wanted)).scalar_one())

    async def count(self, tenant: str | None) -> dict[str, int]:
        """How many calls of a tenant are kept, deleted and held, how many have sound, its bytes.

        Args:
            tenant: None: everybody's.
        """
        stored = calls.c.sound_state == "stored"
        async with self._begin() as connection:
            row = (
                await connection.execute(
                    select(
                        func.count(),
                        func.count(calls.c.deleted_ms),
                        func.count().filter(calls.c.held),
                        func.count().filter(stored),
                        func.sum(calls.c.record["sound"]["bytes"].as_integer()).filter(stored),
                    ).where(mine(tenant))
                )
            ).one()
        return {
            "calls": row[0] - row[1],
            "deleted": row[1],
            "held": row[2],
            "sounds": row[3],
            "sound_bytes": int(row[4] or 0),
        }

    async def expired(self, tenant: str, before_ms: int, limit: int = MOST) -> list[str]:
        """Calls of a tenant that ended before then, are not held and not deleted."""
        old = and_(
            mine(tenant), calls.c.ended_ms < before_ms, ~calls.c.held, calls.c.deleted_ms.is_(None)
        )
        async with self._begin() as connection:
            return list(
                (await connection.execute(select(calls.c.id).where(old).limit(limit))).scalars()
            )

    async def tenants(self) -> list[str]:
        async with self._begin() as connection:
            return list((await connection.execute(select(calls.c.tenant).distinct())).scalars())

    # -- inside -------------------------------------------------------------------------------

    async def _said(self, connection: AsyncConnection, query: CallQuery) -> Said | None:
        words = fold(query.text or "").split()
        if not words:
            return None
        if self.database.is_postgres:
            return said_in_postgres(words)
        counted = await connection.execute(count_matches(words, RARE + 1))
        return said_in_sqlite(words, are_rare=counted.scalar_one() <= RARE)

    async def _index(self, connection: AsyncConnection, call_id: str, folded: str) -> None:
        if not self.database.is_postgres:
            insert = text("INSERT INTO call_text (folded) VALUES (:folded)")
            added = await connection.execute(insert, {"folded": folded})
            row = update(calls).where(calls.c.id == call_id).values(text_row=added.lastrowid)
            await connection.execute(row)

    async def _unindex(self, connection: AsyncConnection, call_id: str) -> None:
        if not self.database.is_postgres:
            remove = text(
                "DELETE FROM call_text WHERE rowid = (SELECT text_row FROM calls WHERE id = :id)"
            )
            await connection.execute(remove, {"id": call_id})
