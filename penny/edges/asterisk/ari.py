"""Asterisk's REST interface (ARI): what becomes of its channels, and channels that are begun.

Its events come on a WebSocket that is opened again whenever it is lost. That it lives tells that
Asterisk does: a call by AudioSocket may be silent for long, and its peer is alive all the same.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import structlog

from penny.edges.telephone.wire import CarrierRefused


log = structlog.get_logger()

Json = dict[str, Any]

TIMEOUT_S = 8.0
HEARTBEAT_S = 1.6
"""A ping so often; without an answer for half of it the connection is lost."""
AGAIN_S = (0.5, 10.0)
"""The first and the longest pause before it is opened again; each is twice the one before."""
MOST_WAITING = 10_000
BUSY, NO_ANSWER, NORMAL = frozenset({17}), frozenset({18, 19, 20, 102}), frozenset({0, 16, 31})
"""Causes of a hang-up (Q.850, as ``causes.h`` numbers them)."""


def read_end(cause: object, *, was_answered: bool) -> str:
    """A destroyed channel's cause as a carrier's last word (``penny.gateway.dialer.ENDS``)."""
    if was_answered:
        return "completed"
    if cause in BUSY:
        return "busy"
    return "no-answer" if cause in NO_ANSWER | NORMAL else "failed"


class Ari:
    """One Asterisk's interface.

    Args:
        url: of its HTTP server, such as http://127.0.0.1:8088.
        on_event: takes each event, one after the other.
        on_change: is told whether Asterisk is there, whenever that changes.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        on_event: Callable[[Json], Awaitable[object]],
        on_change: Callable[[bool], object],
    ) -> None:
        self._url = f"{url.rstrip('/')}/ari"
        self._head = {"Authorization": aiohttp.encode_basic_auth(user, password)}
        self._app = f"penny-{secrets.token_hex(4)}"  # another process's would take ours over
        self._on_event, self._on_change = on_event, on_change
        self._http: aiohttp.ClientSession | None = None
        self._events: asyncio.Queue[Json] = asyncio.Queue(MOST_WAITING)
        self.is_there = False

    async def run(self) -> None:
        """Take events until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliver())
            tasks.create_task(self._connect())

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def originate(
        self,
        channel_id: str,
        endpoint: str,
        caller_id: str,
        ring_s: int,
        variables: dict[str, str],
    ) -> None:
        """Begin a channel, named by the caller; once it is answered the rendered dialplan has it.
        Raises CarrierRefused."""
        told = {
            "endpoint": endpoint,
            "context": "penny-talk",
            "extension": "s",
            "priority": 1,
            "callerId": caller_id,
            "timeout": ring_s,
            "channelId": channel_id,
            "variables": variables,
        }
        await self._ask("POST", "/channels", told)

    async def hang_up(self, channel_id: str) -> None:
        """End a channel; one that is over is none. Raises CarrierRefused."""
        await self._ask("DELETE", f"/channels/{channel_id}", None, allowed=(404,))

    async def channels(self) -> frozenset[str]:
        """The ids of all that live. Raises CarrierRefused."""
        found = await self._ask("GET", "/channels", None)
        return frozenset(str(each["id"]) for each in found)

    # -- inside -------------------------------------------------------------------------------

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._http = aiohttp.ClientSession(headers=self._head, timeout=timeout)
        return self._http

    async def _ask(
        self, method: str, path: str, body: Json | None, allowed: tuple[int, ...] = ()
    ) -> Any:
        try:
            url = self._url + path
            async with self._session().request(method, url, json=body) as answer:
                if answer.status in allowed or answer.status == 204:
                    return {}
                told = await answer.json(content_type=None)
                if answer.status < 300:
                    return told
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("asterisk_unreachable", error=type(error).__name__)
            raise CarrierRefused(
                "Asterisk does not answer; try again", retryable=True, is_open=True
            ) from error
        log.warning("asterisk_refused", status=answer.status)
        raise CarrierRefused(
            f"Asterisk refused it (HTTP {answer.status}); its log says why",
            retryable=answer.status >= 500,
        )

    async def _connect(self) -> None:
        pause_s, told = AGAIN_S[0], ""
        while True:
            fault = ""
            try:
                events = self._session().ws_connect(
                    f"{self._url}/events",
                    params={"app": self._app, "subscribeAll": "true"},
                    heartbeat=HEARTBEAT_S,
                )
                async with events as socket:
                    pause_s, told = AGAIN_S[0], ""
                    self._tell(is_there=True)
                    async for message in socket:
                        if message.type == aiohttp.WSMsgType.TEXT:
                            await self._events.put(message.json())
            except aiohttp.WSServerHandshakeError as error:
                fault = f"HTTP {error.status}"  # 401: the user or the password
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                fault = type(error).__name__
            if fault and fault != told:
                log.warning("asterisk_events_failed", reason=fault)
            told = fault
            self._tell(is_there=False)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, AGAIN_S[1])

    def _tell(self, *, is_there: bool) -> None:
        if is_there == self.is_there:
            return
        self.is_there = is_there
        log.info("asterisk_there") if is_there else log.warning("asterisk_away")
        self._on_change(is_there)

    async def _deliver(self) -> None:
        while True:
            event = await self._events.get()
            try:
                await self._on_event(event)
            except Exception:  # the next is another call's
                log.exception("asterisk_event_failed", kind=str(event.get("type"))[:40])
