"""The newest kept calls that raised an alert, with what it was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from penny.calls.database import Database
from penny.calls.query import mine
from penny.calls.tables import calls, counted


Json = dict[str, Any]

SHOWN = 5


async def find_alerts(database: Database, tenant: str | None) -> list[Json]:
    """Newest first; tests are left out.

    Args:
        tenant: whose; None: everybody's.

    Raises:
        StoreUnavailable.
    """
    raised = calls.c.record["derived"]["alerts"].label("alerts")
    wanted = (
        select(*(calls.c[name] for name in ("id", "tenant", "started_ms", "mode", "edge")), raised)
        .join(counted, counted.c.call_id == calls.c.id)
        .where(mine(tenant), calls.c.alert, calls.c.deleted_ms.is_(None), ~counted.c.is_test)
        .order_by(calls.c.started_ms.desc(), calls.c.id.desc())
        .limit(SHOWN)
    )
    async with database.begin() as connection:
        rows = [dict(row) for row in (await connection.execute(wanted)).mappings()]
    for row in rows:
        alerts = row.pop("alerts") or []
        row["kinds"] = sorted({str(alert.get("kind")) for alert in alerts})
        row["reason"] = next((alert["reason"] for alert in alerts if alert.get("reason")), None)
    return rows
