"""Every place at which a connection can be cut, one after the other: nothing is lost, doubled or
told before its turn."""

from __future__ import annotations

import asyncio
import itertools
from base64 import b64encode
from collections import deque
from typing import Any

import orjson
import pytest

from config.trust import ResumeSection
from penny.aio.websocket import SocketConnection
from penny.edges.socket.edge import SocketEdge
from penny.protocol.session import AudioFormats, StreamFormat
from tests.penny.aio.test_websocket import TEXT, Wire


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]
Message = Json | bytes
PCM = StreamFormat(encoding="pcm16", rate_hz=24000)
AUDIO_KINDS = ("audio_started", "audio_done", "transcript_heard")
"""What is told of the audio keeps its place among the audio; control may pass it."""

RESPONSE, ITEM = {"id": "resp_1", "conversation_id": "conv_1"}, "item_1"
PART = {"response_id": "resp_1", "item_id": ITEM, "content_index": 0}


def said(words: str, frames: int, first: int) -> list[Json]:
    """A piece of the answer: words, and as many 20 ms of audio, each with its own number."""
    pcm = b"".join(number.to_bytes(2, "little") * 480 for number in range(first, first + frames))
    return [
        {"type": "response.output_audio_transcript.delta", **PART, "delta": words},
        {"type": "response.output_audio.delta", **PART, "delta": b64encode(pcm).decode()},
    ]


ANSWER: tuple[Json, ...] = (
    {"type": "response.created", "response": RESPONSE},
    *said("Su factura ", 4, 1),
    *said("vence ", 3, 5),
    *said("el quince.", 4, 8),
    {
        "type": "response.output_audio_transcript.done",
        **PART,
        "transcript": "Su factura vence el quince.",
    },
    {"type": "response.output_audio.done", **PART},
    {
        "type": "response.done",
        "response": {**RESPONSE, "status": "completed", "output": [{"id": ITEM}]},
    },
)


class NarrowWire(Wire):
    """Takes ``room`` writes at a time, then says that it is full until ``make_room``."""

    def __init__(self, room: int | None) -> None:
        super().__init__()
        self._room = room
        self._taken = 0

    def write(self, data: Any) -> None:
        super().write(data)
        self._taken += 1
        if self._taken == self._room:
            self._connection.pause_writing()

    def make_room(self) -> None:
        self._taken = 0
        if self._connection.is_full:
            self._connection.resume_writing()

    def messages(self) -> list[Message]:
        return [orjson.loads(data) if code == TEXT else data for code, data in self.sent()]


class Call:
    """One session, and the client that hears it over one connection after the other."""

    def __init__(self, room: int | None = None) -> None:
        self._room = room
        self.wire = NarrowWire(room)
        formats = AudioFormats(input=PCM, output=PCM)
        self.edge = SocketEdge(
            self._connect(),
            formats,
            clock=asyncio.get_running_loop().time,
            hold=ResumeSection(hold_s=30.0, max_audio_bytes=1_000_000),
        )
        self.edge.start(self)
        self.heard: list[Message] = []
        """What the client has of the session, over all its connections."""
        self.left = False

    def on_event(self, _event: Json) -> None: ...

    def on_closed(self) -> None:
        self.left = True

    def _connect(self) -> SocketConnection:
        return self.wire.join(SocketConnection(max_message_bytes=1_000_000))

    def hear(self, messages: list[Message]) -> None:
        """The client gets ``messages``; what greets it on a new connection does not count."""
        self.heard += [each for each in messages if not is_greeting(each)]

    def lose(self) -> None:
        self.wire._connection.connection_lost(None)

    async def step(self, events: deque[Json]) -> None:
        """The speaker's next event, and 10 ms."""
        self.wire.make_room()
        self.edge.deliver(events.popleft())
        await asyncio.sleep(0.01)

    def come_back(self) -> list[Message]:
        """Resume. The greeting is first; what follows it in the same step is returned."""
        self.wire = NarrowWire(self._room)
        assert self.edge.reconnect("sess_1", self._connect(), len(self.heard))
        greeting, *others = self.wire.messages()
        assert is_greeting(greeting)
        assert not any(map(is_greeting, others))
        return others

    async def play_out(self) -> None:
        """Let the time of the whole answer pass on a wire that has room now and then."""
        for _ in range(60):
            self.wire.make_room()
            await asyncio.sleep(0.02)


def is_greeting(message: Message) -> bool:
    return isinstance(message, dict) and message["type"] == "session_resumed"


def by_queue(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Control, and audio with what is told of it: each keeps its order."""
    audio = [m for m in messages if isinstance(m, bytes) or m["type"] in AUDIO_KINDS]
    return [m for m in messages if m not in audio], audio


async def whole_answer() -> list[Message]:
    call = Call()
    for event in ANSWER:
        call.edge.deliver(event)
        await asyncio.sleep(0.01)
    await call.play_out()
    return call.wire.messages()


@pytest.mark.parametrize("room", [None, 1, 3])
@pytest.mark.parametrize("is_noticed", [True, False])
async def test_a_cut_at_every_message_costs_nothing(room: int | None, is_noticed: bool) -> None:
    # The client has so many messages when it is cut off and comes back so many events later. A
    # loss that nobody noticed goes on being written to until the client stands at the door again.
    reference = await whole_answer()
    for at, away in itertools.product(range(len(reference)), (0, 1, 2, len(ANSWER))):
        call, events = Call(room), deque(ANSWER)
        while events and len(call.wire.messages()) < at:
            await call.step(events)
        call.hear(call.wire.messages()[:at])
        if is_noticed:
            call.lose()
        for _ in range(min(away, len(events))):
            await call.step(events)
        missed = call.wire.messages()[at:]
        others = call.come_back()
        assert others[: len(missed)] == missed[: len(others)]
        while events:
            await call.step(events)
        await call.play_out()
        call.hear(call.wire.messages())
        assert by_queue(call.heard) == by_queue(reference), (at, away)
        assert not call.left


@pytest.mark.parametrize("room", [None, 1])
async def test_a_cut_inside_the_resumption_itself_costs_nothing(room: int | None) -> None:
    # The second connection dies after every number of its own messages, the greeting included.
    reference = await whole_answer()
    for at, got in itertools.product(range(1, len(ANSWER)), range(len(reference) + 2)):
        call = Call(room)
        for event in ANSWER[:at]:
            call.edge.deliver(event)
            await asyncio.sleep(0.01)
        call.hear(call.wire.messages()[:1])
        call.lose()
        for event in ANSWER[at:]:
            call.edge.deliver(event)
        call.come_back()
        for _ in range(got):
            call.wire.make_room()
        call.hear(call.wire.messages()[:got])
        call.lose()
        await asyncio.sleep(0.1)
        call.come_back()
        await call.play_out()
        call.hear(call.wire.messages())
        assert by_queue(call.heard) == by_queue(reference), (at, got)


async def test_a_session_that_ends_tells_what_was_missed_before_its_end() -> None:
    reference = await whole_answer()
    call = Call(room=1)
    for event in ANSWER:
        call.edge.deliver(event)
    call.lose()
    call.come_back()
    closing = asyncio.create_task(call.edge.aclose("time_limit", {"duration_ms": 1}))
    await asyncio.sleep(0)
    told = call.wire.messages()
    call.lose()
    await closing
    kinds = [m["type"] for m in told if isinstance(m, dict) and "type" in m]
    assert kinds[0] == "session_resumed"
    assert kinds[-1] == "session_ended"
    control, _ = by_queue([m for m in told if not is_greeting(m)])
    assert control[:-1] == by_queue(reference)[0]
