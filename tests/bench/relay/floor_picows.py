"""The floor on picows, the fastest socket library of Python: a plain echo, and a bare relay.

The same work as ``floor_aiohttp``, in callbacks, without a task or a future per frame. Run as
``python -m tests.bench.relay.floor_picows PORT [UPSTREAM_URL]``; without an upstream it echoes.
"""

from __future__ import annotations

import asyncio
import sys
from base64 import b64decode, b64encode

import orjson
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)


STARTED = b'{"type":"session_started"}'


class Echo(WSListener):  # type: ignore[misc]  # compiled, without types
    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, STARTED)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()


class Relay(WSListener):  # type: ignore[misc]  # compiled, without types
    """The client's side; ``Upstream`` is the other."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._upstream: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        self._upstream, _ = await ws_connect(lambda: Upstream(self.transport), self._url)
        self.transport.send(WSMsgType.TEXT, STARTED)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._upstream is not None:
            self._upstream.disconnect()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.BINARY and self._upstream is not None:
            audio = b64encode(frame.get_payload_as_bytes()).decode("ascii")
            event = {"type": "input_audio_buffer.append", "audio": audio}
            self._upstream.send(WSMsgType.TEXT, orjson.dumps(event))
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()


class Upstream(WSListener):  # type: ignore[misc]  # compiled, without types
    def __init__(self, client: WSTransport) -> None:
        super().__init__()
        self._client = client

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            event = orjson.loads(frame.get_payload_as_bytes())
            if event["type"] == "response.output_audio.delta":
                self._client.send(WSMsgType.BINARY, b64decode(event["delta"]))


async def serve(port: int, upstream: str | None) -> None:
    def accept(_request: WSUpgradeRequest) -> WSListener:
        return Relay(upstream) if upstream else Echo()

    server = await ws_create_server(accept, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
