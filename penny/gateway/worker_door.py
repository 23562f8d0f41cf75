"""`/worker`: where rented workers dial in (protocol: ``runpod_worker/lease.py``)."""

from __future__ import annotations

import structlog
from aiohttp import web

from modes.self_hosted.runpod.desk import LeaseDesk
from penny.aio.websocket import MAX_MESSAGE_BYTES, ServerSocket
from runpod_worker.lease import CONTROL_HEARTBEAT_S, SLOT_HEARTBEAT_S


log = structlog.get_logger()


class WorkerDoor:
    """Lets in the workers of leases that the desk expects, and nobody else."""

    def __init__(self, desk: LeaseDesk) -> None:
        self._desk = desk

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/worker", self.__call__)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        lease_id = request.query.get("lease", "")
        is_slot = request.query.get("slot") == "1"
        is_loan = request.query.get("loan") == "1"
        credential = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not await self._desk.admits(lease_id, credential, slot=is_slot, loan=is_loan):
            log.warning("worker_turned_away", slot=is_slot)
            return web.json_response(
                {"error": {"code": "lease_refused", "message": "no such lease, or its token"}},
                status=401,
            )
        socket = ServerSocket(
            max_msg_size=MAX_MESSAGE_BYTES,
            compress=False,
            heartbeat=SLOT_HEARTBEAT_S if is_slot else CONTROL_HEARTBEAT_S,
        )
        await socket.prepare(request)
        if is_loan:
            await self._desk.attend_borrowed(credential, socket)
        elif is_slot:
            await self._desk.attend_slot(lease_id, socket)
        else:
            await self._desk.attend_control(lease_id, socket)
        return socket
