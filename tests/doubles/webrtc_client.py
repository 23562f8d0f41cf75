"""A caller by WebRTC on the same engine as Chrome: an offer, two tracks, the channel of events."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.realtime_schema import assert_server_event_valid


os.environ["WRTC_ALLOW_LOOPBACK"] = "1"

import webrtc  # reads that variable


Json = dict[str, Any]

RATE_HZ = 24_000
PIECE_MS = 20
LOUD = 500
"""Of 32,767: louder is voice, the concealment of nothing is not."""


class WebRtcCaller:
    """One call. ``events`` are what came on the channel, in order; ``voice`` what was heard."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.connection = webrtc.RTCPeerConnection()
        self.channel = self.connection.create_data_channel("oai-events")
        self._track = webrtc.MediaStreamTrackGenerator("audio")
        self._writer = self._track.writable.get_writer()
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self.events: list[Json] = []
        self.voice = bytearray()
        """PCM16 at 48,000 Hz, silence included."""
        self.location = ""
        self.is_closed = False

    async def call(self, offered: aiohttp.FormData | None = None, **headers: str) -> Any:
        """Offer and take the answer; returns the HTTP answer."""
        self._sender = self.connection.add_track(self._track)
        self.connection.on("track", self._hear)
        self.channel.on("message", lambda event: self._take(event.data))
        self.channel.on("close", lambda _event: self._close())
        opened = asyncio.Event()
        self.channel.on("open", lambda _event: opened.set())
        await self.connection.set_local_description(await self.connection.create_offer())
        while self.connection.ice_gathering_state != "complete":
            await asyncio.sleep(0.01)
        described = self.connection.local_description
        assert described is not None
        body: Any = described.sdp
        if offered is not None:
            offered.add_field("sdp", described.sdp)
            body = offered
        else:
            headers["Content-Type"] = "application/sdp"
        path = f"{self._url}/v1/realtime/calls"
        async with (
            aiohttp.ClientSession() as http,
            http.post(path, data=body, headers=headers) as answer,
        ):
            text = await answer.text()
            if answer.status != 201:
                return json.loads(text)["error"]
        self.location = answer.headers["Location"]
        init = webrtc.RTCSessionDescriptionInit("answer", text)
        await self.connection.set_remote_description(init)
        async with asyncio.timeout(60):
            await opened.wait()
        return answer

    def send(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def speak(self, pcm24k: bytes) -> None:
        """Say it at the speed of speech."""
        piece = RATE_HZ * PIECE_MS // 1000 * 2
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, start in enumerate(range(0, len(pcm24k) - piece + 1, piece)):
            data = webrtc.AudioDataInit(
                format="s16",
                sample_rate=RATE_HZ,
                number_of_frames=piece // 2,
                number_of_channels=1,
                timestamp=0,
                data=pcm24k[start : start + piece],
            )
            await self._writer.write(webrtc.AudioData(data))
            due = began + (number + 1) * PIECE_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))

    def press(self, keys: str) -> None:
        """Press them one after the other; they leave while something is said."""
        assert self._sender.dtmf is not None
        self._sender.dtmf.insert_dtmf(keys, 100, 70)

    async def until(self, kind: str, count: int = 1) -> Json:
        """The ``count``-th event of that type."""
        async with asyncio.timeout(60):
            while True:
                found = [event for event in self.events if event["type"] == kind]
                if len(found) >= count:
                    return found[count - 1]
                self._changed.clear()
                await self._changed.wait()

    async def until_closed(self) -> None:
        async with asyncio.timeout(60):
            while not self.is_closed:
                self._changed.clear()
                await self._changed.wait()

    def kinds(self) -> list[str]:
        """The types of what came, deltas apart."""
        return [e["type"] for e in self.events if not e["type"].endswith(".delta")]

    def heard_ms(self) -> float:
        """How long anything but silence was heard, in whole pieces of 10 ms."""
        piece = 48 * 10
        samples = memoryview(bytes(self.voice)).cast("h")
        pieces = range(0, len(samples) - piece + 1, piece)
        return 10.0 * sum(max(map(abs, samples[i : i + piece])) > LOUD for i in pieces)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.connection.close()

    # -- inside -------------------------------------------------------------------------------

    def _hear(self, event: webrtc.RTCTrackEvent) -> None:
        # As a page does: it plays the stream, and a track without one is not heard.
        if event.streams:
            self._tasks.append(asyncio.get_running_loop().create_task(self._listen(event.track)))

    async def _listen(self, track: webrtc.MediaStreamTrack) -> None:
        init = webrtc.MediaStreamTrackProcessorInit(track, max_buffer_size=500)
        options = webrtc.AudioDataCopyToOptions(plane_index=0, format="s16")
        async for data in webrtc.MediaStreamTrackProcessor(init).readable:
            assert isinstance(data, webrtc.AudioData)
            with data:
                samples = bytearray(data.allocation_size(options))
                data.copy_to(samples, options)
                channels = data.number_of_channels
            self.voice += memoryview(samples).cast("h")[::channels].tobytes()

    def _take(self, data: Any) -> None:
        event = json.loads(data)
        assert_server_event_valid(event, on_call=True)
        self.events.append(event)
        self._changed.set()

    def _close(self) -> None:
        self.is_closed = True
        self._changed.set()


@asynccontextmanager
async def calling(
    url: str, offered: aiohttp.FormData | None = None, **headers: str
) -> AsyncIterator[WebRtcCaller]:
    """A call that was answered."""
    caller = WebRtcCaller(url)
    try:
        answer = await caller.call(offered, **headers)
        assert caller.location, answer
        yield caller
    finally:
        caller.close()
