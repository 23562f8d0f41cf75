"""Far ends of many calls, in a process of their own: they speak, and drop what they hear.

python -m tests.bench.phone.far_ends HOST PORT CALLS SECONDS
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys


REQUEST = (
    b"GET /?sid=MZ1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def media() -> bytes:
    """A frame of speech-like noise as a masked text message; its mask is zero."""
    payload = base64.b64encode(bytes(range(160))).decode()
    message = {"event": "media", "media": {"track": "inbound", "payload": payload}}
    data = json.dumps(message).encode()
    return struct.pack(">BBH4x", 0x81, 0x80 | 126, len(data)) + data


async def talk(host: str, port: int, calls: int, seconds: float) -> None:
    """Speak in all of them, 20 ms every 20 ms."""
    loop, frame = asyncio.get_running_loop(), media()
    transports = [
        (await loop.create_connection(asyncio.Protocol, host, port))[0] for _ in range(calls)
    ]
    for transport in transports:
        transport.write(REQUEST)
    await asyncio.sleep(1.0)
    next_s = loop.time()
    until_s = next_s + seconds
    while next_s < until_s:
        for transport in transports:
            transport.write(frame)
        next_s += 0.02
        await asyncio.sleep(max(0.0, next_s - loop.time()))


if __name__ == "__main__":
    asyncio.run(talk(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
