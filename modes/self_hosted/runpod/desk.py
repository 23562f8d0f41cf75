"""Where rented workers arrive: checks who dials in, keeps their sockets, gives slots out.

Acquired and released: a lease begins with ``expect`` and leaves the table in ``strike``; its
control socket is read here until it breaks; a slot's handler stays until its session is over.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import orjson
import structlog
from aiohttp import web

from modes.self_hosted.runpod.lease import Json, Lease
from runpod_worker import lease as said


log = structlog.get_logger()

SLOT_ANSWER_S = 5.0
"""How long a worker may take to answer that a slot is open."""


@dataclass(slots=True, eq=False)
class Slot:
    """A socket that the worker dialled; ``over`` lets its handler return."""

    socket: web.WebSocketResponse
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def close(self) -> None:
        self.over.set()
        await self.socket.close()


class LeaseDesk:
    """All leases of this gateway.

    Args:
        clock: the loop's clock, seconds.
        on_change: called when a lease attached, broke, or a slot became free.
    """

    def __init__(self, clock: Callable[[], float], on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self.leases: dict[str, Lease] = {}

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
        self._on_change()

    async def drain(self, lease: Lease) -> None:
        """Give it no more sessions; its worker returns when the last has ended."""
        if lease.state in ("attached", "detached"):
            lease.state = "draining"
            await _tell(lease, said.DRAIN)

    # -- the door -----------------------------------------------------------------------------

    def admits(self, lease_id: str, credential: str, *, slot: bool) -> bool:
        """Whether this caller may come in. The token opens the control socket once."""
        lease = self.leases.get(lease_id)
        if lease is None:
            return False
        if not slot and lease.token and _same(credential, lease.token):
            lease.token = ""
            return True
        return _same(credential, lease.key)

    async def attend_control(self, lease_id: str, socket: web.WebSocketResponse) -> None:
        """Read a control socket until it ends."""
        lease = self.leases[lease_id]
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
                self._on_change()

    async def attend_slot(self, lease_id: str, socket: web.WebSocketResponse) -> None:
        """Keep a slot until its session is over or its lease is."""
        lease = self.leases[lease_id]
        if len(lease.spare) + len(lease.live) >= said.SLOT_LIMIT:
            await socket.close(code=1008, message=b"too many slots")
            return
        slot = Slot(socket)
        lease.spare.append(slot)
        self._on_change()
        await slot.over.wait()

    def _hear(self, lease: Lease, message: Json) -> None:
        if message.get("type") == said.READY:
            lease.info = message.get("info") or {}
            lease.state = "attached"
            lease.idle_since_s = self._clock()
            log.info("lease_attached", lease_id=lease.id, slots=message.get("slots"))
            self._on_change()

    # -- slots --------------------------------------------------------------------------------

    async def take(self, session_id: str, session_max_s: float) -> tuple[Lease, Slot] | None:
        """A free slot whose worker has just answered; None when there is none."""
        for lease in list(self.leases.values()):
            while lease.spare and lease.takes_sessions(self._clock(), session_max_s):
                slot: Slot = lease.spare.popleft()
                lease.live.add(session_id)
                opened = False
                try:
                    opened = await _open(slot)
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
        lease.live.discard(session_id)
        lease.meter.close(session_id, self._clock())
        lease.idle_since_s = self._clock()
        await slot.close()
        self._on_change()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


async def _open(slot: Slot) -> bool:
    try:
        async with asyncio.timeout(SLOT_ANSWER_S):
            await slot.socket.send_str(orjson.dumps({"type": said.SLOT_OPEN}).decode())
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
