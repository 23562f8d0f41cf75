"""Events that are sent again because a person asked for it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.calls.tables import deliveries, events
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import EndpointDisabled, Event
from penny.webhooks.outbox import BATCH, Outbox
from penny.webhooks.query import Replay
from penny.webhooks.rows import delivery_row, of_tenant, read_events, refuse


async def send_again(outbox: Outbox, wanted: Replay, tenant: str | None, now_ms: int) -> int:
    """Send events again, with their ids; how many deliveries that makes.

    An endpoint that never had an event gets it only where it is named. Raises StoreUnavailable:
    some may be on their way already; asked for again, they are not sent twice as often.
    """
    count, after = 0, ""
    while True:
        page = (
            select(events)
            .where(wanted.where(), of_tenant(tenant), events.c.id > after)
            .where(events.c.type != EndpointDisabled.type)
            .order_by(events.c.id)
            .limit(BATCH)
        )
        # A transaction for each page: SQLite has one writer, and calls go on.
        async with outbox.database.begin() as connection:
            rows = list(await connection.execute(page))
            found = read_events(rows)
            for name, endpoint in outbox.receivers.items():
                if wanted.endpoint in (None, name):
                    count += await _resend(outbox, connection, found, endpoint, wanted, now_ms)
        if len(rows) < BATCH:
            break
        after = rows[-1].id
    outbox.on_news()
    return count


async def _resend(
    outbox: Outbox,
    connection: AsyncConnection,
    told: Sequence[Event],
    endpoint: Endpoint,
    wanted: Replay,
    now_ms: int,
) -> int:
    ids = [event.id for event in told if refuse(event, endpoint) is None]
    if not ids:
        return 0
    states = ["dead", "withheld"] + ["delivered"] * wanted.delivered
    again = await connection.execute(
        update(deliveries)
        .where(
            deliveries.c.event_id.in_(ids),
            deliveries.c.endpoint == endpoint.name,
            deliveries.c.state.in_(states),
        )
        .values(state="waiting", due_ms=now_ms, attempts=0)
    )
    count = int(again.rowcount)
    if wanted.endpoint is not None:
        put = postgresql.insert if outbox.database.is_postgres else sqlite.insert
        rows = [delivery_row(event, endpoint) for event in told if event.id in ids]
        new = put(deliveries).on_conflict_do_nothing().returning(deliveries.c.id)
        count += len((await connection.execute(new, rows)).all())
    return count
