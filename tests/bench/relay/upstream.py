"""A Realtime server that echoes: what is appended comes back as the audio of one endless answer.

The cheapest thing that speaks enough of the protocol for a session to open. Run as
``python -m tests.bench.relay.upstream PORT``.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
import uvloop
from aiohttp import WSMsgType, web


SESSION = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_echo",
    "model": "echo",
    "expires_at": 0,
    "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}, "output": {"voice": "x"}},
}
PLACE = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=0)
    await socket.prepare(request)
    await _send(socket, {"type": "session.created", "session": SESSION})
    begun = False
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            break
        event = orjson.loads(message.data)
        if event["type"] == "input_audio_buffer.append":
            if not begun:
                begun = True
                response = {"id": "resp_1", "status": "in_progress", "conversation_id": "conv_1"}
                await _send(socket, {"type": "response.created", "response": response})
            delta = {"type": "response.output_audio.delta", "event_id": "e", **PLACE}
            await _send(socket, {**delta, "delta": event["audio"]})
        elif event["type"] == "session.update":
            await _send(socket, {"type": "session.updated", "session": SESSION})
    return socket


async def _send(socket: web.WebSocketResponse, event: dict[str, Any]) -> None:
    await socket.send_str(orjson.dumps(event).decode())


def main() -> None:
    app = web.Application()
    app.router.add_get("/v1/realtime", echo)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
