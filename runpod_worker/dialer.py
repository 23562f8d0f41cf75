"""A rented worker's side of a lease: dial the gateway, offer slots, serve sessions, return.

The protocol is in ``lease.py``. Nothing listens here: RunPod opens no port to this worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
import structlog

from penny.aio.tasks import TaskOwner
from runpod_worker import lease as protocol
from runpod_worker.lease import LeaseJob


log = structlog.get_logger()

Json = dict[str, Any]
Serve = Callable[[aiohttp.ClientWebSocketResponse, str], Awaitable[None]]
"""An open socket; the ``traceparent`` of the gateway's session, empty when that is not traced."""

MAX_MESSAGE_BYTES = 20 * 1024 * 1024
CONNECT_TIMEOUT_S = 15.0
SLOT_REDIAL_PAUSE_S = 1.0


class LeaseRefused(Exception):
    """The gateway does not know the lease or its token: there is nothing to serve."""


class Dialer:
    """Worker side of one lease, from the first connection to the last session.

    Args:
        serve: runs one Realtime session on an open socket until it ends.
        info: what this worker is, for ``worker.ready``.
        redial_pause_s: between two tries to mend a broken control socket.
        slot_heartbeat_s: between two pings of a slot's gateway.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        job: LeaseJob,
        serve: Serve,
        info: Json,
        *,
        redial_pause_s: float = protocol.REDIAL_PAUSE_S,
        slot_heartbeat_s: float = protocol.GATEWAY_HEARTBEAT_S,
    ) -> None:
        self._http = http
        self._job = job
        self._serve = serve
        self._info = info
        self._redial_pause_s = redial_pause_s
        self._slot_heartbeat_s = slot_heartbeat_s
        self._tasks = TaskOwner("lease")
        self._credential = job.token
        self._live = 0
        self._draining = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.sessions = 0

    async def run(self) -> Json:
        """Serve the lease; returns why it ended and how many sessions it had.

        Raises:
            LeaseRefused: the gateway turned the very first call away.
        """
        try:
            reason = await self._attend()
        finally:
            await self._tasks.aclose()
        return {"reason": reason, "sessions": self.sessions}

    async def _attend(self) -> str:
        failures = 0
        started = False
        while failures <= protocol.REDIALS:
            try:
                reason = await self._control()
                if reason:
                    return reason
                failures = 0
            except LeaseRefused:
                if not started:
                    raise
                return "lease_unknown"
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("gateway_not_reached", error=type(error).__name__, tries=failures + 1)
            started = started or self._credential != self._job.token
            failures += 1
            if failures <= protocol.REDIALS:
                await asyncio.sleep(self._redial_pause_s)
        return "gateway_lost"

    async def _control(self) -> str:
        """One control socket: why the lease is over, or empty when the socket broke."""
        async with await self._dial(heartbeat=protocol.CONTROL_HEARTBEAT_S) as socket:
            async for frame in socket:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    continue
                message = orjson.loads(frame.data)
                if message["type"] == protocol.ACCEPTED:
                    await self._begin(socket, message["key"])
                elif message["type"] == protocol.END:
                    return "ended"
                elif message["type"] == protocol.DRAIN:
                    self._draining.set()
                    self._tasks.spawn(self._leave(socket), name="lease drain")
        return "drained" if self._draining.is_set() and not self._live else ""

    async def _begin(self, socket: aiohttp.ClientWebSocketResponse, key: str) -> None:
        first = self._credential == self._job.token
        self._credential = key
        ready = {"type": protocol.READY, "slots": self._job.slots, "info": self._info}
        await socket.send_str(orjson.dumps(ready).decode())
        if first:
            for number in range(self._job.slots):
                self._tasks.spawn(self._offer(), name=f"slot {number}")

    async def _leave(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._idle.wait()
        await socket.close()

    # -- slots --------------------------------------------------------------------------------

    async def _offer(self) -> None:
        """Keep one slot open: wait for a session, serve it, offer the slot again."""
        while not self._draining.is_set():
            try:
                if await self._rest_on(await self._dial(slot=True)):
                    continue
            except (aiohttp.ClientError, OSError, ValueError, LeaseRefused) as error:
                log.info("slot_not_offered", error=type(error).__name__)
            await asyncio.sleep(SLOT_REDIAL_PAUSE_S)

    async def _rest_on(self, socket: aiohttp.ClientWebSocketResponse) -> bool:
        """Wait on a slot until it has served its session; False when it was closed before."""
        try:
            message = await _listen(socket)
            if message.get("type") != protocol.SLOT_OPEN:
                return False
            await self._serve_one(socket, message)
            return True
        finally:
            # Going away, never "normal": a session cut here goes on with another worker.
            await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    async def _serve_one(self, socket: aiohttp.ClientWebSocketResponse, message: Json) -> None:
        traceparent = message.get("traceparent")
        self._live += 1
        self._idle.clear()
        self.sessions += 1
        try:
            await socket.send_str(orjson.dumps({"type": protocol.SLOT_OPENED}).decode())
            await self._serve(socket, traceparent if isinstance(traceparent, str) else "")
        except Exception:
            # This session is over; the slot and everybody else's sessions are not.
            log.exception("session_failed", lease_id=self._job.lease_id)
        finally:
            self._live -= 1
            if not self._live:
                self._idle.set()

    async def _dial(
        self, *, slot: bool = False, heartbeat: float | None = None
    ) -> aiohttp.ClientWebSocketResponse:
        separator = "&" if "?" in self._job.gateway_ws else "?"
        url = f"{self._job.gateway_ws}{separator}lease={self._job.lease_id}"
        if slot:
            url += "&slot=1"
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await self._http.ws_connect(
                    url,
                    headers={"Authorization": f"Bearer {self._credential}"},
                    max_msg_size=MAX_MESSAGE_BYTES,
                    compress=0,
                    heartbeat=self._slot_heartbeat_s if slot else heartbeat,
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 401:
                raise LeaseRefused from error
            raise


async def _listen(socket: aiohttp.ClientWebSocketResponse) -> Json:
    """What the gateway says on a resting slot; empty when the slot is gone."""
    frame = await socket.receive()
    if frame.type is not aiohttp.WSMsgType.TEXT:
        return {}
    message: Json = orjson.loads(frame.data)
    return message


async def serve_lease(job: LeaseJob, serve: Serve, info: Json) -> Json:
    """Serve one lease with connections of its own. Raises LeaseRefused."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        return await Dialer(http, job, serve, info).run()
