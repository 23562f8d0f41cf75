"""One caller who gives trouble while others talk. Run as
``python -m tests.bench.relay.trouble URL KIND``; it goes on until it is ended.

``stalled``: sends audio and reads nothing. ``huge``: two seconds of audio in one message, and a
text just below the limit, once a second. ``crash``: its speaker dies in the middle of the call
and it calls again, once a second.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop
from picows import WSMsgType

from tests.bench.relay.load import Window, call
from tests.bench.relay.upstream import CRASH


HUGE_AUDIO = bytes(192_000)
HUGE_TEXT = b'{"type":"text_input","text":"' + b" " * 65_000 + b'"}'
CRASH_TEXT = b'{"type":"text_input","text":"' + CRASH.encode() + b'"}'


async def stall(url: str) -> None:
    caller = await call(url, Window())
    link: socket.socket = caller.transport.underlying_transport.get_extra_info("socket")
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.transport.underlying_transport.pause_reading()
    caller.talk(asyncio.get_running_loop().time())
    await asyncio.Event().wait()


async def send_huge(url: str) -> None:
    while True:
        caller = await call(url, Window())
        caller.talk(asyncio.get_running_loop().time())
        while not caller.closed:
            caller.transport.send(WSMsgType.BINARY, HUGE_AUDIO)
            caller.transport.send(WSMsgType.TEXT, HUGE_TEXT)
            await asyncio.sleep(1)


async def crash(url: str) -> None:
    while True:
        caller = await call(url, Window())
        caller.talk(asyncio.get_running_loop().time())
        await asyncio.sleep(0.5)
        caller.transport.send(WSMsgType.TEXT, CRASH_TEXT)
        await caller.transport.wait_disconnected()
        await asyncio.sleep(0.5)


KINDS = {"stalled": stall, "huge": send_huge, "crash": crash}


if __name__ == "__main__":
    uvloop.run(KINDS[sys.argv[2]](sys.argv[1]))
