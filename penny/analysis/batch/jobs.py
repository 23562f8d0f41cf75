"""Who analyses which call: leases in the database of calls, and what came of each.

A lease is a moment in ``due_ms``: what a killed worker had in hand is due again by itself. Results
are written by the holder of the lease alone, in one transaction with all that
follows from them: so a call is analysed once in the end, whichever worker dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, exists, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.analysis.batch.graph import Kept
from penny.calls.query import CallQuery, find_calls
from penny.calls.record import Call
from penny.calls.store import CallStore
from penny.calls.sums import count_calls
from penny.calls.tables import analysis_jobs, analysis_steps, call_figures, calls


Json = dict[str, Any]
Also = Callable[[AsyncConnection, Call], Awaitable[None]]
"""What is written in the transaction that finishes a call's analysis."""

LEASE_MS = 60_000
ATTEMPTS = 3
RETRY_MS = (30_000, 300_000)
"""Before the second and the third attempt."""
DEATHS = 5
"""A call that so many workers took and never finished is given up: it may be what ends them."""
THROTTLED_MS = 60_000
GIVEN_UP = "every worker that took it died"


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed call. ``attempts`` counts this one."""

    call_id: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Found:
    """What an analysis found of a call, as it is written."""

    steps: Sequence[Kept]
    derived: Json
    metrics: Json
    figures: Json
    columns: Json
    state: str
    reason: str = ""


class LeaseLost(Exception):
    """Another worker has the call by now: what this one found is dropped."""


class Jobs:
    """Calls to analyse, in one database.

    Args:
        owner: this worker, unique among all.
        graph: of the steps that it runs (``graph.name_graph``).
        now_ms: Unix time in ms.
        also: written with each finished call: what others are told, and sums.
    """

    def __init__(
        self,
        store: CallStore,
        owner: str,
        graph: str,
        now_ms: Callable[[], int],
        also: Also | None = None,
    ) -> None:
        self.store = store
        self.owner = owner
        self._graph = graph
        self._now_ms = now_ms
        self._also = also
        self._one_at_a_time = asyncio.Lock()

    # -- queueing -----------------------------------------------------------------------------

    async def add(
        self,
        query: CallQuery,
        *,
        again: bool = False,
        tenant: str | None = None,
        limit: int | None = None,
    ) -> int:
        """Queue the calls that a query finds, and how many. Raises StoreUnavailable.

        Args:
            again: also those that are done or given up; steps whose basis is as it was stand.
            limit: most of them; ``query.limit`` is of pages.
        """
        found = find_calls(
            [calls.c.id, calls.c.tenant, *map(literal, ("waiting", 0, "", 0, "", ""))],
            tenant,
            query,
        ).limit(limit)
        queued = exists().where(analysis_jobs.c.call_id == calls.c.id)
        names = ["call_id", "tenant", "state", "due_ms", "owner", "attempts", "graph", "reason"]
        reset = {"state": "waiting", "due_ms": 0, "owner": "", "attempts": 0, "reason": ""}
        make = postgresql.insert if self.store.database.is_postgres else sqlite.insert
        new = make(analysis_jobs).from_select(names, found.where(~queued)).on_conflict_do_nothing()
        count = 0
        async with self._write() as connection:
            if again:
                ids = find_calls([calls.c.id], tenant, query).limit(limit).subquery()
                done = analysis_jobs.c.call_id.in_(select(ids.c.id))
                back = update(analysis_jobs).where(done, analysis_jobs.c.state != "waiting")
                count = (await connection.execute(back.values(reset))).rowcount
            return int(count + (await connection.execute(new)).rowcount)

    async def add_new(self) -> int:
        """Queue every call that was never queued. Raises StoreUnavailable."""
        return await self.add(CallQuery(order="oldest"))

    # -- working ------------------------------------------------------------------------------

    async def claim(self, limit: int = 1) -> list[Job]:
        """Take calls that are due, the oldest first. Raises StoreUnavailable."""
        now_ms = self._now_ms()
        due = (
            select(analysis_jobs.c.call_id)
            .where(analysis_jobs.c.state == "waiting", analysis_jobs.c.due_ms <= now_ms)
            .order_by(analysis_jobs.c.due_ms, analysis_jobs.c.call_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        taken = (
            update(analysis_jobs)
            .where(analysis_jobs.c.call_id.in_(select(due.c.call_id)))
            .values(
                due_ms=now_ms + LEASE_MS, owner=self.owner, attempts=analysis_jobs.c.attempts + 1
            )
            .returning(analysis_jobs.c.call_id, analysis_jobs.c.attempts)
        )
        async with self._write() as connection:
            return [Job(row.call_id, row.attempts) for row in await connection.execute(taken)]

    async def renew(self, ids: Sequence[str]) -> list[str]:
        """Hold on to claimed calls; those that are still ours. Raises StoreUnavailable."""
        held = and_(analysis_jobs.c.call_id.in_(ids), self._is_mine())
        longer = update(analysis_jobs).where(held).values(due_ms=self._now_ms() + LEASE_MS)
        async with self._write() as connection:
            kept = await connection.execute(longer.returning(analysis_jobs.c.call_id))
            return list(kept.scalars())

    async def release(self, ids: Sequence[str]) -> None:
        """Give back what was claimed and not finished: it is due at once, the attempt uncounted."""
        held = and_(analysis_jobs.c.call_id.in_(ids), self._is_mine())
        back = {"due_ms": 0, "owner": "", "attempts": analysis_jobs.c.attempts - 1}
        async with self._write() as connection:
            await connection.execute(update(analysis_jobs).where(held).values(back))

    async def steps_of(self, call_id: str) -> dict[str, Kept]:
        """What is kept of a call's steps."""
        wanted = select(analysis_steps).where(analysis_steps.c.call_id == call_id)
        async with self.store.database.begin() as connection:
            return {
                row.step: Kept(
                    row.step,
                    row.version,
                    row.basis,
                    row.state,
                    row.reason,
                    row.attempts,
                    row.result,
                )
                for row in await connection.execute(wanted)
            }

    async def keep_step(self, call_id: str, step: Kept) -> None:
        """Write a step down before the others are done. Raises LeaseLost, StoreUnavailable."""
        async with self._write() as connection:
            await self._hold(connection, call_id)
            await self._put_steps(connection, call_id, [step])

    async def finish(self, job: Job, found: Found) -> None:
        """Write what was found of a call, all or nothing. Raises LeaseLost, StoreUnavailable."""
        async with self._write() as connection:
            await self._hold(connection, job.call_id)
            await self._put_steps(connection, job.call_id, found.steps)
            again = found.state == "failed" and job.attempts < ATTEMPTS
            wait_ms = RETRY_MS[min(job.attempts, len(RETRY_MS)) - 1]
            await connection.execute(
                update(analysis_jobs)
                .where(analysis_jobs.c.call_id == job.call_id)
                .values(
                    state="waiting" if again else found.state,
                    due_ms=self._now_ms() + wait_ms if again else 0,
                    owner="",
                    graph=self._graph,
                    reason=found.reason[:256],
                    throttled_ms=None,
                )
            )
            if not again:
                await self._put_call(connection, job.call_id, found)

    async def throttle(self, job: Job) -> None:
        """A model refused for now: try later, without counting it. Raises StoreUnavailable."""
        now_ms = self._now_ms()
        held = and_(analysis_jobs.c.call_id == job.call_id, self._is_mine())
        since = func.coalesce(analysis_jobs.c.throttled_ms, now_ms)
        async with self._write() as connection:
            await connection.execute(
                update(analysis_jobs)
                .where(held)
                .values(
                    due_ms=now_ms + THROTTLED_MS,
                    owner="",
                    attempts=analysis_jobs.c.attempts - 1,
                    throttled_ms=since,
                )
            )

    async def drop(self, job: Job) -> None:
        """Forget a call that is no more. Raises StoreUnavailable."""
        async with self._write() as connection:
            gone = update(analysis_jobs).where(analysis_jobs.c.call_id == job.call_id)
            await connection.execute(
                gone.values(state="skipped", owner="", due_ms=0, reason="it was erased")
            )

    # -- telling ------------------------------------------------------------------------------

    async def stats(self, tenant: str | None = None) -> Json:
        """How far analysis is: calls by state, what waits and since when."""
        now_ms = self._now_ms()
        jobs, mine = analysis_jobs, _of(tenant)
        waits = jobs.c.state == "waiting"
        async with self.store.database.begin() as connection:
            counted = await connection.execute(
                select(jobs.c.state, func.count()).where(mine).group_by(jobs.c.state)
            )
            states = {row[0]: row[1] for row in counted}
            row = (
                await connection.execute(
                    select(
                        func.count(case((and_(jobs.c.owner != "", jobs.c.due_ms > now_ms), 1))),
                        func.min(calls.c.ended_ms),
                        func.min(jobs.c.throttled_ms),
                    )
                    .join(calls, calls.c.id == jobs.c.call_id)
                    .where(mine, waits)
                )
            ).one()
            never = and_(
                ~exists().where(jobs.c.call_id == calls.c.id),
                calls.c.deleted_ms.is_(None),
                literal(True) if tenant is None else calls.c.tenant == tenant,
            )
            unqueued, oldest = (
                await connection.execute(
                    select(func.count(), func.min(calls.c.ended_ms)).where(never)
                )
            ).one()
        since = min((at for at in (row[1], oldest) if at is not None), default=None)
        return {
            "waiting": states.get("waiting", 0) - row[0] + unqueued,
            "running": row[0],
            "completed": states.get("completed", 0),
            "skipped": states.get("skipped", 0),
            "failed": states.get("failed", 0),
            "oldest_waiting_s": None if since is None else max(0, now_ms - since) // 1000,
            "throttled_since_s": None if row[2] is None else max(0, now_ms - row[2]) // 1000,
        }

    async def explain(self, call_id: str) -> Json | None:
        """Each step of a call: state, reason, attempts; None where it was never queued."""
        wanted = select(analysis_jobs).where(analysis_jobs.c.call_id == call_id)
        async with self.store.database.begin() as connection:
            row = (await connection.execute(wanted)).first()
        if row is None:
            return None
        return {"job": dict(row._mapping), "steps": await self.steps_of(call_id)}

    # -- inside -------------------------------------------------------------------------------

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes: this worker's own wait for each other here, where SQLite
        would let them try for five seconds and then give up."""
        async with self._one_at_a_time, self.store.database.begin() as connection:
            yield connection

    def _is_mine(self) -> Any:
        return and_(analysis_jobs.c.state == "waiting", analysis_jobs.c.owner == self.owner)

    async def _hold(self, connection: AsyncConnection, call_id: str) -> None:
        """Renew the lease in this transaction: another that wants the row waits for its end."""
        held = and_(analysis_jobs.c.call_id == call_id, self._is_mine())
        longer = update(analysis_jobs).where(held).values(due_ms=self._now_ms() + LEASE_MS)
        if not (await connection.execute(longer)).rowcount:
            raise LeaseLost(call_id)

    async def _put_steps(
        self, connection: AsyncConnection, call_id: str, steps: Sequence[Kept]
    ) -> None:
        make = postgresql.insert if self.store.database.is_postgres else sqlite.insert
        for step in steps:
            row = {
                "call_id": call_id, "step": step.step, "version": step.version,
                "basis": step.basis, "state": step.state, "reason": step.reason,
                "attempts": step.attempts, "done_ms": self._now_ms(), "result": step.result,
            }  # fmt: skip
            put = make(analysis_steps).values(row)
            await connection.execute(
                put.on_conflict_do_update(index_elements=["call_id", "step"], set_=row)
            )

    async def _put_call(self, connection: AsyncConnection, call_id: str, found: Found) -> None:
        make = postgresql.insert if self.store.database.is_postgres else sqlite.insert
        row = (
            await connection.execute(
                select(calls.c.record, calls.c.tenant, calls.c.started_ms).where(
                    calls.c.id == call_id, calls.c.deleted_ms.is_(None)
                )
            )
        ).first()
        if row is None:  # erased meanwhile: nothing of it is written
            raise LeaseLost(call_id)
        before = row.record["derived"]
        if "text" not in (before.get("summary") or {"text": ""}):
            before = {**before, "details": before["summary"]}  # of the session itself
        derived = {**before, **found.derived, "alerts": _alerts(before, found.derived)}
        metrics = {**row.record["metrics"], **found.metrics}
        record = {**row.record, "derived": derived, "metrics": metrics, "processed": True}
        await connection.execute(
            update(calls)
            .where(calls.c.id == call_id)
            .values(
                record={**record, "processing_mode": "offline"},
                processed=True,
                alert=bool(derived["alerts"]),
                **found.columns,
            )
        )
        figures = {
            **found.figures, "call_id": call_id, "tenant": row.tenant,
            "started_ms": row.started_ms, "analysed_ms": self._now_ms(),
            "alerts": len(derived["alerts"]),
        }  # fmt: skip
        put = make(call_figures).values(figures)
        await connection.execute(
            put.on_conflict_do_update(index_elements=["call_id"], set_=figures)
        )
        await count_calls(connection, [call_id], self.store.zone_of)
        if self._also is not None:
            call = Call.model_validate(record)
            await self._also(connection, call)


def _alerts(before: Json, found: Json) -> list[Json]:
    """Those raised while the call lasted first, as they were told; then what was found later."""
    live = [alert for alert in before.get("alerts") or [] if not alert.get("is_later")]
    told = {(alert["kind"], tuple(alert.get("turns") or ())) for alert in live}
    kinds = {alert["kind"] for alert in live}
    later = [
        {**alert, "is_later": True}
        for alert in found.get("alerts") or []
        if (alert["kind"], tuple(alert["turns"])) not in told and alert["kind"] not in kinds
    ]
    return [*live, *later]


def _of(tenant: str | None) -> Any:
    return literal(True) if tenant is None else analysis_jobs.c.tenant == tenant


def is_given_up(job: Job) -> bool:
    """Whether so many workers died over it that no other tries."""
    return job.attempts > DEATHS
