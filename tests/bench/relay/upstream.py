"""A Realtime server that echoes: what is appended comes back as the audio of Penny's answers.

It costs as little as it can and still sends what a real speaker sends around the audio: a piece
of transcript every 200 ms, and a new response every two seconds. Run as
``python -m tests.bench.relay.upstream PORT``.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

import orjson
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


CHARS_PER_RESPONSE = 128_000
CHARS_PER_WORD = 12_800
"""Base64 characters: 64 a millisecond of 24 kHz PCM16."""
CRASH = "crash"
FORMAT = {"type": "audio/pcm", "rate": 24000}
SESSION = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_echo",
    "model": "echo",
    "expires_at": 0,
    "output_modalities": ["audio"],
    "audio": {
        "input": {"format": FORMAT, "turn_detection": {"type": "server_vad"}},
        "output": {"format": FORMAT, "voice": "alloy"},
    },
}


class Echo(WSListener):  # type: ignore[misc]  # compiled, without types
    """One session. Calls are not in step: the length of the first response differs."""

    numbers = count()

    def __init__(self) -> None:
        super().__init__()
        self._skipped = next(self.numbers) * 7919 * 64 % CHARS_PER_RESPONSE
        self._chars = CHARS_PER_RESPONSE
        self._responses = 0
        self._place: dict[str, object] = {}
        self._head = b""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._send({"type": "session.created", "session": SESSION})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type is WSMsgType.TEXT:
            event = orjson.loads(frame.get_payload_as_bytes())
            if event["type"] == "input_audio_buffer.append":
                self._echo(event["audio"])
            elif event["type"] == "session.update":
                self._send({"type": "session.updated", "session": SESSION})
            elif event["type"] == "conversation.item.create":
                self._obey(event["item"]["content"][0]["text"])

    def _echo(self, audio: str) -> None:
        if self._chars >= CHARS_PER_RESPONSE:
            if self._responses:
                self._end()
            self._begin()
            self._chars, self._skipped = self._skipped, 0
        if self._chars % CHARS_PER_WORD < len(audio):
            kind = "response.output_audio_transcript.delta"
            self._send({"type": kind, **self._place, "delta": " palabra"})
        self._chars += len(audio)
        self._transport.send(WSMsgType.TEXT, self._head + audio.encode("ascii") + b'"}')

    def _obey(self, text: str) -> None:
        """What a caller types steers the bench: a speaker that dies in the middle of a call."""
        if text == CRASH:
            self._transport.underlying_transport.abort()

    def _begin(self) -> None:
        self._responses += 1
        number = self._responses
        self._item = {
            "id": f"item_{number}",
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        self._response = {
            "id": f"resp_{number}",
            "object": "realtime.response",
            "status": "in_progress",
            "conversation_id": "conv_1",
            "output_modalities": ["audio"],
            "output": [],
        }
        place = {"response_id": f"resp_{number}", "output_index": 0}
        self._place = {**place, "item_id": f"item_{number}", "content_index": 0}
        fields = {"type": "response.output_audio.delta", "event_id": "event_d", **self._place}
        self._head = orjson.dumps(fields)[:-1] + b',"delta":"'
        self._send({"type": "response.created", "response": self._response})
        self._send({"type": "response.output_item.added", **place, "item": self._item})
        item = {"previous_item_id": None, "item": self._item}
        self._send({"type": "conversation.item.added", **item})
        part = {"type": "audio", "transcript": ""}
        self._send({"type": "response.content_part.added", **self._place, "part": part})

    def _end(self) -> None:
        place = {name: self._place[name] for name in ("response_id", "output_index")}
        item = {**self._item, "status": "completed"}
        self._send({"type": "response.output_audio.done", **self._place})
        text = "palabra"
        kind = "response.output_audio_transcript.done"
        self._send({"type": kind, **self._place, "transcript": text})
        part = {"type": "audio", "transcript": text}
        self._send({"type": "response.content_part.done", **self._place, "part": part})
        self._send({"type": "response.output_item.done", **place, "item": item})
        response = {**self._response, "status": "completed", "output": [item]}
        self._send({"type": "response.done", "response": response})

    def _send(self, event: dict[str, object]) -> None:
        data = orjson.dumps({"event_id": "event_1", **event})
        self._transport.send(WSMsgType.TEXT, data)


async def serve(port: int) -> None:
    def accept(_request: WSUpgradeRequest) -> Echo:
        return Echo()

    server = await ws_create_server(accept, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(serve(int(sys.argv[1])))
