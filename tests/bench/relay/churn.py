"""Sessions that come and go: how long one takes to its first audio, and what it leaves behind.

Run as ``python -m tests.bench.relay.churn URL --sessions N --pid SERVER``; prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import uvloop

from tests.bench.relay.load import Window, call, quantile
from tests.bench.relay.process import rss_kb


AT_ONCE = 8
POINTS = 20
"""Memory is read this often over the run."""
SETTLED = 0.25
"""Growth counts from here on: before, pools and caches fill that every server has."""


class Churn:
    """``sessions`` calls, ``AT_ONCE`` side by side; each ends when it hears its first frame."""

    def __init__(self, url: str, sessions: int, pid: int) -> None:
        self._url = url
        self._sessions = sessions
        self._pid = pid
        self._begun = 0
        self._started_ms: list[float] = []
        self._first_audio_ms: list[float] = []
        self._rss_kb: list[tuple[int, int]] = []

    async def run(self) -> dict[str, object]:
        await asyncio.gather(*(self._caller() for _ in range(min(AT_ONCE, self._sessions))))
        settled = self._rss_kb[round(len(self._rss_kb) * SETTLED) :]
        (first, first_kb), (last, last_kb) = settled[0], settled[-1]
        return {
            "sessions": self._sessions,
            "started_p50_ms": quantile(self._started_ms, 50),
            "first_audio_p50_ms": quantile(self._first_audio_ms, 50),
            "first_audio_p99_ms": quantile(self._first_audio_ms, 99),
            "growth_bytes_per_session": (last_kb - first_kb) * 1024 / max(last - first, 1),
            "rss_kb": self._rss_kb,
        }

    async def _caller(self) -> None:
        every = max(self._sessions // POINTS, 1)
        while self._begun < self._sessions:
            self._begun += 1
            if self._begun % every == 0:
                self._rss_kb.append((self._begun, rss_kb(self._pid)))
            await self._call()

    async def _call(self) -> None:
        begun_s = time.perf_counter()
        caller = await call(self._url, Window())
        self._started_ms.append((time.perf_counter() - begun_s) * 1000)
        caller.talk(asyncio.get_running_loop().time())
        async with asyncio.timeout(20):
            await caller.heard
        self._first_audio_ms.append((time.perf_counter() - begun_s) * 1000)
        caller.hang_up()
        await caller.transport.wait_disconnected()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--pid", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(Churn(options.url, options.sessions, options.pid).run())))


if __name__ == "__main__":
    main()
