"""LiveKit agents as a relay: a session on its realtime model, its audio in and out on a socket.

The media server and WebRTC are left out, which only helps it; so is the muted microphone of the
first three seconds. Run in the bench's own environment
as ``python -m tests.bench.relay.peer_livekit PORT UPSTREAM_URL``.
"""

from __future__ import annotations

import asyncio
import sys
import time

import aiohttp
import uvloop
from aiohttp import WSMsgType, web
from livekit import rtc
from livekit.agents import Agent, AgentSession, utils
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities
from livekit.plugins.openai import realtime


RATE_HZ = 24_000


class SocketInput(AudioInput):
    """What the client sends, as the session's microphone."""

    def __init__(self) -> None:
        super().__init__(label="socket")
        self.frames: utils.aio.Chan[rtc.AudioFrame] = utils.aio.Chan()

    async def __anext__(self) -> rtc.AudioFrame:
        return await self.frames.__anext__()


class SocketOutput(AudioOutput):
    """The session's loudspeaker, straight onto the socket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        super().__init__(
            label="socket",
            next_in_chain=None,
            sample_rate=RATE_HZ,
            capabilities=AudioOutputCapabilities(pause=False),
        )
        self._socket = socket
        self._played_s = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._played_s:
            self.on_playback_started(created_at=time.time())
        self._played_s += frame.duration
        if not self._socket.closed:
            await self._socket.send_bytes(bytes(frame.data.cast("b")))

    def flush(self) -> None:
        super().flush()
        self._finish(interrupted=False)

    def clear_buffer(self) -> None:
        self._finish(interrupted=True)

    def _finish(self, *, interrupted: bool) -> None:
        if self._played_s:
            played_s, self._played_s = self._played_s, 0.0
            self.on_playback_finished(playback_position=played_s, interrupted=interrupted)


async def relay(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=0)
    await socket.prepare(request)
    await socket.receive()  # session_start, as Penny's clients send it
    model = realtime.RealtimeModel(
        api_key="none", base_url=request.app[UPSTREAM], http_session=request.app[HTTP]
    )
    session: AgentSession[None] = AgentSession(llm=model, aec_warmup_duration=None)
    microphone = SocketInput()
    session.input.audio = microphone
    session.output.audio = SocketOutput(socket)
    await session.start(Agent(instructions="Eres Penny."), record=False)
    await socket.send_str('{"type":"session_started"}')
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            frame = rtc.AudioFrame(message.data, RATE_HZ, 1, len(message.data) // 2)
            microphone.frames.send_nowait(frame)
    microphone.frames.close()
    await session.aclose()
    return socket


HTTP = web.AppKey("http", aiohttp.ClientSession)
UPSTREAM = web.AppKey("upstream", str)


async def make_app(upstream: str) -> web.Application:
    app = web.Application()
    app[HTTP] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    app[UPSTREAM] = upstream.removesuffix("/realtime").replace("ws", "http", 1)
    app.router.add_get("/ws", relay)
    return app


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    web.run_app(
        make_app(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        print=None,
        access_log=None,
    )
