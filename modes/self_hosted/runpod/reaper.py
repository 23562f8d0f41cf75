"""Lease reaper: ends expired leases, reclaims those of crashed gateways, keeps `min_workers`.

A lease is ended only by the gateway that holds it. What belongs to no gateway (`min_workers`, the
leases of crashed ones) is done by one gateway at a time, elected in Redis (`sync.lua`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from config.runpod import RunpodSection
from modes.self_hosted.runpod.api import FINAL, RunpodApi
from modes.self_hosted.runpod.book import LeaseBook
from modes.self_hosted.runpod.cold_starts import ColdStarts
from modes.self_hosted.runpod.lease import Lease
from modes.self_hosted.runpod.pool import LeasePool
from modes.self_hosted.runpod.record import LeaseRecord
from modes.self_hosted.runpod.registry import LeaseRegistry
from penny.errors import ModeUnavailable
from runpod_worker.lease import CONTROL_HEARTBEAT_S, REDIAL_PAUSE_S, REDIALS


log = structlog.get_logger()

POLL_S = 1.0
"""Between two looks at the table, and between two writes to Redis."""
SYNC_GAP_S = 0.05
"""Changes closer together than this are written together."""
SWEEP_S = 2.0
WORKER_RETURNS_S = 1.5 * CONTROL_HEARTBEAT_S + REDIALS * REDIAL_PAUSE_S + 15.0
"""A worker whose gateway is gone has returned its job after this; one that has not is cancelled."""


class LeaseReaper:
    """Periodic upkeep of the lease table: idle release, draining, sweep, `min_workers`.

    Args:
        session_max_s: longest session; a lease that ends sooner takes no more.
        now: wall time, for the hours of `min_workers`.
        worker_returns_s: see WORKER_RETURNS_S.
    """

    def __init__(
        self,
        settings: RunpodSection,
        api: RunpodApi | None,
        registry: LeaseRegistry,
        book: LeaseBook,
        cold_starts: ColdStarts,
        pool: LeasePool | None,
        *,
        session_max_s: float,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        worker_returns_s: float,
    ) -> None:
        self._settings = settings
        self._api = api
        self._registry = registry
        self._book = book
        self._cold_starts = cold_starts
        self._pool = pool
        self._session_max_s = session_max_s
        self._clock = clock
        self._now = now
        self._worker_returns_s = worker_returns_s
        self._min_workers: int | None = None
        self._swept_s = 0.0
        self.spent_usd = 0.0
        """What leases that are over have cost, in US dollars."""

    # -- beside the others --------------------------------------------------------------------

    async def begin(self) -> None:
        """Cancel what an earlier gateway left behind. A living gateway's jobs are not touched."""
        await asyncio.to_thread(self._cold_starts.load)
        held: set[str] = set()
        if self._pool is not None and await self.sync():
            held = {lease.job_id for lease in self._pool.others.values()}
            for kind, seconds in self._pool.starts.items():
                if not seconds and self._cold_starts.seconds(kind):
                    await self._pool.record_start(kind, self._cold_starts.seconds(kind))
        for job_id in await asyncio.to_thread(self._book.open):
            if job_id in held:
                self._book.cross_out(job_id)  # another gateway's now, or the sweep's
            else:
                log.warning("orphan_job_cancelled", job_id=job_id)
                await self.cancel(job_id)

    async def sync(self) -> bool:
        """Write what is held here and read what the others hold; False when Redis is lost."""
        assert self._pool is not None
        lost = await self._pool.sync(list(self._registry.leases.values()))
        if lost is None:
            return False
        for lease_id in lost:
            lease = self._registry.leases.get(lease_id)
            if lease is not None:
                log.info("lease_gone_to_another_gateway", lease_id=lease_id)
                self._book.cross_out(lease.job_id)
                await self._registry.let_go(lease)
        for kind, seconds in self._pool.starts.items():
            self._cold_starts.learn(kind, seconds)
        return True

    async def stay_in_touch(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Sync for ever. A task of its own: a slow answer of RunPod must not look like a crash.

        Args:
            wait: until something has changed in the registry, at most ``POLL_S``.
        """
        while True:
            await self.sync()
            await asyncio.sleep(SYNC_GAP_S)
            await wait()

    async def record_start(self, lease: Lease) -> None:
        took_s = self._clock() - lease.asked_s
        self._cold_starts.record(lease.kind, took_s)
        if self._pool is not None:
            await self._pool.record_start(lease.kind, [took_s])

    # -- leases of this gateway ---------------------------------------------------------------

    async def watch_over(self) -> None:
        while True:
            now_s = self._clock()
            for lease in list(self._registry.leases.values()):
                reason = self._over(lease, now_s)
                if reason:
                    await self.end(lease, reason)
                elif lease.state == "attached" and not lease.takes_sessions(
                    now_s, self._session_max_s
                ):
                    await self._registry.drain(lease)
            if self._decides():
                await self._keep_min_workers()
            if self._pool is not None and self._pool.is_reaper and now_s >= self._swept_s + SWEEP_S:
                self._swept_s = now_s
                await self._sweep(self._pool)
            await asyncio.sleep(POLL_S)

    def _over(self, lease: Lease, now_s: float) -> str:
        """Why the lease is to end now; empty when it is not."""
        if lease.state == "detached" and now_s - lease.detached_s > REDIALS * REDIAL_PAUSE_S:
            return "the worker did not come back"
        if lease.live:
            return ""
        if lease.state == "draining":
            return "drained"
        if lease.state == "attached" and now_s - lease.idle_since_s >= self._settings.warm_s:
            return "idle"
        return ""

    async def end(self, lease: Lease, reason: str) -> None:
        if lease.id not in self._registry.leases:
            return
        await self._registry.strike(lease)
        usd = lease.meter.total_usd(self._clock())
        self.spent_usd += usd
        if lease.job_id:
            await self.cancel(lease.job_id)
        if self._pool is not None:
            await self._pool.forget(lease.id)
        log.info("lease_ended", lease_id=lease.id, reason=reason, usd=round(usd, 4))

    async def close(self) -> None:
        """This gateway stops: end all its leases."""
        for lease in list(self._registry.leases.values()):
            await self.end(lease, "gateway stops")
        self._book.close()

    async def cancel(self, job_id: str) -> bool:
        """Whether RunPod's answer means that no worker has this job any more."""
        assert self._api is not None
        try:
            await self._api.cancel(job_id)
        except ModeUnavailable as error:
            # A job that is gone answers 404: that is what was wanted. Anything else stays in the
            # book, and the next start tries again.
            log.warning("job_not_cancelled", job_id=job_id, reason=error.message)
            if error.retryable:
                return False
        self._book.cross_out(job_id)
        return True

    # -- what belongs to no gateway -----------------------------------------------------------

    def _decides(self) -> bool:
        return self._pool is None or self._pool.is_reaper or not self._pool.shared

    async def _sweep(self, pool: LeasePool) -> None:
        """End the leases of gateways that have written nothing for ``lease_s``.

        Only when Redis itself was there all the time: after an outage every record is silent, and
        its gateway may be well.
        """
        if not pool.knows_the_dead():
            return
        for lease in list(pool.others.values()):
            if lease.silent_s > pool.lease_s and await self._is_unclaimed(lease, pool):
                log.warning("dead_gateways_lease_swept", lease_id=lease.id, node=lease.node)
                await pool.forget(lease.id)

    async def _is_unclaimed(self, lease: LeaseRecord, pool: LeasePool) -> bool:
        """Cancel it, unless its worker may still return by itself."""
        assert self._api is not None
        if not lease.job_id:
            return True
        try:
            status = str((await self._api.status(lease.job_id)).get("status"))
        except ModeUnavailable as error:
            return not error.retryable
        if status in FINAL:
            return True
        if status == "IN_PROGRESS" and lease.silent_s < pool.lease_s + self._worker_returns_s:
            return False
        return await self.cancel(lease.job_id)

    async def _keep_min_workers(self) -> None:
        """Set the endpoint's `workers.min` when the hour asks for another number."""
        if not self._settings.min_workers or self._api is None:
            return
        wanted = self._settings.min_workers_at(self._now())
        if wanted == self._min_workers:
            return
        try:
            await self._api.keep_workers(wanted)
        except ModeUnavailable as error:
            log.warning("min_workers_not_set", workers=wanted, reason=error.message)
            return
        self._min_workers = wanted
        log.info("min_workers_set", workers=wanted)
