"""Where rented workers arrive: checks who dials in, keeps their sockets, gives slots out.

Acquired and released: a lease begins with ``expect`` and leaves the table in ``strike``; its
control socket is read here until it breaks; a slot's handler stays until its session is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import orjson
import structlog
from aiohttp import web

from modes.self_hosted.runpod.lease import Json, Lease, digest, same
from modes.self_hosted.runpod.pool import LeasePool
from modes.self_hosted.runpod.record import SlotRequest
from penny.aio.tasks import TaskOwner
from runpod_worker import lease as said


log = structlog.get_logger()

SLOT_ANSWER_S = 5.0
"""How long a worker may take to answer that a slot is open."""


@dataclass(slots=True, eq=False)
class Slot:
    """A socket that the worker dialled; ``over`` lets its handler return.

    ``reader`` reads it while it rests: only a socket that is read answers its worker's pings and
    tells when its worker is gone.
    """

    socket: web.WebSocketResponse
    over: asyncio.Event = field(default_factory=asyncio.Event)
    reader: asyncio.Task[None] | None = None

    async def wake(self) -> None:
        """Nobody reads it any more: from here on its session does."""
        if self.reader is not None:
            self.reader.cancel()
            await asyncio.wait([self.reader])

    async def close(self) -> None:
        await self.wake()
        self.over.set()
        await self.socket.close()


class LeaseDesk:
    """All leases of this gateway.

    Args:
        clock: the loop's clock, seconds.
        on_change: called when a lease attached, broke, or a slot became free.
        pool: what several gateways share; None: this one is alone.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        on_change: Callable[[], None],
        pool: LeasePool | None = None,
    ) -> None:
        self._clock = clock
        self.note_change = on_change
        self._pool = pool
        self._tasks = TaskOwner("lease slots")
        self._borrowed: dict[str, asyncio.Future[Slot]] = {}
        self.leases: dict[str, Lease] = {}
        self.on_adopted: Callable[[Lease], None] = lambda _lease: None
        """Called when a worker of another gateway's lease has come here to stay."""

    async def aclose(self) -> None:
        """After the last lease was struck."""
        await self._tasks.aclose()

    def expect(self, lease: Lease) -> None:
        self.leases[lease.id] = lease

    async def strike(self, lease: Lease) -> None:
        """The lease is over: close what it still holds. Idempotent."""
        lease.state = "ended"
        self.leases.pop(lease.id, None)
        if lease.control is not None and not lease.control.closed:
            await _tell(lease, said.END)
            await lease.control.close()
        while lease.spare:
            await lease.spare.popleft().close()
        self.note_change()

    async def drain(self, lease: Lease) -> None:
        """Give it no more sessions; its worker returns when the last has ended."""
        if lease.state in ("attached", "detached"):
            lease.state = "draining"
            await _tell(lease, said.DRAIN)

    async def let_go(self, lease: Lease) -> None:
        """The lease is another gateway's now: its worker is told nothing."""
        self.leases.pop(lease.id, None)
        lease.state = "ended"
        if lease.control is not None:
            await lease.control.close()
        while lease.spare:
            await lease.spare.popleft().close()
        self.note_change()

    # -- the door -----------------------------------------------------------------------------

    async def admits(self, lease_id: str, credential: str, *, slot: bool, loan: bool) -> bool:
        """Whether this caller may come in. The token opens one control socket of one gateway."""
        if loan:
            return digest(credential) in self._borrowed
        lease = self.leases.get(lease_id)
        if slot:
            return lease is not None and same(credential, lease.key)
        claim = None
        if self._pool is not None:
            claim = await self._pool.claim(lease_id, credential, lease)
        if claim is None:
            return lease is not None and lease.admits(credential)
        if isinstance(claim, Lease):
            self.leases[lease_id] = claim
            self.on_adopted(claim)
            return True
        return claim and lease is not None and lease.admits(credential)

    async def attend_control(self, lease_id: str, socket: web.WebSocketResponse) -> None:
        """Read a control socket until it ends."""
        lease = self.leases.get(lease_id)
        if lease is None:  # it ended while its worker came in
            await socket.close(code=1001)
            return
        previous, lease.control = lease.control, socket
        if previous is not None:
            await previous.close()
        await socket.send_str(orjson.dumps({"type": said.ACCEPTED, "key": lease.key}).decode())
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._hear(lease, orjson.loads(message.data))
        except ValueError:
            log.warning("worker_not_understood", lease_id=lease.id)
        finally:
            if lease.control is socket and lease.state in ("attached", "draining"):
                lease.state = "detached"
                lease.detached_s = self._clock()
                log.warning("lease_detached", lease_id=lease.id, sessions=len(lease.live))
                self.note_change()

    async def attend_slot(self, lease_id: str, socket: web.WebSocketResponse) -> None:
        """Keep a slot until its session is over or its lease is."""
        lease = self.leases.get(lease_id)
        if lease is None or len(lease.spare) + len(lease.live) >= said.SLOT_LIMIT:
            await socket.close(code=1008, message=b"too many slots")
            return
        slot = Slot(socket)
        slot.reader = self._tasks.spawn(self._rest(lease, slot), name="resting slot")
        lease.spare.append(slot)
        self.note_change()
        await slot.over.wait()

    async def _rest(self, lease: Lease, slot: Slot) -> None:
        """Withdraw a slot whose worker is gone, or that speaks before it is asked."""
        await slot.socket.receive()
        if slot in lease.spare:
            lease.spare.remove(slot)
            log.info("slot_withdrawn", lease_id=lease.id, spare=len(lease.spare))
        slot.reader = None
        await slot.close()
        self.note_change()

    def _hear(self, lease: Lease, message: Json) -> None:
        if message.get("type") == said.READY:
            lease.info = message.get("info") or {}
            lease.state = "attached"
            lease.idle_since_s = self._clock()
            log.info("lease_attached", lease_id=lease.id, slots=message.get("slots"))
            self.note_change()

    # -- slots --------------------------------------------------------------------------------

    async def take(
        self, session_id: str, session_max_s: float, traceparent: str = ""
    ) -> tuple[Lease, Slot] | None:
        """A free slot whose worker has just answered; None when there is none."""
        for lease in list(self.leases.values()):
            while lease.spare and lease.takes_sessions(self._clock(), session_max_s):
                slot: Slot = lease.spare.popleft()
                lease.live.add(session_id)
                opened = False
                try:
                    await slot.wake()
                    opened = await _open(slot, traceparent)
                finally:
                    if not opened:
                        lease.live.discard(session_id)
                        slot.over.set()
                if opened:
                    lease.meter.open(session_id, self._clock())
                    return lease, slot
        return None

    async def give_back(self, lease: Lease, slot: Slot, session_id: str) -> None:
        """The session is over: its socket is closed, and the worker dials a fresh one."""
        self._settle(lease, session_id)
        await slot.close()
        self.note_change()

    def _settle(self, lease: Lease, session_id: str) -> None:
        lease.live.discard(session_id)
        lease.meter.close(session_id, self._clock())
        lease.idle_since_s = self._clock()

    # -- loans --------------------------------------------------------------------------------

    def lend(self, request: SlotRequest, session_max_s: float) -> bool:
        """Send a resting slot to the gateway that asks for one; False when none is free."""
        lease = self.leases.get(request.lease)
        if (
            lease is None
            or not lease.spare
            or not lease.takes_sessions(self._clock(), session_max_s)
        ):
            return False
        loan = f"loan {digest(request.loan)[:16]}"
        slot: Slot = lease.spare.popleft()
        lease.live.add(loan)
        lease.loans.add(loan)
        lease.meter.open(loan, self._clock())
        told = {"type": said.SLOT_LEND, "gateway_ws": request.url, "loan": request.loan}
        self._tasks.spawn(self._attend_loan(lease, slot, loan, told), name=loan)
        self.note_change()
        return True

    async def _attend_loan(self, lease: Lease, slot: Slot, loan: str, told: Json) -> None:
        """Count a lent slot as taken for as long as its worker keeps this socket open."""
        log.info("slot_lent", lease_id=lease.id)
        try:
            await slot.wake()
            await slot.socket.send_str(orjson.dumps(told).decode())
            async for _ in slot.socket:
                pass
        except ConnectionError:
            pass  # the socket is gone: so is the loan
        finally:
            lease.loans.discard(loan)
            await self.give_back(lease, slot, loan)

    async def borrow(
        self, loan: str, wait_s: float, ask: Awaitable[None], traceparent: str = ""
    ) -> Slot | None:
        """Ask another gateway for a slot, and open the one that comes; None when none does."""
        coming = self._borrowed[digest(loan)] = asyncio.get_running_loop().create_future()
        opened = False
        try:
            await ask
            async with asyncio.timeout(wait_s):
                slot = await asyncio.shield(coming)
            opened = await _open(slot, traceparent)
        except TimeoutError:
            return None
        finally:
            self._borrowed.pop(digest(loan), None)
            if coming.done() and not opened:
                # Its handler returns, and the worker takes the slot home.
                coming.result().over.set()
        return slot if opened else None

    async def attend_borrowed(self, loan: str, socket: web.WebSocketResponse) -> None:
        """Keep a borrowed slot until its session is over."""
        coming = self._borrowed.get(digest(loan))
        if coming is None or coming.done():
            await socket.close(code=1008, message=b"too late")
            return
        slot = Slot(socket)
        coming.set_result(slot)
        await slot.over.wait()


async def _open(slot: Slot, traceparent: str) -> bool:
    """Whether its worker takes a session; ``traceparent`` of that one, if it is traced."""
    told = {"type": said.SLOT_OPEN}
    if traceparent:
        told["traceparent"] = traceparent
    try:
        async with asyncio.timeout(SLOT_ANSWER_S):
            await slot.socket.send_str(orjson.dumps(told).decode())
            async for message in slot.socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return False
                return bool(orjson.loads(message.data).get("type") == said.SLOT_OPENED)
    except (ConnectionError, TimeoutError, ValueError):
        pass
    log.info("slot_did_not_answer")
    return False


async def _tell(lease: Lease, kind: str) -> None:
    if lease.control is None or lease.control.closed:
        return
    try:
        await lease.control.send_str(orjson.dumps({"type": kind}).decode())
    except ConnectionError:
        log.info("worker_not_told", lease_id=lease.id, message=kind)
