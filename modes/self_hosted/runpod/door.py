"""`/worker`: where rented workers dial in (protocol: ``runpod_worker/lease.py``)."""

from __future__ import annotations

import structlog
from aiohttp import web

from modes.realtime import SEND_LIMIT_S
from modes.self_hosted.runpod.registry import LeaseRegistry
from penny.aio.handshake import Upgrade
from penny.errors import ProtocolError
from runpod_worker.lease import CONTROL_HEARTBEAT_S, SLOT_HEARTBEAT_S


log = structlog.get_logger()


class WorkerDoor:
    """The route `/worker`: accepts workers of leases that the registry expects, no others."""

    def __init__(self, registry: LeaseRegistry) -> None:
        self._registry = registry

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/worker", self.__call__)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        lease_id = request.query.get("lease", "")
        is_slot = request.query.get("slot") == "1"
        credential = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not await self._registry.admits(lease_id, credential, slot=is_slot):
            log.warning("worker_turned_away", slot=is_slot)
            return web.json_response(
                {"error": {"code": "lease_refused", "message": "no such lease, or its token"}},
                status=401,
            )
        try:
            upgrade = Upgrade(
                request,
                heartbeat_s=SLOT_HEARTBEAT_S if is_slot else CONTROL_HEARTBEAT_S,
                send_limit_s=SEND_LIMIT_S,
            )
        except ProtocolError as error:
            fault = {"code": error.code, "message": error.message}
            return web.json_response({"error": fault}, status=426)
        async with upgrade.accepted() as connection:
            if is_slot:
                await self._registry.attend_slot(lease_id, connection)
            else:
                await self._registry.attend_control(lease_id, connection)
        return upgrade.response
