"""What every door does once a caller is in: run the edge's own tasks beside the session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog
from aiohttp import web

from penny.session.broker import Broker
from penny.session.edge import Edge
from penny.session.mode import Mode, SessionSpec, Speaker
from penny.session.session import SessionLimits


log = structlog.get_logger()


class SocketBoundEdge(Edge, Protocol):
    """An edge on a socket of ours: one task reads it, one alone writes it."""

    async def read(self) -> None: ...

    async def write(self) -> None: ...


async def host(
    broker: Broker,
    mode: Mode,
    spec: SessionSpec,
    edge: SocketBoundEdge,
    speaker: Speaker,
    limits: SessionLimits | None = None,
) -> str:
    """Run the session with the edge's reader and writer; all have ended when this returns.

    Args:
        limits: of this session, where they are not the gateway's own.
    """
    tasks = [
        asyncio.create_task(edge.read(), name=f"{spec.session_id} reader"),
        asyncio.create_task(edge.write(), name=f"{spec.session_id} writer"),
    ]
    try:
        return await broker.run(mode, spec, edge, speaker, limits)
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            # A socket that breaks is how callers leave; anything else is a fault.
            if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionError):
                log.error("edge_failed", session_id=spec.session_id, exc_info=outcome)


def aborter(request: web.Request) -> Callable[[], None]:
    """Drops the connection at once: a half-open one would never say that it is gone."""

    def abort() -> None:
        if request.transport is not None:
            request.transport.abort()

    return abort
