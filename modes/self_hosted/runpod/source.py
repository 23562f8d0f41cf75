"""Workers leased on RunPod: asked for when needed, kept warm, let go, never orphaned."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from config.credentials import RUNPOD_API_KEY, export_first, is_not_set
from config.runpod import RunpodSection
from modes.self_hosted.runpod.api import FINAL, RunpodApi
from modes.self_hosted.runpod.book import LeaseBook
from modes.self_hosted.runpod.cold_starts import ColdStarts
from modes.self_hosted.runpod.lease import Lease, LeaseMeter
from modes.self_hosted.runpod.pool import LeasePool
from modes.self_hosted.runpod.progress import describe_wait
from modes.self_hosted.runpod.reaper import POLL_S, WORKER_RETURNS_S, LeaseReaper
from modes.self_hosted.runpod.registry import LeaseRegistry, Slot
from modes.self_hosted.source import Place
from penny.aio.tasks import TaskOwner
from penny.errors import ModeUnavailable
from penny.ids import new_id
from penny.session.mode import Availability, SessionSpec, WorkerState
from runpod_worker.lease import LeaseJob


log = structlog.get_logger()

GRACE_S = 60.0
"""RunPod may end the job this much after the lease: Penny ends it first, in an orderly way."""


class RunpodWorkers:
    """WorkerSource that leases workers on RunPod, ``max_workers`` at once for all gateways.

    Args:
        api: None without a key; then the mode is unavailable and says so.
        pool: what several gateways share; None: this one is alone.
        session_max_s: longest session; a lease takes none that could outlive it.
        clock: the loop's clock, seconds. now: wall time, for the hours of `min_workers`.
    """

    def __init__(
        self,
        settings: RunpodSection,
        api: RunpodApi | None,
        book: LeaseBook,
        cold_starts: ColdStarts,
        *,
        session_max_s: float,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pool: LeasePool | None = None,
        worker_returns_s: float = WORKER_RETURNS_S,
    ) -> None:
        self._settings = settings
        self._api = api
        self._book = book
        self._cold_starts = cold_starts
        self._session_max_s = min(session_max_s, settings.lease_max_s)
        self._clock = clock
        self._pool = pool
        self._tasks = TaskOwner("runpod leases")
        self._changed = asyncio.Event()
        self.registry = LeaseRegistry(clock, self._note_change, pool)
        self.registry.on_adopted = self._take_over
        self.reaper = LeaseReaper(
            settings,
            api,
            self.registry,
            book,
            cold_starts,
            pool,
            session_max_s=self._session_max_s,
            clock=clock,
            now=now,
            worker_returns_s=worker_returns_s,
        )
        self._waiting = 0
        self._deciding = asyncio.Lock()
        self._trouble: ModeUnavailable | None = None

    def availability(self) -> Availability:
        if self._api is None:
            return Availability(False, is_not_set(RUNPOD_API_KEY), export_first(RUNPOD_API_KEY))
        if self._trouble is not None and not self._trouble.retryable:
            return Availability(False, self._trouble.message, self._trouble.remedy)
        return Availability(True)

    def workers(self) -> list[WorkerState]:
        """This gateway's, then those that others hold."""
        own = [
            WorkerState(lease.id, lease.state, f"{len(lease.live)} live, {len(lease.spare)} free")
            for lease in self.registry.leases.values()
        ]
        others = [] if self._pool is None else list(self._pool.others.values())
        return own + [
            WorkerState(le.id, le.state, f"{le.live} live, {le.free} free, at another gateway")
            for le in others
        ]

    async def start(self) -> None:
        """Cancel what an earlier gateway left behind; begin to watch over leases."""
        if self._api is None:
            return
        await self.reaper.begin()
        if self._pool is not None:
            self._tasks.spawn(self.reaper.stay_in_touch(self._changes), name="lease pool")
        self._tasks.spawn(self.reaper.watch_over(), name="lease reaper")

    async def aclose(self) -> None:
        """End every lease and its job."""
        await self._tasks.aclose()
        await self.reaper.close()
        await self.registry.aclose()
        if self._pool is not None:
            await self._pool.aclose()

    # -- sessions -----------------------------------------------------------------------------

    async def acquire(self, spec: SessionSpec) -> Place:
        """A slot, now or when a worker has woken; ``spec.tell`` hears how long that may take.

        Raises:
            ModeUnavailable: ``cold_budget_exceeded`` after ``spec.patience_s``; all workers are
                full; RunPod refuses; or nothing came within ``cold_limit_s``.
        """
        started_s = self._clock()
        traceparent = spec.trace.traceparent if spec.trace is not None else ""
        self._waiting += 1
        try:
            while True:
                changed = self._changed
                taken = await self.registry.take(spec.session_id, self._session_max_s, traceparent)
                if taken is not None:
                    return self._place(spec.session_id, *taken)
                awaited = await self._provide()
                waited_s = self._clock() - started_s
                self._check_patience(spec, waited_s)
                spec.tell(describe_wait(awaited, self._cold_starts, self._clock(), spec.language))
                await _wait_for(changed)
        finally:
            self._waiting -= 1

    def _place(self, session_id: str, lease: Lease, slot: Slot) -> Place:
        async def release() -> None:
            await self.registry.give_back(lease, slot, session_id)

        def spent_usd() -> float:
            return lease.meter.share_usd(session_id, self._clock())

        return Place(slot.socket, lease.info, release, spent_usd)

    def _check_patience(self, spec: SessionSpec, waited_s: float) -> None:
        if spec.patience_s is not None and waited_s >= spec.patience_s:
            raise ModeUnavailable(
                f"no worker was ready within {spec.patience_s:g} s; one is waking up",
                remedy="try again in a minute",
                retryable=True,
                code="cold_budget_exceeded",
            )
        if waited_s >= self._settings.cold_limit_s:
            raise ModeUnavailable(
                f"no worker was ready within {self._settings.cold_limit_s:g} s",
                remedy="look at the endpoint's workers and logs at RunPod, or raise "
                "runpod.cold_limit_s",
                retryable=True,
            )

    # -- leases -------------------------------------------------------------------------------

    async def _provide(self) -> Lease | None:
        """Ask for another worker if this gateway's are too few; the one awaited first."""
        leases = self.registry.leases
        async with self._deciding:  # two sessions that arrive together share a new worker
            room = sum(
                lease.room()
                for lease in leases.values()
                if lease.is_coming() or lease.takes_sessions(self._clock(), self._session_max_s)
            )
            lease = self._new_lease()
            asks = self._waiting > room and await self._may_ask(lease)
            if asks:
                self.registry.expect(lease)
        if asks:
            await self._ask_for_worker(lease)
        elif not room:
            raise ModeUnavailable(
                f"all {self._settings.max_workers} leased workers are full",
                remedy="try again later, or raise runpod.max_workers",
                retryable=True,
            )
        return next((lease for lease in leases.values() if lease.is_coming()), None)

    async def _may_ask(self, lease: Lease) -> bool:
        """Whether ``max_workers`` allows ``lease``; counts the leases of all gateways."""
        most, others = self._settings.max_workers, 0
        if self._pool is not None:
            reserved = await self._pool.reserve(lease, most)
            if reserved is not None:
                return reserved
            others = len(self._pool.others)
        return len(self.registry.leases) + others < most

    def _new_lease(self) -> Lease:
        now_s = self._clock()
        return Lease(
            id=new_id("lease"),
            job_id="",
            token=secrets.token_urlsafe(24),
            key=secrets.token_urlsafe(24),
            slots=self._settings.slots,
            asked_s=now_s,
            expires_s=now_s + self._settings.lease_max_s,
            kind="cold",
            meter=LeaseMeter(self._settings.usd_per_hour, now_s),
        )

    async def _ask_for_worker(self, lease: Lease) -> None:
        """Queue the job of a lease that the registry expects. Raises ModeUnavailable."""
        assert self._api is not None
        job = LeaseJob(
            gateway_ws=self._settings.gateway_url or "",
            lease_id=lease.id,
            token=lease.token,
            slots=lease.slots,
        )
        try:
            health = await self._api.health()
            lease.kind = "warm" if health.ready else "cold"
            lease.job_id = await self._api.run(
                job.model_dump(),
                execution_timeout_s=self._settings.lease_max_s + GRACE_S,
                ttl_s=self._settings.lease_max_s + GRACE_S + self._settings.cold_limit_s,
            )
        except BaseException as error:
            if isinstance(error, ModeUnavailable):
                self._trouble = error
            await asyncio.shield(self.reaper.end(lease, "it could not be asked for"))
            raise
        self._trouble = None
        self._book.enter(lease.job_id)
        if self._pool is not None:
            await self.reaper.sync()  # any gateway that its worker dials knows the job
        self._tasks.spawn(self._await_worker(lease), name=f"lease {lease.id}")
        log.info("lease_asked", lease_id=lease.id, job_id=lease.job_id, kind=lease.kind)

    def _take_over(self, lease: Lease) -> None:
        """A worker of another gateway's lease has dialled in here: it is this one's now."""
        log.info("lease_taken_over", lease_id=lease.id, state=lease.state)
        if lease.job_id:  # else its first gateway has only just asked, and it ends with its worker
            self._book.enter(lease.job_id)
        if lease.is_coming():
            self._tasks.spawn(self._await_worker(lease), name=f"lease {lease.id}")

    async def _await_worker(self, lease: Lease) -> None:
        """Follow a job until its worker has dialled in, or it is clear that none will."""
        assert self._api is not None
        while lease.is_coming():
            changed = self._changed
            if self._clock() - lease.asked_s > self._settings.cold_limit_s:
                await self.reaper.end(lease, "no worker took the job in time")
                return
            try:
                job = await self._api.status(lease.job_id)
                if job.get("status") in FINAL:
                    await self.reaper.end(lease, f"the job ended as {job['status']}")
                    return
                lease.stage = await self._stage(str(job.get("status")))
            except ModeUnavailable as error:
                log.warning("lease_not_followed", lease_id=lease.id, reason=error.message)
            await _wait_for(changed)
        if lease.state == "attached":
            await self.reaper.record_start(lease)

    async def _stage(self, status: str) -> str:
        if status == "IN_PROGRESS":
            return "connecting"
        assert self._api is not None
        health = await self._api.health()
        if health.initializing:
            return "loading_models"
        return "no_machine_free" if health.throttled and not health.ready else "leasing_worker"

    def _note_change(self) -> None:
        """Wake the sessions that looked at the table before this, and none that look after."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _changes(self) -> None:
        await _wait_for(self._changed)


async def _wait_for(changed: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_S):
            await changed.wait()
