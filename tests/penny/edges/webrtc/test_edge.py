"""The WebRTC edge's playback and events on the virtual clock: what is heard, and what is cut."""

from __future__ import annotations

import asyncio
import base64
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from penny.aio.websocket import CALLER_MESSAGES_PER_S
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.realtime.edge import RealtimeEdge
from penny.edges.telephone.tones import write_keys
from penny.edges.webrtc import channel
from penny.edges.webrtc.channel import ChannelConnection
from penny.edges.webrtc.edge import SILENCE, WebRtcEdge, without_formats
from tests.realtime_schema import assert_server_event_valid
from tests.virtual_time import VirtualTimeLoop


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]

DETECTION = {"type": "server_vad", "interrupt_response": True}
LOUD = b"\x10\x10" * (len(SILENCE) // 2)


class Voice:
    """The track to the caller: keeps what was played and when."""

    def __init__(self) -> None:
        self.played: list[tuple[float, bytes]] = []
        self.closed = False

    def play(self, pcm24k: bytes, /) -> None:
        self.played.append((asyncio.get_running_loop().time(), pcm24k))

    async def aclose(self) -> None:
        self.closed = True

    def loud_ms(self) -> int:
        return sum(20 for _, pcm in self.played if pcm != SILENCE)


class Channel:
    """What a browser's RTCDataChannel is to the connection."""

    def __init__(self) -> None:
        self.sent: list[Json] = []
        self.ready_state = "open"
        self.buffered_amount = 0
        self.buffered_amount_low_threshold = 0
        self.handlers: dict[str, Any] = {}

    def on(self, name: str, handler: Any) -> None:
        self.handlers[name] = handler

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    def close(self) -> None:
        self.ready_state = "closed"

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.sent]


class Sink:
    """The session's end of the edge."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.closed = 0

    def on_event(self, event: Json, /) -> None:
        self.events.append(event)

    def on_closed(self) -> None:
        self.closed += 1


class Call:
    """A started edge with both its sides in the test's hands."""

    def __init__(self, detection: Json | None = DETECTION) -> None:
        self.connection = ChannelConnection()
        session: Json = {"audio": {"input": {"turn_detection": detection}}}
        events = RealtimeEdge(
            self.connection,
            session_id="sess_1",
            model="penny",
            expires_at=0,
            penny_events=False,
        )
        self.voice, self.sink, self.channel = Voice(), Sink(), Channel()
        clock = asyncio.get_running_loop().time
        self.edge = WebRtcEdge(
            self.connection, events, session, self.voice, clock, lambda: 1_700_000_000.5
        )
        self.edge.start(self.sink)

    def open(self) -> None:
        self.connection.open(self.channel)  # type: ignore[arg-type]

    def answer(self, ms: int, response_id: str = "resp_1", item_id: str = "item_1") -> None:
        """All of an answer at once, as a fast voice makes it."""
        self.edge.deliver({"type": "response.created", "response": {"id": response_id}})
        where = {"response_id": response_id, "item_id": item_id, "content_index": 0}
        audio = LOUD * (ms // 20)
        delta = base64.b64encode(audio).decode()
        self.edge.deliver({"type": "response.output_audio.delta", **where, "delta": delta})
        self.edge.deliver({"type": "response.output_audio.done", **where})
        self.done(response_id, item_id)

    def done(self, response_id: str = "resp_1", item_id: str = "item_1") -> None:
        response = {"id": response_id, "status": "completed", "output": [{"id": item_id}]}
        self.edge.deliver({"type": "response.done", "response": response})

    def speech(self) -> None:
        started = {"audio_start_ms": 0, "item_id": "item_2", "event_id": "event_9"}
        self.edge.deliver({"type": "input_audio_buffer.speech_started", **started})

    def buffers(self) -> list[tuple[str, str]]:
        """What was told of the playback: (what, response)."""
        return [
            (event["type"].rpartition(".")[2], event["response_id"])
            for event in self.channel.sent
            if event["type"].startswith("output_audio_buffer.")
        ]


async def test_audio_goes_out_every_20_ms_and_never_on_the_channel() -> None:
    call = Call()
    call.open()
    await asyncio.sleep(1)
    call.answer(1000)
    await asyncio.sleep(2)
    gaps = {
        round((after - before) * 1000)
        for (before, _), (after, _) in zip(call.voice.played, call.voice.played[1:], strict=False)
    }
    assert gaps == {20}
    assert call.voice.loud_ms() == 1000
    assert "response.output_audio.delta" not in call.channel.kinds()
    assert call.buffers() == [("started", "resp_1"), ("stopped", "resp_1")]
    kinds = call.channel.kinds()
    assert kinds.index("response.done") < kinds.index("output_audio_buffer.stopped")


async def test_speech_cuts_what_was_not_heard_here_and_in_the_history() -> None:
    call = Call()
    call.open()
    call.answer(5000)
    await asyncio.sleep(1)
    call.speech()
    await asyncio.sleep(1)
    assert call.voice.loud_ms() == pytest.approx(1000, abs=20)
    (cut,) = call.sink.events
    assert cut["type"] == "conversation.item.truncate"
    assert cut["item_id"] == "item_1"
    assert cut["audio_end_ms"] == pytest.approx(1000, abs=20)
    assert call.buffers() == [("started", "resp_1"), ("cleared", "resp_1")]


async def test_speech_lets_an_answer_go_on_where_it_may_not_interrupt() -> None:
    call = Call({"type": "server_vad", "interrupt_response": False})
    call.open()
    await asyncio.sleep(1)
    call.answer(2000)
    await asyncio.sleep(1)
    call.speech()
    await asyncio.sleep(2)
    assert call.voice.loud_ms() == 2000
    assert call.sink.events == []
    updated = {"audio": {"input": {"turn_detection": DETECTION}}, "type": "realtime"}
    call.edge.deliver({"type": "session.updated", "session": updated})
    call.answer(2000, "resp_2", "item_3")
    await asyncio.sleep(1)
    call.speech()
    assert [event["type"] for event in call.sink.events] == ["conversation.item.truncate"]


async def test_the_client_clears_the_playback_by_an_event() -> None:
    call = Call(None)
    call.open()
    call.answer(5000)
    await asyncio.sleep(0.5)
    call.channel.handlers["message"](Message('{"type": "output_audio_buffer.clear"}'))
    await asyncio.sleep(1)
    assert call.voice.loud_ms() == pytest.approx(500, abs=20)
    assert call.buffers()[-1] == ("cleared", "resp_1")
    assert [event["type"] for event in call.sink.events] == ["conversation.item.truncate"]


async def test_what_an_interrupted_answer_still_says_is_not_played() -> None:
    call = Call()
    call.open()
    call.edge.deliver({"type": "response.created", "response": {"id": "resp_1"}})
    where = {"response_id": "resp_1", "item_id": "item_1", "content_index": 0}
    delta = {"delta": base64.b64encode(LOUD * 10).decode(), **where}
    call.edge.deliver({"type": "response.output_audio.delta", **delta})
    await asyncio.sleep(0.1)
    call.speech()
    call.edge.deliver({"type": "response.output_audio.delta", **delta})
    await asyncio.sleep(1)
    assert call.voice.loud_ms() == pytest.approx(100, abs=20)
    call.done()
    call.answer(400, "resp_2", "item_5")
    await asyncio.sleep(1)
    assert call.voice.loud_ms() == pytest.approx(500, abs=20)


async def test_a_stalled_loop_does_not_send_all_it_missed_at_once() -> None:
    call = Call()
    call.open()
    await asyncio.sleep(0.1)
    before = len(call.voice.played)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.now_s += 3.0
    await asyncio.sleep(0.1)
    assert len(call.voice.played) - before < 20


async def test_what_the_caller_says_is_appended_in_pieces_of_20_ms_at_24000_hz() -> None:
    call = Call()
    heard = AudioFormat("pcm16", 48_000)
    for _ in range(100):
        call.edge.hear(bytes(960), heard)
    appended = [base64.b64decode(event["audio"]) for event in call.sink.events]
    assert {event["type"] for event in call.sink.events} == {"input_audio_buffer.append"}
    assert PCM24K.ms_of(sum(map(len, appended))) == pytest.approx(1000, abs=30)
    assert len(appended) == pytest.approx(50, abs=3)


async def test_a_key_is_told_to_every_connection_and_its_tone_is_not_heard() -> None:
    call = Call()
    call.open()
    heard = AudioFormat("pcm16", 48_000)
    tones = b"".join(write_keys("15#", heard))
    for at in range(0, len(tones), 960):
        call.edge.hear(tones[at : at + 960], heard)
    told = [e for e in call.channel.sent if e["type"].endswith("dtmf_event_received")]
    assert [event["event"] for event in told] == ["1", "5", "#"]
    for event in told:
        assert event["received_at"] == 1_700_000_000
        assert_server_event_valid(event, on_call=True)
    appended = b"".join(base64.b64decode(event["audio"]) for event in call.sink.events)
    loud = np.abs(np.frombuffer(appended, "<i2").astype(int)) > 500
    assert PCM24K.ms_of(2 * int(loud.sum())) < 3 * 40
    assert PCM24K.ms_of(len(appended)) == pytest.approx(600, abs=40)


async def test_a_paused_caller_is_kept_for_ten_seconds_and_then_loses_the_oldest() -> None:
    call = Call()
    heard = AudioFormat("pcm16", 24_000)
    call.edge.pause()
    for number in range(600):
        call.edge.hear(bytes([number % 250, 0]) * 480, heard)
    assert call.sink.events == []
    call.edge.resume()
    (event,) = call.sink.events
    audio = base64.b64decode(event["audio"])
    assert PCM24K.ms_of(len(audio)) == 10_000
    assert audio[-2] == 599 % 250


async def test_events_wait_for_the_clients_channel() -> None:
    call = Call()
    call.answer(100)
    await asyncio.sleep(1)
    assert call.channel.sent == []
    call.open()
    assert call.channel.kinds()[0] == "response.created"
    assert call.buffers() == [("started", "resp_1"), ("stopped", "resp_1")]


async def test_an_event_that_no_channel_carries_is_named_in_its_place() -> None:
    call = Call()
    call.open()
    call.edge.deliver({"type": "conversation.item.retrieved", "item": {"text": "a" * 300_000}})
    assert call.channel.sent[-1]["error"]["code"] == "event_too_long"


async def test_formats_are_what_the_sdp_agreed_on() -> None:
    session = {
        "audio": {
            "input": {"format": {"type": "audio/pcmu"}, "turn_detection": None},
            "output": {"format": {"type": "audio/pcmu"}, "voice": "alloy"},
        }
    }
    assert without_formats(session) == {
        "audio": {"input": {"turn_detection": None}, "output": {"voice": "alloy"}}
    }
    assert without_formats({"type": "realtime"}) == {"type": "realtime"}


async def test_a_lost_connection_ends_the_session_once() -> None:
    call = Call()
    call.open()
    call.connection.lost()
    call.connection.lost()
    assert (call.sink.closed, call.edge.end_reason) == (1, "client_gone")
    await call.edge.aclose("client_gone", {})
    assert call.voice.closed


async def test_a_goodbye_is_sent_before_the_connection_closes() -> None:
    call = Call()
    call.open()
    call.channel.buffered_amount = 100
    closing = asyncio.ensure_future(call.edge.aclose("drain", {}))
    await asyncio.sleep(0.5)
    assert call.channel.sent[-1]["error"]["code"] == "server_shutting_down"
    assert not call.voice.closed
    call.channel.handlers["bufferedamountlow"](None)
    await closing
    assert call.voice.closed


class Message:
    """A MessageEvent."""

    def __init__(self, data: str) -> None:
        self.data = data


async def test_a_flood_on_the_channel_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "time", SimpleNamespace(monotonic=lambda: 5.0))
    call = Call()
    call.open()
    append = SimpleNamespace(data='{"type": "input_audio_buffer.append", "audio": "AAAA"}')
    for _ in range(round(2 * CALLER_MESSAGES_PER_S)):
        call.channel.handlers["message"](append)
    assert len(call.sink.events) == CALLER_MESSAGES_PER_S
    assert call.sink.closed == 1
    assert call.connection.close_code == 1009
