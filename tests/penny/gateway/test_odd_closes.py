"""Calls one after another in one gateway, most of them ended as no client should."""

from __future__ import annotations

import socket
import struct
from collections import Counter

import aiohttp
import pytest

from tests.doubles.caller import Caller
from tests.doubles.house import running_gateway


pytestmark = pytest.mark.engines

CALLS = 120


async def end_oddly(line: aiohttp.ClientWebSocketResponse, kind: int) -> str:
    """End a call in one of four ways; its name."""
    transport = line._response.connection.transport  # type: ignore[union-attr]
    assert transport is not None
    if kind == 0:
        await line.close()
        return "1000"
    if kind == 1:
        # A close frame without a code, which the other side reads as 1005; masked, as a client's.
        transport.write(b"\x88\x80\x00\x00\x00\x00")
        transport.close()
        return "1005"
    if kind == 2:
        transport.close()
        return "1006"
    own = transport.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return "reset"


async def test_calls_that_end_without_a_word_leave_the_next_ones_served() -> None:
    served: Counter[str] = Counter()
    async with (
        running_gateway(resume={"hold_s": 0.0}) as gateway,
        aiohttp.ClientSession() as http,
    ):
        for number in range(CALLS):
            line = await http.ws_connect(f"http://127.0.0.1:{gateway.port}/ws")
            caller = Caller(line)
            await caller.send("session_start")
            await caller.until("session_started")
            served[await end_oddly(line, number % 4)] += 1
    assert served == dict.fromkeys(("1000", "1005", "1006", "reset"), CALLS // 4)
