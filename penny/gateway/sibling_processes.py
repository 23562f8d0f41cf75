"""The other processes behind this gateway's port, each at a socket file in a common folder.

The kernel gives a client that comes back to any process; the one that gets it carries it to the
process that has its session. Figures are collected the same way: the one that is asked asks all.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from penny.aio.websocket import SocketConnection
from penny.errors import ProtocolError


log = structlog.get_logger()

ANSWER_S = 2.0
"""A sibling on the same machine that takes longer is about to die."""
_TOKEN = re.compile(r"resume(\d{1,4})_")
_PASSED_ON = ("Authorization", "Origin", "Host", "Cookie")
_GOODBYES = (WSCloseCode.OK, WSCloseCode.GOING_AWAY)


@dataclass(frozen=True, slots=True)
class SiblingProcesses:
    """The processes of one gateway, seen from one of them: ``number``, of 1 to ``count``."""

    folder: Path
    number: int
    count: int

    @property
    def token_prefix(self) -> str:
        """Of resume tokens given out here: it tells the others where the session is."""
        return f"resume{self.number}"

    @property
    def path(self) -> Path:
        """This process's own socket file."""
        return self._path(self.number)

    def owner(self, resume_token: str) -> int | None:
        """Which other process gave this token out; None when it was this one, or none."""
        match = _TOKEN.match(resume_token)
        number = int(match[1]) if match else self.number
        return number if number != self.number and 1 <= number <= self.count else None

    async def carry(
        self,
        owner: int,
        request: web.Request,
        client: SocketConnection,
        first: str,
    ) -> None:
        """Pass a connection on to another process until either side ends; ``first`` goes ahead.

        Raises:
            ProtocolError: ``resume_failed``: that process is gone, and its sessions with it.
        """
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        async with aiohttp.ClientSession(connector=self._connector(owner)) as http:
            try:
                async with asyncio.timeout(ANSWER_S):
                    sibling = await http.ws_connect(
                        f"http://penny{request.rel_url}",
                        headers=headers,
                        protocols=[name.strip() for name in offered.split(",") if name.strip()],
                        compress=0,
                        max_msg_size=0,
                    )
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("sibling_gone", process=owner, error=type(error).__name__)
                raise ProtocolError(
                    "resume_token: this session is over or not known here; start another",
                    code="resume_failed",
                    field="resume_token",
                ) from error
            log.info("connection_carried", to_process=owner)
            await sibling.send_str(first)
            await _join(client, sibling)

    async def texts(self, path: str) -> dict[int, str]:
        """What each of the others that answers says to ``GET path``, by number."""
        others = [number for number in range(1, self.count + 1) if number != self.number]
        answers = await asyncio.gather(*(self._text(number, path) for number in others))
        return {n: text for n, text in zip(others, answers, strict=True) if text is not None}

    async def _text(self, number: int, path: str) -> str | None:
        try:
            async with (
                asyncio.timeout(ANSWER_S),
                aiohttp.ClientSession(connector=self._connector(number)) as http,
                http.get(f"http://penny{path}") as answer,
            ):
                return await answer.text() if answer.status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("sibling_gone", process=number, error=type(error).__name__)
            return None

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.sock"

    def _connector(self, number: int) -> aiohttp.UnixConnector:
        return aiohttp.UnixConnector(str(self._path(number)))


async def _join(client: SocketConnection, sibling: aiohttp.ClientWebSocketResponse) -> None:
    """Both ways at once. A client that is lost without a goodbye is lost to the sibling too."""
    to_client = asyncio.create_task(_carry_to_client(sibling, client), name="carried to client")
    to_sibling = asyncio.create_task(_carry_from_client(client, sibling), name="carried to sibling")
    try:
        await asyncio.wait({to_client, to_sibling}, return_when=asyncio.FIRST_COMPLETED)
        if to_client.done():
            await client.close(sibling.close_code or WSCloseCode.INTERNAL_ERROR)
        elif client.close_code in _GOODBYES:
            await sibling.close(code=client.close_code or WSCloseCode.OK)
    finally:
        for task in (to_client, to_sibling):
            task.cancel()
        await asyncio.gather(to_client, to_sibling, return_exceptions=True)


async def _carry_to_client(
    sibling: aiohttp.ClientWebSocketResponse, client: SocketConnection
) -> None:
    async for message in sibling:
        if message.type is WSMsgType.TEXT:
            client.send_text(message.data.encode())
        elif message.type is WSMsgType.BINARY:
            client.send_binary(message.data)
        await client.drain()


async def _carry_from_client(
    client: SocketConnection, sibling: aiohttp.ClientWebSocketResponse
) -> None:
    while (message := await client.receive()) is not None:
        if isinstance(message, str):
            await sibling.send_str(message)
        else:
            await sibling.send_bytes(message)
