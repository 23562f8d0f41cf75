"""The outbox: events that wait in the database of calls, each with a row for every receiver.

A row is written in the transaction of the state it tells of. Claiming it moves ``due_ms`` to the
end of a lease: what a killed process had in hand is due again by itself, and another gateway
takes it. So an event comes at least once, and twice with the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.calls.database import Database
from penny.calls.tables import calls, deliveries, endpoints, events
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import (
    TERMINAL,
    CallStarted,
    EndpointDisabled,
    Event,
    TurnCompleted,
    make_id,
    tell,
)
from penny.webhooks.policy import FAILING_S, GONE, JITTER, LONGEST_WAIT_S, Answer
from penny.webhooks.query import DeliveryQuery
from penny.webhooks.rows import (
    Backlog,
    Delivery,
    Outcome,
    delivery_row,
    event_row,
    log_line,
    of_tenant,
    read_events,
)
from penny.webhooks.telling import lost


Json = dict[str, Any]

BEGINNING, TURN = CallStarted.type, TurnCompleted.type
LOOK_BACK_MS = 7 * 86_400_000
"""Calls that began longer ago than this before they were overdue are not looked for again."""
KEPT_ATTEMPTS = 16
"""Of a delivery's log; a replay goes on with it."""
FURTHEST_MS = round(LONGEST_WAIT_S * (1 + JITTER) * 1000)
OF_NUMBER = 5000
"""Newest events of a number that the log is searched for."""
BATCH = 200
"""Rows of one clean-up."""


_HELD = update(deliveries).where(
    deliveries.c.id == bindparam("held"),
    deliveries.c.attempts == bindparam("claimed"),
    deliveries.c.state == "waiting",
)
_SETTLED = _HELD.values(
    {name: bindparam(f"new_{name}") for name in ("state", "due_ms", "tried_ms", "log")}
)
_RELEASED = _HELD.values(due_ms=0, attempts=deliveries.c.attempts - 1)


def _settled(outcome: Outcome) -> Json:
    """The parameters of ``_SETTLED``."""
    delivery, answer = outcome.delivery, outcome.answer
    tried = [log_line(outcome, answer)] if answer is not None else []
    return {
        "held": delivery.id,
        "claimed": delivery.attempts,
        "new_state": outcome.state,
        "new_due_ms": outcome.due_ms,
        "new_tried_ms": outcome.at_ms,
        "new_log": [*delivery.log, *tried][-KEPT_ATTEMPTS:],
    }


class Outbox:
    """Events and deliveries in the database of calls.

    Args:
        receivers: the endpoints that there are, by name.
        on_news: called when something may be due here; the caller's transaction may still be open.
    """

    def __init__(
        self,
        database: Database,
        receivers: Mapping[str, Endpoint],
        on_news: Callable[[], None] = lambda: None,
    ) -> None:
        self.database = database
        self.receivers = receivers
        self.on_news = on_news

    # -- writing ------------------------------------------------------------------------------

    async def write(
        self, connection: AsyncConnection, told: Sequence[Event], *, is_live: bool = False
    ) -> None:
        """Put events in, within the caller's transaction; one that is there stays as it is.

        Where there are receivers at all, the beginning of a call is put in, wanted or not: its
        end is missed by it (``close_lost``). A turn goes to those who wait for the record now,
        though it was told to others when it was live.

        Args:
            is_live: the call goes on: turns are for those who want them at once.
        """
        receivers = self.receivers.values()
        kept = [e for e in told if e.type == BEGINNING or any(r.wants(e) for r in receivers)]
        await self._put(connection, kept if receivers else [], is_live=is_live)

    async def _put(
        self, connection: AsyncConnection, told: Sequence[Event], *, is_live: bool = False
    ) -> None:
        if not told:
            return
        unique: dict[str, Event] = {}
        for event in told:  # what is said unasked has the number of the turn before it
            unique.setdefault(event.id, event)
        told = list(unique.values())
        put = postgresql.insert if self.database.is_postgres else sqlite.insert
        new = put(events).on_conflict_do_nothing().returning(events.c.id)
        added = await connection.execute(new, [event_row(event) for event in told])
        ids = set(added.scalars())
        for event in told:
            if event.type == TURN and event.id not in ids and not is_live:
                whole = update(events).where(events.c.id == event.id).values(data=event.data)
                await connection.execute(whole)
        rows = [
            delivery_row(event, endpoint)
            for event in told
            for endpoint in self.receivers.values()
            if endpoint.wants(event)
            and (endpoint.live_turns >= is_live if event.type == TURN else event.id in ids)
        ]
        if rows:
            await connection.execute(put(deliveries).on_conflict_do_nothing(), rows)
            self.on_news()

    async def add(self, told: Sequence[Event], *, is_live: bool = False) -> None:
        """Put events in; ``is_live`` as of ``write``. Raises StoreUnavailable."""
        async with self.database.begin() as connection:
            await self.write(connection, told, is_live=is_live)
        self.on_news()

    async def close_lost(self, before_ms: int, now_ms: int) -> int:
        """Give calls that began before then, and have no record and no end, their terminal
        event; how many."""
        ends = events.alias("ends")
        has_end = exists().where(ends.c.call_id == events.c.call_id, ends.c.type.in_(TERMINAL))
        is_kept = exists().where(calls.c.id == events.c.call_id)
        since_ms = before_ms - LOOK_BACK_MS
        began = and_(events.c.type == BEGINNING, events.c.at_ms.between(since_ms, before_ms - 1))
        open_ones = and_(began, ~has_end, ~is_kept)
        async with self.database.begin() as connection:
            found = await connection.execute(select(events).where(open_ones).limit(BATCH))
            at = datetime.fromtimestamp(now_ms / 1000, UTC)
            ended = [lost(begun, at) for begun in read_events(found)]
            await self._put(connection, ended)
        return len(ended)

    # -- delivering ---------------------------------------------------------------------------

    async def claim(self, endpoint: str, limit: int, now_ms: int, lease_ms: int) -> list[Delivery]:
        """Take due deliveries of an endpoint, the oldest first; no other has them until
        the lease is over. None of a disabled endpoint. Raises StoreUnavailable."""
        is_off = exists().where(endpoints.c.name == endpoint, endpoints.c.disabled_ms.is_not(None))
        due = (
            select(deliveries.c.id)
            .where(
                deliveries.c.endpoint == endpoint,
                deliveries.c.state == "waiting",
                # No honest row waits longer: the clock was set back since it was written.
                or_(deliveries.c.due_ms <= now_ms, deliveries.c.due_ms > now_ms + FURTHEST_MS),
                ~is_off,
            )
            .order_by(deliveries.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        taken = (
            update(deliveries)
            .where(deliveries.c.id.in_(select(due.c.id)))
            .values(due_ms=now_ms + lease_ms, attempts=deliveries.c.attempts + 1)
            .returning(
                deliveries.c.id, deliveries.c.event_id, deliveries.c.attempts, deliveries.c.log
            )
        )
        async with self.database.begin() as connection:
            rows = {row.event_id: row for row in await connection.execute(taken)}
            found = await connection.execute(select(events).where(events.c.id.in_(list(rows))))
            told = {event.id: event for event in read_events(found)}
            if unread := [row.id for row in rows.values() if row.event_id not in told]:
                await connection.execute(
                    update(deliveries).where(deliveries.c.id.in_(unread)).values(state="dead")
                )
        return [
            Delivery(row.id, told[row.event_id], row.attempts, row.log)
            for row in sorted(rows.values(), key=lambda row: row.id)
            if row.event_id in told
        ]

    async def release(self, claimed: Sequence[Delivery]) -> None:
        """Give back what was claimed and not tried. Raises StoreUnavailable."""
        if not claimed:
            return
        held = [{"held": each.id, "claimed": each.attempts} for each in claimed]
        async with self.database.begin() as connection:
            await connection.execute(_RELEASED, held)

    async def settle(self, outcomes: Sequence[Outcome]) -> list[str]:
        """Write down what came of attempts; the names of endpoints that are disabled by it.

        An outcome of a delivery that another took meanwhile, or that was given up, counts for its
        endpoint alone.

        Raises:
            StoreUnavailable.
        """
        disabled = []
        async with self.database.begin() as connection:
            await connection.execute(_SETTLED, [_settled(each) for each in outcomes])
            for name in sorted({each.endpoint for each in outcomes}):
                answers = [
                    each.answer
                    for each in outcomes
                    if each.endpoint == name and each.answer is not None
                ]
                now_ms = max(each.at_ms for each in outcomes)
                if answers and await self._judge(connection, name, answers, now_ms):
                    disabled.append(name)
        return disabled

    async def _judge(
        self, connection: AsyncConnection, name: str, answers: Sequence[Answer], now_ms: int
    ) -> bool:
        """Note how an endpoint fares; whether it is disabled just now."""
        here = endpoints.c.name == name
        if any(answer.is_success for answer in answers):
            failing = endpoints.c.failing_since_ms.is_not(None)
            await connection.execute(
                update(endpoints).where(here, failing).values(failing_since_ms=None)
            )
            return False
        await self._ensure(connection, name)
        await connection.execute(
            update(endpoints)
            .where(here, endpoints.c.failing_since_ms.is_(None))
            .values(failing_since_ms=now_ms)
        )
        since_ms = (
            await connection.execute(select(endpoints.c.failing_since_ms).where(here))
        ).scalar_one()
        is_gone = any(answer.status == GONE for answer in answers)
        if not is_gone and now_ms - since_ms < FAILING_S * 1000:
            return False
        reason = "gone" if is_gone else "failing"
        done = await connection.execute(
            update(endpoints)
            .where(here, endpoints.c.disabled_ms.is_(None))
            .values(disabled_ms=now_ms, reason=reason)
        )
        if done.rowcount:
            await self._tell_disabled(connection, name, reason, since_ms, now_ms)
        return bool(done.rowcount)

    async def _tell_disabled(
        self, connection: AsyncConnection, name: str, reason: str, since_ms: int, now_ms: int
    ) -> None:
        waiting = and_(deliveries.c.endpoint == name, deliveries.c.state == "waiting")
        count = await connection.execute(select(func.count()).where(waiting))
        event = Event(
            id=make_id(name, EndpointDisabled.type, now_ms),
            type=EndpointDisabled.type,
            at=datetime.fromtimestamp(now_ms / 1000, UTC),
            data=tell(
                EndpointDisabled,
                endpoint=name,
                reason=reason,
                failing_since=datetime.fromtimestamp(since_ms / 1000, UTC),
                waiting=count.scalar_one(),
            ),
        )
        own = self.receivers[name]
        others = {
            other: endpoint
            for other, endpoint in self.receivers.items()
            if other != name and endpoint.meets(own)
        }
        await Outbox(self.database, others, self.on_news).write(connection, [event])

    async def _ensure(self, connection: AsyncConnection, name: str) -> None:
        put = postgresql.insert if self.database.is_postgres else sqlite.insert
        row = {"name": name, "reason": ""}
        await connection.execute(put(endpoints).values(row).on_conflict_do_nothing())

    # -- a person's --------------------------------------------------------------------------

    async def enable(self, name: str, now_ms: int, *, send_missed: bool) -> int:
        """Tell an endpoint again; how many missed deliveries are sent, or given up."""
        waiting = and_(deliveries.c.endpoint == name, deliveries.c.state == "waiting")
        what: Json = {"due_ms": now_ms, "attempts": 0} if send_missed else {"state": "dead"}
        async with self.database.begin() as connection:
            await connection.execute(
                update(endpoints)
                .where(endpoints.c.name == name)
                .values(disabled_ms=None, failing_since_ms=None, reason="")
            )
            done = await connection.execute(update(deliveries).where(waiting).values(what))
        self.on_news()
        return int(done.rowcount)

    async def find(self, tenant: str | None, query: DeliveryQuery) -> list[Json]:
        """A page of the delivery log, newest first."""
        columns = [
            deliveries.c.id,
            deliveries.c.event_id,
            deliveries.c.endpoint,
            deliveries.c.state,
            deliveries.c.due_ms,
            deliveries.c.attempts,
            deliveries.c.tried_ms,
            deliveries.c.log,
            events.c.type,
            events.c.at_ms,
            events.c.call_id,
        ]
        wanted = (
            select(*columns)
            .join(events, events.c.id == deliveries.c.event_id)
            .where(query.where(), of_tenant(tenant))
            .order_by(deliveries.c.id.desc())
            .limit(query.limit)
        )
        async with self.database.begin() as connection:
            if query.number is not None:
                # Found first, by its index: the log would be gone through from its newest end.
                of_number = select(events.c.id).where(events.c.caller == query.number)
                newest = of_number.order_by(events.c.at_ms.desc()).limit(OF_NUMBER)
                ids = list((await connection.execute(newest)).scalars())
                wanted = wanted.where(deliveries.c.event_id.in_(ids))
            return [dict(row) for row in (await connection.execute(wanted)).mappings()]

    async def backlog(self, tenant: str | None = None) -> dict[str, Backlog]:
        """How each endpoint fares; what waits is counted of one tenant's events, or of all."""
        counted = (
            select(deliveries.c.endpoint, func.count(), func.min(events.c.at_ms))
            .join(events, events.c.id == deliveries.c.event_id)
            .where(
                deliveries.c.endpoint.in_(list(self.receivers)),
                deliveries.c.state == "waiting",
                of_tenant(tenant),
            )
            .group_by(deliveries.c.endpoint)
        )
        async with self.database.begin() as connection:
            waits = {row[0]: (row[1], row[2]) for row in await connection.execute(counted)}
            known = {row.name: row for row in await connection.execute(select(endpoints))}
        return {
            name: Backlog(*waits.get(name, (0, None)), *(known[name][1:] if name in known else ()))
            for name in self.receivers
        }

    async def let_go(self, before_ms: int) -> int:
        """Remove events from before then, with their deliveries; how many."""
        async with self.database.begin() as connection:
            done = await connection.execute(delete(events).where(events.c.at_ms < before_ms))
            return int(done.rowcount)
