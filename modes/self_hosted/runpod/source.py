"""Workers leased on RunPod: asked for when needed, kept warm, let go, never orphaned."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from config.runpod import RunpodSection
from modes.self_hosted.runpod.api import FINAL, RunpodApi
from modes.self_hosted.runpod.book import LeaseBook
from modes.self_hosted.runpod.cold_starts import ColdStarts
from modes.self_hosted.runpod.desk import LeaseDesk, Slot
from modes.self_hosted.runpod.lease import Lease, LeaseMeter
from modes.self_hosted.runpod.progress import describe_wait
from modes.self_hosted.source import Place
from penny.aio.tasks import TaskOwner
from penny.errors import ModeUnavailable
from penny.ids import new_id
from penny.session.mode import Availability, SessionSpec, WorkerState
from runpod_worker.lease import REDIAL_PAUSE_S, REDIALS, LeaseJob


log = structlog.get_logger()

POLL_S = 1.0
"""Between two looks at a job that no worker has taken yet, and between two looks at the table."""
GRACE_S = 60.0
"""RunPod may end the job this much after the lease: Penny ends it first, in an orderly way."""


class RunpodWorkers:
    """A WorkerSource of leased workers. At most ``max_workers`` leases at once.

    Args:
        api: None without a key; then the mode is unavailable and says so.
        session_max_s: longest session; a lease takes none that could outlive it.
        clock: the loop's clock, seconds. now: wall time, for the floor's hours.
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
    ) -> None:
        self._settings = settings
        self._api = api
        self._book = book
        self._cold_starts = cold_starts
        self._session_max_s = min(session_max_s, settings.lease_max_s)
        self._clock = clock
        self._now = now
        self._tasks = TaskOwner("runpod leases")
        self._changed = asyncio.Event()
        self.desk = LeaseDesk(clock, self._note_change)
        self._waiting = 0
        self._asking = 0
        self._floor: int | None = None
        self._trouble: ModeUnavailable | None = None
        self.spent_usd = 0.0
        """What leases that are over have cost, in US dollars."""

    def availability(self) -> Availability:
        if self._api is None:
            return Availability(
                False, "RUNPOD_API_KEY is not set", "export RUNPOD_API_KEY=… before starting Penny"
            )
        if self._trouble is not None and not self._trouble.retryable:
            return Availability(False, self._trouble.message, self._trouble.remedy)
        return Availability(True)

    def workers(self) -> list[WorkerState]:
        return [
            WorkerState(lease.id, lease.state, f"{len(lease.live)} live, {len(lease.spare)} free")
            for lease in self.desk.leases.values()
        ]

    async def start(self) -> None:
        """Cancel what an earlier gateway left behind; begin to watch over leases."""
        if self._api is None:
            return
        await asyncio.to_thread(self._cold_starts.load)
        for job_id in await asyncio.to_thread(self._book.orphans):
            log.warning("orphan_job_cancelled", job_id=job_id)
            await self._cancel(job_id)
        self._tasks.spawn(self._watch_over(), name="lease keeper")

    async def aclose(self) -> None:
        """End every lease and its job."""
        await self._tasks.aclose()
        for lease in list(self.desk.leases.values()):
            await self._end(lease, "gateway stops")

    # -- sessions -----------------------------------------------------------------------------

    async def acquire(self, spec: SessionSpec) -> Place:
        """A slot, now or when a worker has woken; ``spec.tell`` hears how long that may take.

        Raises:
            ModeUnavailable: ``cold_budget_exceeded`` after ``spec.patience_s``; all workers are
                full; RunPod refuses; or nothing came within ``cold_limit_s``.
        """
        started_s = self._clock()
        self._waiting += 1
        try:
            while True:
                changed = self._changed
                taken = await self.desk.take(spec.session_id, self._session_max_s)
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
            await self.desk.give_back(lease, slot, session_id)

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
        """See that enough workers are coming for those who wait; the one awaited first."""
        coming = [lease for lease in self.desk.leases.values() if lease.is_coming()]
        # A lease that is attached may have slots on their way: the worker dials them afresh.
        dialling = sum(
            max(0, lease.slots - len(lease.live))
            for lease in self.desk.leases.values()
            if lease.takes_sessions(self._clock(), self._session_max_s)
        )
        room = dialling + (len(coming) + self._asking) * self._settings.slots
        if self._waiting > room:
            if len(self.desk.leases) + self._asking < self._settings.max_workers:
                coming.append(await self._ask_for_worker())
            elif not room:
                raise ModeUnavailable(
                    f"all {self._settings.max_workers} leased workers are full",
                    remedy="try again later, or raise runpod.max_workers",
                    retryable=True,
                )
        return coming[0] if coming else None

    async def _ask_for_worker(self) -> Lease:
        assert self._api is not None
        now_s = self._clock()
        lease_id = new_id("lease")
        token, key = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        job = LeaseJob(
            gateway_ws=self._settings.gateway_url or "",
            lease_id=lease_id,
            token=token,
            slots=self._settings.slots,
        )
        self._asking += 1
        try:
            health = await self._api.health()
            job_id = await self._api.run(
                job.model_dump(),
                execution_timeout_s=self._settings.lease_max_s + GRACE_S,
                ttl_s=self._settings.lease_max_s + GRACE_S + self._settings.cold_limit_s,
            )
        except ModeUnavailable as error:
            self._trouble = error
            raise
        finally:
            self._asking -= 1
        self._trouble = None
        lease = Lease(
            id=lease_id,
            job_id=job_id,
            token=token,
            key=key,
            slots=self._settings.slots,
            asked_s=now_s,
            expires_s=now_s + self._settings.lease_max_s,
            kind="warm" if health.ready else "cold",
            meter=LeaseMeter(self._settings.usd_per_hour, now_s),
        )
        self._book.enter(job_id)
        self.desk.expect(lease)
        self._spawn(self._await_worker(lease), f"lease {lease_id}")
        log.info("lease_asked", lease_id=lease_id, job_id=job_id, kind=lease.kind)
        return lease

    async def _await_worker(self, lease: Lease) -> None:
        """Follow a job until its worker has dialled in, or it is clear that none will."""
        assert self._api is not None
        while lease.is_coming():
            changed = self._changed
            if self._clock() - lease.asked_s > self._settings.cold_limit_s:
                await self._end(lease, "no worker took the job in time")
                return
            try:
                job = await self._api.status(lease.job_id)
                if job.get("status") in FINAL:
                    await self._end(lease, f"the job ended as {job['status']}")
                    return
                lease.stage = await self._stage(str(job.get("status")))
            except ModeUnavailable as error:
                log.warning("lease_not_followed", lease_id=lease.id, reason=error.message)
            await _wait_for(changed)
        if lease.state == "attached":
            self._cold_starts.record(lease.kind, self._clock() - lease.asked_s)

    async def _stage(self, status: str) -> str:
        if status == "IN_PROGRESS":
            return "connecting"
        assert self._api is not None
        health = await self._api.health()
        if health.initializing:
            return "loading_models"
        return "no_machine_free" if health.throttled and not health.ready else "leasing_worker"

    async def _watch_over(self) -> None:
        while True:
            now_s = self._clock()
            for lease in list(self.desk.leases.values()):
                reason = self._over(lease, now_s)
                if reason:
                    await self._end(lease, reason)
                elif lease.state == "attached" and not lease.takes_sessions(
                    now_s, self._session_max_s
                ):
                    await self.desk.drain(lease)
            await self._keep_floor()
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

    async def _end(self, lease: Lease, reason: str) -> None:
        if lease.id not in self.desk.leases:
            return
        await self.desk.strike(lease)
        self.spent_usd += lease.meter.total_usd(self._clock())
        await self._cancel(lease.job_id)
        log.info(
            "lease_ended",
            lease_id=lease.id,
            reason=reason,
            usd=round(lease.meter.total_usd(self._clock()), 4),
        )

    async def _cancel(self, job_id: str) -> None:
        assert self._api is not None
        try:
            await self._api.cancel(job_id)
        except ModeUnavailable as error:
            # A job that is gone answers 404: that is what was wanted. Anything else stays in the
            # book, and the next start tries again.
            log.warning("job_not_cancelled", job_id=job_id, reason=error.message)
            if error.retryable:
                return
        self._book.cross_out(job_id)

    async def _keep_floor(self) -> None:
        """Tell RunPod how many workers shall wait, when that has changed."""
        if not self._settings.floor or self._api is None:
            return
        wanted = self._settings.floor_at(self._now())
        if wanted == self._floor:
            return
        try:
            await self._api.keep_workers(wanted)
        except ModeUnavailable as error:
            log.warning("floor_not_set", workers=wanted, reason=error.message)
            return
        self._floor = wanted
        log.info("floor_set", workers=wanted)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.spawn(work, name=name)

    def _note_change(self) -> None:
        """Wake everyone who looked at the table before this, and nobody who looks after."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _wait_for(changed: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_S):
            await changed.wait()
