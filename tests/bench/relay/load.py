"""The load: N paced callers in one process; each frame carries the moment it left.

Run as ``python -m tests.bench.relay.load URL SESSIONS SECONDS``; prints one JSON line with the
round trips, what was lost, and how late the generator itself was (its own lag voids a round).
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time

import aiohttp
import uvloop


FRAME_S = 0.02
FRAME_BYTES = 960
STAMP = struct.Struct("<Qd")
MAGIC = 0x7E577E577E577E57


class Load:
    def __init__(self, url: str, sessions: int, seconds: float) -> None:
        self.url = url
        self.sessions = sessions
        self.frames = int(seconds / FRAME_S)
        self.sent = 0
        self.trips_ms: list[float] = []
        self.lags_ms: list[float] = []
        self.failed = 0

    async def run(self) -> None:
        async with aiohttp.ClientSession() as http:
            loop = asyncio.get_running_loop()
            begin_s = loop.time() + 0.5 + self.sessions * 0.02
            calls = [
                self._call(http, begin_s + n * FRAME_S / self.sessions)
                for n in range(self.sessions)
            ]
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                self.failed += isinstance(outcome, BaseException)

    async def _call(self, http: aiohttp.ClientSession, begin_s: float) -> None:
        async with http.ws_connect(self.url, compress=0, max_msg_size=0) as socket:
            await socket.send_str('{"type":"session_start"}')
            while True:
                message = await socket.receive()
                if message.type is aiohttp.WSMsgType.TEXT and "session_started" in message.data:
                    break
            hearing = asyncio.create_task(self._hear(socket))
            loop = asyncio.get_running_loop()
            rest = bytes(FRAME_BYTES - STAMP.size)
            for n in range(self.frames):
                due_s = begin_s + n * FRAME_S
                delay_s = due_s - loop.time()
                if delay_s > 0:
                    await asyncio.sleep(delay_s)
                self.lags_ms.append((loop.time() - due_s) * 1000)
                await socket.send_bytes(STAMP.pack(MAGIC, time.perf_counter()) + rest)
                self.sent += 1
            await asyncio.sleep(0.5)
            hearing.cancel()

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY and len(message.data) >= STAMP.size:
                magic, left_s = STAMP.unpack_from(message.data)
                if magic == MAGIC:
                    self.trips_ms.append((time.perf_counter() - left_s) * 1000)


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


def main() -> None:
    load = Load(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    uvloop.run(load.run())
    print(
        json.dumps(
            {
                "sessions": load.sessions,
                "sent": load.sent,
                "heard": len(load.trips_ms),
                "failed": load.failed,
                "p50_ms": round(quantile(load.trips_ms, 0.5), 3),
                "p99_ms": round(quantile(load.trips_ms, 0.99), 3),
                "p999_ms": round(quantile(load.trips_ms, 0.999), 3),
                "lag_p99_ms": round(quantile(load.lags_ms, 0.99), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
