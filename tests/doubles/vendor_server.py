"""What the doubles of the vendor's WebSocket servers share: connections, taken in their order."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from itertools import count
from typing import Any, Generic, TypeVar

from aiohttp import WSCloseCode, WSMsgType, web

from tests.doubles.http import HttpDouble


Json = dict[str, Any]

WAIT_S = 60.0


class UnexpectedStep(AssertionError):
    """The client did not do what the script says."""


class VendorConnection(ABC):
    """One session as the server sees it."""

    def __init__(self, server: VendorServer[Any], socket: web.WebSocketResponse) -> None:
        self._ids = server.ids
        self._socket = socket
        self.session: Json = {}
        self.received: list[Json] = []
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()

    @abstractmethod
    async def take(self, event: Json) -> None:
        """A client's event."""

    @abstractmethod
    def is_begun(self) -> bool:
        """Whether the client has configured it."""

    async def drop(self, code: int = WSCloseCode.INTERNAL_ERROR) -> None:
        """Break the connection."""
        await self._socket.close(code=code)

    async def until(self, what: str, ready: Any) -> None:
        """Wait for a state of this connection; fails the test when it does not come."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not ready():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            kinds = [event["type"] for event in self.received[-8:]]
            raise UnexpectedStep(f"waited in vain for {what}; last came {kinds}") from None

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids)}"

    async def send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": self.new_id("event"), **fields}
        if not self._socket.closed:
            await self._socket.send_str(json.dumps(event))

    async def serve(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            event = json.loads(message.data)
            self.received.append(event)
            await self.take(event)
            self._changed.set()
        self.closed.set()


C = TypeVar("C", bound=VendorConnection)


class VendorServer(HttpDouble, Generic[C]):
    """A server on loopback: ``async with … as vendor``."""

    path: str

    def __init__(self) -> None:
        self.ids = count(1)
        self.violations: list[str] = []
        self.connections: list[C] = []
        self.base_url = ""
        self._taken = 0
        self._arrived = asyncio.Event()

    @abstractmethod
    def accept(self, request: web.Request, socket: web.WebSocketResponse) -> C:
        """The connection of a client that has come."""

    def refuse(self, request: web.Request) -> web.Response | None:
        """An answer in place of a connection."""
        return None

    async def connection(self) -> C:
        """The next connection, configured."""
        try:
            async with asyncio.timeout(WAIT_S):
                while len(self.connections) <= self._taken:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise UnexpectedStep("no connection came") from None
        self._taken += 1
        found = self.connections[self._taken - 1]
        await found.until("the session", found.is_begun)
        return found

    def check(self) -> None:
        """Fail on what the client did wrong."""
        if self.violations:
            raise UnexpectedStep(f"the client broke the protocol: {self.violations}")

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(self.path, self._serve)
        return app

    async def start(self) -> None:
        await super().start()
        self.base_url = f"{self.address}/v1"

    async def aclose(self) -> None:
        for each in self.connections:
            await each.drop(WSCloseCode.OK)
        await super().aclose()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        socket = web.WebSocketResponse(max_msg_size=20 * 1024 * 1024)
        await socket.prepare(request)
        connection = self.accept(request, socket)
        self.connections.append(connection)
        self._arrived.set()
        await connection.serve()
        return socket
