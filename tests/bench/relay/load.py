"""The load: N paced callers in one process; each frame carries the moment it left.

Written on the cheapest socket library so that it costs less than what it measures. Run as
``python -m tests.bench.relay.load --help``; prints one JSON line with the round trips, the
server's CPU and memory over exactly the measured window, and how late the generator itself was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import time
from binascii import a2b_base64, b2a_base64
from statistics import quantiles

import uvloop
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tests.bench.relay.process import cpu_s, rss_kb


FRAME_S = 0.02
FRAME_BYTES = 960
STAMP = struct.Struct("<8sd")
MAGIC = b"W~W~W~W~"
REST = bytes(FRAME_BYTES - STAMP.size)
APPEND = b'{"type":"input_audio_buffer.append","audio":"'
DELTA = b'"delta":"'
AUDIO_DELTA = b'"response.output_audio.delta"'
FRAMES_PER_REPORT = 10
"""A page tells what it played five times a second."""
WARM_S = 1.0
"""From the first frame until what is seen counts."""


class Window:
    """What all callers saw while it was open."""

    def __init__(self) -> None:
        self.open = False
        self.sent = 0
        self.trips_ms: list[float] = []
        self.lags_ms: list[float] = []


class Caller(WSListener):  # type: ignore[misc]  # compiled, without types
    """One session: a frame every 20 ms on absolute deadlines."""

    reports = True
    """Whether it tells what it played."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window
        self.started = asyncio.get_running_loop().create_future()
        self.heard = asyncio.get_running_loop().create_future()
        self.closed = False
        self._item_id = "item_1"
        self._played_bytes = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        transport.send(WSMsgType.TEXT, b'{"type":"session_start"}')

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed = True
        if not self.started.done():
            self.started.set_exception(ConnectionError("the server closed before it started"))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.BINARY:
            self._hear(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.TEXT:
            text = frame.get_payload_as_bytes()
            if b'"session_started"' in text and not self.started.done():
                self.started.set_result(None)
            elif b'"audio_started"' in text:
                self._item_id, self._played_bytes = json.loads(text)["item_id"], 0
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()

    def _hear(self, audio: bytes) -> None:
        self._played_bytes += len(audio)
        # A system may cut frames anew; a stamp is then at another place, or cut itself and lost.
        at = audio.find(MAGIC)
        while 0 <= at <= len(audio) - STAMP.size:
            _, left_s = STAMP.unpack_from(audio, at)
            if not self.heard.done():
                self.heard.set_result(None)
            if self._window.open:
                self._window.trips_ms.append((time.perf_counter() - left_s) * 1000)
            at = audio.find(MAGIC, at + FRAME_BYTES)

    def speak(self, frame: bytes) -> None:
        self.transport.send(WSMsgType.BINARY, frame)

    def hang_up(self) -> None:
        if not self.closed:
            self.transport.send_close(WSCloseCode.OK)
            self.transport.disconnect()

    def talk(self, begin_s: float, number: int = 0) -> None:
        """Send frames from ``begin_s`` (the loop's clock) until the connection ends.

        Args:
            number: of this caller; their reports of playback are not in step.
        """
        self._begin_s = begin_s
        self._frames = 0
        self._report_at = number % FRAMES_PER_REPORT
        self._loop = asyncio.get_running_loop()
        self._loop.call_at(begin_s, self._tick)

    def _tick(self) -> None:
        if self.closed:
            return
        # Absolute deadlines: a late frame does not move the next.
        due_s = self._begin_s + self._frames * FRAME_S
        if self._window.open:
            self._window.lags_ms.append((time.monotonic() - due_s) * 1000)
            self._window.sent += 1
        frame = STAMP.pack(MAGIC, time.perf_counter()) + REST
        self.speak(frame)
        self._frames += 1
        if self.reports and self._frames % FRAMES_PER_REPORT == self._report_at:
            played = {
                "type": "playback",
                "item_id": self._item_id,
                "played_ms": self._played_bytes // 48,
            }
            self.transport.send(WSMsgType.TEXT, json.dumps(played).encode())
        self._loop.call_at(self._begin_s + self._frames * FRAME_S, self._tick)


class RealtimeCaller(Caller):
    """A caller with a Realtime client, which plays by itself and tells nothing of it."""

    reports = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            text = frame.get_payload_as_bytes()
            at = text.find(DELTA)
            if at >= 0 and AUDIO_DELTA in text:
                at += len(DELTA)
                self._hear(a2b_base64(text[at : text.index(b'"', at)]))
            elif b'"session.created"' in text and not self.started.done():
                self.started.set_result(None)
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()

    def speak(self, frame: bytes) -> None:
        self.transport.send(WSMsgType.TEXT, APPEND + b2a_base64(frame, newline=False) + b'"}')


async def call(url: str, window: Window) -> Caller:
    """A caller whose session has started. Raises ConnectionError, TimeoutError."""
    kind = RealtimeCaller if url.endswith("/v1/realtime") else Caller
    _, caller = await ws_connect(lambda: kind(window), url, websocket_handshake_timeout=20)
    assert isinstance(caller, Caller)
    async with asyncio.timeout(20):
        await caller.started
    return caller


async def run(url: str, sessions: int, seconds: float, pid: int) -> dict[str, object]:
    window = Window()
    rss_before_kb = rss_kb(pid)
    callers = [await call(url, window) for _ in range(sessions)]
    loop = asyncio.get_running_loop()
    begin_s = loop.time() + 0.2
    for number, caller in enumerate(callers):
        caller.talk(begin_s + number * FRAME_S / sessions, number)
    await asyncio.sleep(0.2 + WARM_S)
    cpu_before_s = cpu_s(pid)
    window.open = True
    await asyncio.sleep(seconds)
    window.open = False
    used_s = cpu_s(pid) - cpu_before_s
    rss_after_kb = rss_kb(pid)
    failed = sum(caller.closed for caller in callers)
    for caller in callers:
        caller.hang_up()
    return {
        "sessions": sessions,
        "sent": window.sent,
        "heard": len(window.trips_ms),
        "failed": failed,
        "cpu_us_per_frame": used_s * 1e6 / max(window.sent, 1),
        "cpu_share": used_s / seconds,
        "kb_per_session": (rss_after_kb - rss_before_kb) / sessions,
        "p50_ms": quantile(window.trips_ms, 50),
        "p99_ms": quantile(window.trips_ms, 99),
        "p999_ms": quantile(window.trips_ms, 99.9),
        "lag_p99_ms": quantile(window.lags_ms, 99),
    }


def quantile(values: list[float], percent: float) -> float:
    """NaN for fewer than two values."""
    if len(values) < 2:
        return float("nan")
    return quantiles(values, n=1000, method="inclusive")[round(percent * 10) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--pid", type=int, required=True, help="the server's, for CPU and memory")
    options = parser.parse_args()
    seen = uvloop.run(run(options.url, options.sessions, options.seconds, options.pid))
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
