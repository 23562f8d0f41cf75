"""Where a session's worker comes from, behind one interface.

``local.py`` keeps a process of ours on loopback, ``remote.py`` knows an address, ``lease.py``
rents workers that dial in. Each gives out one place for one session, and takes it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from modes.realtime import CONNECT_TIMEOUT_S, HEARTBEAT_S, SEND_LIMIT_S
from penny.aio.allow_list import AllowList
from penny.aio.dial import HandshakeError, dial
from penny.aio.websocket import SocketConnection
from penny.errors import ModeUnavailable
from penny.session.mode import WORKER_FULL, Availability, SessionSpec


Json = dict[str, Any]
Release = Callable[[], Awaitable[None]]


async def _keep_nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """One session's place in a worker: an open connection that has not said anything yet.

    ``info`` is what the worker says of itself. ``release`` gives the place back, once, when the
    session is over. ``spent_usd`` tells what the place has cost so far; None is free of charge.
    """

    connection: SocketConnection
    info: Json = field(default_factory=dict)
    release: Release = _keep_nothing
    spent_usd: Callable[[], float] | None = None


class WorkerSource(Protocol):
    """Where a private mode gets its workers: a local process, an address, or rented ones."""

    def availability(self) -> Availability: ...

    async def start(self) -> None: ...

    async def acquire(self, spec: SessionSpec) -> Place:
        """A place for one session; ``spec.tell`` hears of a wait. Raises ModeUnavailable."""
        ...

    async def aclose(self) -> None: ...


async def dial_worker(
    url: str,
    headers: Mapping[str, str],
    spec: SessionSpec,
    hosts: AllowList | None,
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> SocketConnection:
    """Open a WebSocket to a worker's ``/v1/realtime``. Raises ModeUnavailable with the reason.

    Args:
        hosts: which private sessions may reach; None: all.
    """
    if spec.trace is not None:
        headers = {**headers, "traceparent": spec.trace.traceparent}
    separator = "&" if "?" in url else "?"
    try:
        async with asyncio.timeout(timeout_s):
            return await dial(
                f"{url}{separator}model=penny-worker&penny_events=1",
                headers,
                hosts=hosts,
                heartbeat_s=HEARTBEAT_S,
                send_limit_s=SEND_LIMIT_S,
            )
    except (OSError, TimeoutError) as error:
        status = error.status if isinstance(error, HandshakeError) else None
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise ModeUnavailable(
                "every slot of the worker is taken",
                remedy="give it more slots (worker.slots), or run another",
                retryable=True,
                code=WORKER_FULL,
            ) from error
        reason = f"HTTP {status}" if status else type(error).__name__
        raise ModeUnavailable(
            f"the worker cannot be reached: {reason}",
            remedy="see whether it runs and listens at the configured address",
            retryable=True,
        ) from error
