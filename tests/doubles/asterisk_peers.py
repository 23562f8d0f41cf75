"""Asterisk's side of a call, over real sockets: the AudioSocket application and chan_websocket.

They behave as Asterisk 23.4.1 was measured to, where that is not what one would expect:

AudioSocket: what comes in is passed on at once, nothing is kept; a key, an error or an empty frame
kills the call; two seconds without a frame either way end it; where it fails the dialplan does not
go on; a caller who hangs up is a bare end of the stream. chan_websocket: a message that is no
multiple of the frame loses its tail; text over 128 bytes is dropped; FLUSH drops marks without a
word; a fragmented message ends the call.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp


Json = dict[str, Any]

FRAME_BYTES = 320
FRAME_S = 0.02
SILENCE = bytes(FRAME_BYTES)
NO_ACTIVITY_S = 2.0
XOFF, XON, MOST_FRAMES = 900, 800, 1000
LOUD = 200


@dataclass(frozen=True, slots=True)
class Heard:
    """20 ms (or what came) that the far leg got, and when (the loop's clock)."""

    at_s: float
    pcm: bytes


class Peer:
    """What both have in common: the caller's voice going in, what the far leg hears."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.heard: list[Heard] = []
        self._loud: list[Heard] = []
        """Told apart as they come: to look at all of them again costs a long call its pace."""
        self.end = ""
        """'' while the call lives; 'continue' where the dialplan goes on, else why it died."""
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self._says: deque[bytes] = deque()
        self._talking: asyncio.Task[None] | None = None
        self.is_mute = False
        """Sends nothing at all: a far side that is silent."""

    def say(self, pcm8k: bytes) -> None:
        """Speak after what is being said; silence flows otherwise."""
        rest = -len(pcm8k) % FRAME_BYTES
        pcm8k += bytes(rest)
        self._says.extend(pcm8k[at : at + FRAME_BYTES] for at in range(0, len(pcm8k), FRAME_BYTES))

    @property
    def is_talking(self) -> bool:
        return bool(self._says)

    def _finish(self, why: str) -> None:
        if not self.end:
            self.end = why
            if self._talking is not None:
                self._talking.cancel()
            if not self.ended.done():
                self.ended.set_result(why)

    async def _talk(self) -> None:
        """20 ms every 20 ms, on absolute deadlines."""
        next_s = self._loop.time()
        while not self.end:
            if not self.is_mute:
                self._send_audio(self._says.popleft() if self._says else SILENCE)
            next_s += FRAME_S
            await asyncio.sleep(max(0.0, next_s - self._loop.time()))

    def _send_audio(self, pcm: bytes) -> None:
        raise NotImplementedError

    def _hear(self, pcm: bytes) -> None:
        heard = Heard(self._loop.time(), pcm)
        self.heard.append(heard)
        if _peak(pcm) > LOUD:
            self._loud.append(heard)

    def loud(self) -> list[Heard]:
        """The frames that are not silence."""
        return self._loud.copy()

    async def until_loud(self, count: int = 1, within_s: float = 60.0) -> None:
        """Wait until the far leg has heard so many frames of sound."""
        async with asyncio.timeout(within_s):
            while len(self.loud()) < count and not self.end:
                await asyncio.sleep(0.005)
        assert not self.end, self.end

    async def until_quiet(self, quiet_s: float, within_s: float = 60.0) -> None:
        """Wait until no sound has come for so long."""
        async with asyncio.timeout(within_s):
            while not (loud := self.loud()) or self._loop.time() - loud[-1].at_s < quiet_s:
                await asyncio.sleep(0.01)


def _peak(pcm: bytes) -> int:
    samples = memoryview(pcm[: len(pcm) // 2 * 2]).cast("h")
    return max((abs(sample) for sample in samples), default=0)


class AudioSocketPeer(Peer, asyncio.Protocol):
    """The dialplan application ``AudioSocket(UUID,HOST:PORT)``."""

    def __init__(self, call_id: UUID) -> None:
        super().__init__()
        self._id = call_id
        self._data = b""
        self._active_s = self._loop.time()

    @classmethod
    async def call(
        cls, call_id: UUID, host: str, port: int, *, is_mute: bool = False
    ) -> AudioSocketPeer:
        """Connect, name the call, and talk."""

        def make() -> AudioSocketPeer:
            peer = cls(call_id)
            peer.is_mute = is_mute
            return peer

        _, peer = await asyncio.get_running_loop().create_connection(make, host, port)
        return peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._transport.write(struct.pack(">BH", 0x01, 16) + self._id.bytes)
        self._talking = self._loop.create_task(self._talk())
        self._loop.call_later(NO_ACTIVITY_S, self._watch)

    def _watch(self) -> None:
        if self.end:
            return
        if self._loop.time() - self._active_s > NO_ACTIVITY_S:
            self._kill("no activity for 2000 ms")
        else:
            self._loop.call_later(0.1, self._watch)

    def _send_audio(self, pcm: bytes) -> None:
        self.send(0x10, pcm)

    def send(self, kind: int, payload: bytes) -> None:
        """Any frame; ``0x10`` with audio of 8 000 Hz is what Asterisk sends."""
        self._active_s = self._loop.time()
        self._transport.write(struct.pack(">BH", kind, len(payload)) + payload)

    def press(self, keys: str) -> None:
        for key in keys:
            self.send(0x03, key.encode())

    def hang_up(self) -> None:
        """The caller hangs up: the stream ends, and no word before it."""
        self._finish("caller hung up")
        self._transport.close()

    def break_off(self) -> None:
        """The connection is reset while the caller is still there."""
        self._finish("the connection broke")
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def stand_still(self) -> None:
        """Read no more and say nothing, as a stopped process."""
        self.is_mute = True
        self._transport.pause_reading()
        self._active_s = float("inf")

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= 3 and not self.end:
            kind, length = struct.unpack(">BH", self._data[:3])
            if len(self._data) < 3 + length:
                return
            payload, self._data = self._data[3 : 3 + length], self._data[3 + length :]
            self._take(kind, payload)

    def _take(self, kind: int, payload: bytes) -> None:
        self._active_s = self._loop.time()
        if kind == 0x00:
            self._finish("continue")
            self._transport.close()
        elif not 0x10 <= kind <= 0x18 or not payload:
            self._kill(f"frame of kind {kind:#x} and {len(payload)} bytes")
        else:
            self._hear(payload)

    def connection_lost(self, error: Exception | None) -> None:
        """Our close ends the application as 0x00 does; a connection that breaks fails it."""
        self._finish("continue" if error is None else "the connection broke")

    def _kill(self, why: str) -> None:
        self._finish(why)
        self._transport.abort()


class WebSocketPeer(Peer):
    """``Dial(WebSocket/CONN/c(slin)f(json)v(id=UUID))``: plays from its queue, 20 ms a tick.

    Args:
        late_start: MEDIA_START comes after the first sound, as it may under load.
    """

    def __init__(self, *, late_start: bool = False) -> None:
        super().__init__()
        self._late_start = late_start
        self._queue: deque[bytes | str] = deque()
        """Frames and marks, in order."""
        self._is_buffering = False
        self._rest = b""
        self._is_off = False
        self.commands: list[Json] = []
        self.dropped: list[str] = []
        """What Asterisk would have warned of in its own log alone."""
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def call(
        cls,
        call_id: UUID,
        http: aiohttp.ClientSession,
        url: str,
        *,
        late_start: bool = False,
        is_mute: bool = False,
    ) -> WebSocketPeer:
        """Connect and talk. Raises aiohttp.WSServerHandshakeError where it is refused."""
        peer = cls(late_start=late_start)
        peer.is_mute = is_mute
        peer._socket = await http.ws_connect(
            f"{url}?id={call_id}", protocols=["media"], max_msg_size=65_500
        )
        assert peer._socket.protocol == "media"
        if not late_start:
            await peer._start()
        peer._talking = asyncio.create_task(peer._talk())
        peer._tasks = [asyncio.create_task(peer._read()), asyncio.create_task(peer._play())]
        if late_start:
            asyncio.get_running_loop().call_later(0.1, peer._start_soon)
        return peer

    def _start_soon(self) -> None:
        self._tasks.append(asyncio.create_task(self._start()))

    async def _start(self) -> None:
        await self._event(
            "MEDIA_START",
            connection_id="penny",
            channel="WebSocket/penny/0x1",
            channel_id="1.1",
            format="slin",
            optimal_frame_size=FRAME_BYTES,
            ptime=20,
            channel_variables={},
        )

    async def _event(self, name: str, **facts: Any) -> None:
        if not self._socket.closed:
            await self._socket.send_str(json.dumps({"event": name, **facts}))

    def _send_audio(self, pcm: bytes) -> None:
        self._tasks.append(asyncio.create_task(self._socket.send_bytes(pcm)))
        del self._tasks[2:-20]

    def press(self, keys: str) -> None:
        for key in keys:
            self._tasks.append(asyncio.create_task(self._event("DTMF_END", digit=key)))

    async def hang_up(self) -> None:
        """The caller hangs up: Asterisk closes."""
        self._finish("caller hung up")
        await self.aclose()

    def break_off(self) -> None:
        """The connection is gone without a goodbye while the caller is still there."""
        self._socket.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                self._take_audio(message.data)
            elif message.type == aiohttp.WSMsgType.TEXT:
                await self._take_command(message.data)
            if self.end:
                break
        self._finish("continue")
        await self._socket.close()

    def _take_audio(self, data: bytes) -> None:
        if self._is_buffering:
            data = self._rest + data
        whole = len(data) // FRAME_BYTES * FRAME_BYTES
        self._rest = data[whole:] if self._is_buffering else b""
        if not self._is_buffering and whole < len(data):
            self.dropped.append(f"tail of {len(data) - whole} bytes")
        for at in range(0, whole, FRAME_BYTES):
            if len(self._queue) >= MOST_FRAMES:
                self.dropped.append("frame: the queue is full")
            else:
                self._queue.append(data[at : at + FRAME_BYTES])

    async def _take_command(self, text: str) -> None:
        if len(text.encode()) > 128:
            self.dropped.append(f"control of {len(text)} bytes")
            return
        told = json.loads(text)
        self.commands.append(told)
        match told["command"]:
            case "MARK_MEDIA":
                self._queue.append(str(told["correlation_id"]))
            case "FLUSH_MEDIA":
                self._queue.clear()
            case "START_MEDIA_BUFFERING":
                self._is_buffering = True
            case "STOP_MEDIA_BUFFERING":
                self._is_buffering = False
                if self._rest:
                    self._queue.append(self._rest.ljust(FRAME_BYTES, b"\0"))
                self._rest = b""
            case "GET_STATUS":
                length = sum(isinstance(each, bytes) for each in self._queue)
                await self._event("STATUS", queue_length=length, xon_level=XON, xoff_level=XOFF)
            case "HANGUP":
                self._finish("continue")
            case "ANSWER" | "REPORT_QUEUE_DRAINED":
                pass
            case other:
                await self._event("ERROR", error_text=f"unknown command {other}")

    async def _play(self) -> None:
        """One frame a tick; an empty queue sends nothing to the far leg."""
        next_s = self._loop.time()
        while not self.end:
            while self._queue and isinstance(self._queue[0], str):
                mark = str(self._queue.popleft())
                await self._event("MEDIA_MARK_PROCESSED", correlation_id=mark)
            if self._queue:
                self._hear(self._queue.popleft())  # type: ignore[arg-type]
            if len(self._queue) >= XOFF and not self._is_off:
                self._is_off = True
                await self._event("MEDIA_XOFF")
            elif len(self._queue) <= XON and self._is_off:
                self._is_off = False
                await self._event("MEDIA_XON")
            next_s += FRAME_S
            await asyncio.sleep(max(0.0, next_s - self._loop.time()))

    def fall_behind(self, frames: int) -> None:
        """A late tick leaves so much more in the queue for ever (asterisk#2115)."""
        self._queue.extendleft([SILENCE] * frames)

    @property
    def queued(self) -> int:
        return sum(isinstance(each, bytes) for each in self._queue)
