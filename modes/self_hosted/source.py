"""Where a session's worker comes from, behind one interface.

``local.py`` keeps a process of ours on loopback, ``remote.py`` knows an address, ``lease.py``
rents workers that dial in. Each gives out one place for one session, and takes it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from modes.realtime import CONNECT_TIMEOUT_S, HEARTBEAT_S, RealtimeSocket
from penny.aio.websocket import MAX_MESSAGE_BYTES
from penny.errors import ModeUnavailable
from penny.session.mode import Availability, SessionSpec


Json = dict[str, Any]
Release = Callable[[], Awaitable[None]]


async def _keep_nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """One session's place in a worker: an open socket that has not said anything yet.

    ``info`` is what the worker says of itself. ``release`` gives the place back, once, when the
    session is over. ``spent_usd`` tells what the place has cost so far; None is free of charge.
    """

    socket: RealtimeSocket
    info: Json = field(default_factory=dict)
    release: Release = _keep_nothing
    spent_usd: Callable[[], float] | None = None


class WorkerSource(Protocol):
    def availability(self) -> Availability: ...

    async def start(self) -> None: ...

    async def acquire(self, spec: SessionSpec) -> Place:
        """A place for one session; ``spec.tell`` hears of a wait. Raises ModeUnavailable."""
        ...

    async def aclose(self) -> None: ...


async def dial(
    http: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    spec: SessionSpec,
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> RealtimeSocket:
    """Open a WebSocket to a worker's ``/v1/realtime``. Raises ModeUnavailable with the reason."""
    if spec.trace is not None:
        headers = {**headers, "traceparent": spec.trace.traceparent}
    separator = "&" if "?" in url else "?"
    try:
        async with asyncio.timeout(timeout_s):
            return await http.ws_connect(
                f"{url}{separator}model=penny-worker&penny_events=1",
                headers=headers,
                max_msg_size=MAX_MESSAGE_BYTES,
                compress=0,
                heartbeat=HEARTBEAT_S,
            )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        status = getattr(error, "status", None)
        reason = f"HTTP {status}" if status else type(error).__name__
        raise ModeUnavailable(
            f"the worker cannot be reached: {reason}",
            remedy="see whether it runs and listens at the configured address",
            retryable=True,
        ) from error
