"""The leases of this gateway: admits their workers, keeps their sockets, hands out slots.

Acquired and released: a lease begins with ``expect`` and leaves the table in ``strike``; its
control socket is read here until it breaks; a slot's handler stays until its session is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
import structlog

from modes.self_hosted.runpod.lease import Json, Lease, same
from modes.self_hosted.runpod.pool import LeasePool
from penny.aio.tasks import TaskOwner
from penny.aio.websocket import SocketConnection
from runpod_worker import lease as protocol


log = structlog.get_logger()

SLOT_ANSWER_S = 5.0
"""How long a worker may take to answer that a slot is open."""


@dataclass(slots=True, eq=False)
class Slot:
    """One session's place in a worker: a socket that the worker dialled.

    ``reader`` reads it while no session does: only a socket that is read answers its worker's pings
    and tells when its worker is gone. ``over`` lets its HTTP handler return.
    """

    socket: SocketConnection
    over: asyncio.Event = field(default_factory=asyncio.Event)
    reader: asyncio.Task[None] | None = None

    async def wake(self) -> None:
        """Stop ``reader``: from here on a session reads the socket."""
        if self.reader is not None:
            self.reader.cancel()
            await asyncio.wait([self.reader])

    async def close(self) -> None:
        await self.wake()
        self.over.set()
        await self.socket.close()


class LeaseRegistry:
    """Table of this gateway's leases, and the server side of their workers' sockets.

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
        if lease.control is not None and lease.control.is_open:
            _send(lease, protocol.END)
            await lease.control.close()
        while lease.spare:
            await lease.spare.popleft().close()
        self.note_change()

    async def drain(self, lease: Lease) -> None:
        """Give it no more sessions; its worker returns when the last has ended."""
        if lease.state in ("attached", "detached"):
            lease.state = "draining"
            _send(lease, protocol.DRAIN)

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

    async def admits(self, lease_id: str, credential: str, *, slot: bool) -> bool:
        """Whether this caller may come in. The token opens one control socket of one gateway."""
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

    async def attend_control(self, lease_id: str, socket: SocketConnection) -> None:
        """Read a control socket until it ends."""
        lease = self.leases.get(lease_id)
        if lease is None:  # it ended while its worker came in
            await socket.close(1001)
            return
        previous, lease.control = lease.control, socket
        if previous is not None:
            await previous.close()
        socket.send_text(orjson.dumps({"type": protocol.ACCEPTED, "key": lease.key}))
        try:
            while (message := await socket.receive()) is not None:
                self._hear(lease, orjson.loads(message))
        except ValueError:
            log.warning("worker_not_understood", lease_id=lease.id)
        finally:
            if lease.control is socket and lease.state in ("attached", "draining"):
                lease.state = "detached"
                lease.detached_s = self._clock()
                log.warning("lease_detached", lease_id=lease.id, sessions=len(lease.live))
                self.note_change()

    async def attend_slot(self, lease_id: str, socket: SocketConnection) -> None:
        """Keep a slot until its session is over or its lease is."""
        lease = self.leases.get(lease_id)
        if lease is None or len(lease.spare) + len(lease.live) >= protocol.SLOT_LIMIT:
            await socket.close(1008, "too many slots")
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
        if message.get("type") == protocol.READY:
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
                lease.opening += 1
                opened = False
                try:
                    await slot.wake()
                    opened = await _open(slot, traceparent)
                finally:
                    lease.opening -= 1
                    if not opened:
                        lease.live.discard(session_id)
                        slot.over.set()
                if opened:
                    lease.meter.open(session_id, self._clock())
                    return lease, slot
        return None

    async def give_back(self, lease: Lease, slot: Slot, session_id: str) -> None:
        """The session is over: its socket is closed, and the worker dials a fresh one."""
        lease.live.discard(session_id)
        lease.meter.close(session_id, self._clock())
        lease.idle_since_s = self._clock()
        await slot.close()
        self.note_change()


async def _open(slot: Slot, traceparent: str) -> bool:
    """Whether its worker takes a session; ``traceparent`` of that one, if it is traced."""
    opening = {"type": protocol.SLOT_OPEN}
    if traceparent:
        opening["traceparent"] = traceparent
    try:
        async with asyncio.timeout(SLOT_ANSWER_S):
            slot.socket.send_text(orjson.dumps(opening))
            answer = await slot.socket.receive()
            if answer is not None:
                return bool(orjson.loads(answer).get("type") == protocol.SLOT_OPENED)
    except (TimeoutError, ValueError):
        pass
    log.info("slot_did_not_answer")
    return False


def _send(lease: Lease, kind: str) -> None:
    if lease.control is not None and lease.control.is_open:
        lease.control.send_text(orjson.dumps({"type": kind}))
