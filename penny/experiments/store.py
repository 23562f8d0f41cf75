"""Experiments in the database: the calls that met an arm, and what was stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from config.experiments import ExperimentSection
from penny.calls.database import Database
from penny.calls.tables import counted, experiment_stops
from penny.experiments.results import Exposed, judge


Json = dict[str, Any]


class ExperimentStore:
    """Reads results and writes stops. Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stops(self) -> dict[tuple[str, str], Json]:
        """What was stopped, by experiment and phase: ``at_ms`` and ``reason``."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(experiment_stops))
            return {
                (row.name, row.phase): {"at_ms": row.at_ms, "reason": row.reason} for row in rows
            }

    async def stop(self, name: str, phase: str, reason: str, now_ms: int) -> bool:
        """Stop a phase for good; False where it was stopped before."""
        make = postgresql.insert if self._database.is_postgres else sqlite.insert
        row = {"name": name, "phase": phase, "at_ms": now_ms, "reason": reason[:256]}
        async with self._database.begin() as connection:
            added = await connection.execute(
                make(experiment_stops).values(row).on_conflict_do_nothing()
            )
            return bool(added.rowcount)

    async def holders(self, name: str, experiment: ExperimentSection) -> dict[str, str]:
        """The arm of each unit that met one in an earlier phase, the latest; who was in a phase
        that was stopped has none."""
        stopped = {phase for other, phase in await self.stops() if other == name}
        wanted = select(counted.c.arms).where(counted.c.arms.is_not(None))
        async with self._database.begin() as connection:
            rows = (await connection.execute(wanted.order_by(counted.c.started_ms))).all()
        return await asyncio.to_thread(_holders, name, {experiment.phase, *stopped}, rows)

    async def result(self, name: str, experiment: ExperimentSection) -> Json:
        """What came of the phase that the file has now; test calls are left out."""
        wanted = select(counted.c.arms, counted.c.parts).where(
            counted.c.arms.is_not(None), ~counted.c.is_test
        )
        async with self._database.begin() as connection:
            rows = (await connection.execute(wanted)).all()
        return await asyncio.to_thread(_judge, name, experiment, rows)


def _holders(name: str, left_out: set[str], rows: Sequence[Any]) -> dict[str, str]:
    met = (json.loads(row.arms).get(name) for row in rows)
    return {each["unit"]: each["arm"] for each in met if each and each["phase"] not in left_out}


def _judge(name: str, experiment: ExperimentSection, rows: Sequence[Any]) -> Json:
    calls = []
    for row in rows:
        exposed = json.loads(row.arms).get(name)
        if exposed is not None and exposed["phase"] == experiment.phase:
            parts = json.loads(row.parts)
            if parts.get("answered"):
                is_kept = exposed.get("kept", False)
                calls.append(Exposed(exposed["arm"], exposed["unit"], parts, is_kept))
    result = judge(experiment, calls)
    for arm in result["arms"]:
        arm["figure"] = f"arm:{name}:{experiment.phase}:{arm['name']}"
    return result
