"""Both of Asterisk's wires over real sockets, against peers that behave as Asterisk does."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import pytest

from penny.edges.asterisk.audiosocket import AudioSocketWire, FrameReader
from tests.doubles.asterisk_peers import SILENCE, AudioSocketPeer, WebSocketPeer
from tests.penny.edges.asterisk.calls import (
    PLACES,
    WIRES,
    WiredCall,
    audiosocket_call,
    websocket_call,
)


pytestmark = pytest.mark.socket

LOUD = struct.pack("<160h", *([4000, -4000] * 80))


@pytest.fixture(params=WIRES)
async def call(request: pytest.FixtureRequest) -> AsyncIterator[WiredCall]:
    opened = audiosocket_call() if request.param == "audiosocket" else websocket_call()
    async with opened as made:
        yield made


async def test_an_answer_is_heard_whole_and_paced(call: WiredCall) -> None:
    call.answer(600)
    await call.peer.until_loud(30)
    await call.peer.until_quiet(0.2)
    loud = call.peer.loud()
    assert len(loud) in (30, 31)
    span_s = loud[-1].at_s - loud[0].at_s
    assert span_s >= 0.3  # not at once; how evenly is measured by `make bench-phone`
    assert call.peer.end == ""


async def test_the_caller_is_heard(call: WiredCall) -> None:
    call.peer.say(LOUD * 25)
    async with asyncio.timeout(60):
        while call.sink.heard_ms() < 500:
            await asyncio.sleep(0.01)


async def test_an_interruption_stops_the_sound_and_tells_what_was_heard(call: WiredCall) -> None:
    call.answer(5000)
    await call.peer.until_loud(20)
    before = len(call.peer.loud())
    call.speech()
    await call.until("conversation.item.truncate")
    await call.peer.until_quiet(0.3)
    after = call.peer.loud()
    # What was on its way, and at most the lead where this process stood still: not the answer.
    assert len(after) - before <= 13
    [cut] = call.sink.of("conversation.item.truncate")
    assert abs(cut["audio_end_ms"] - 20 * len(after)) <= 300
    call.answer(200, "resp_2", "item_9")
    await call.peer.until_loud(len(after) + 10)


async def test_keys_reach_the_session(call: WiredCall) -> None:
    call.peer.press("12#")
    await call.until("conversation.item.create")
    [item] = call.sink.of("conversation.item.create")
    assert item["item"]["content"][0]["text"].startswith("12")


async def test_keys_go_out_as_sound_and_the_call_lives(call: WiredCall) -> None:
    call.wire.send_keys("5#")
    await call.peer.until_loud(10)
    assert call.peer.end == ""


async def test_a_caller_who_hangs_up_ends_the_session(call: WiredCall) -> None:
    hanging = call.peer.hang_up()
    if hanging is not None:
        await hanging
    await call.until_closed()
    assert call.edge.end_reason == "client_ended"
    await call.edge.aclose(call.edge.end_reason, {})
    assert call.wire.then == "away"  # a caller who is gone asks for nothing; another is not cut


async def test_a_connection_that_breaks_leaves_the_caller_to_the_fallback(call: WiredCall) -> None:
    call.peer.break_off()
    await call.until_closed()
    if isinstance(call.peer, WebSocketPeer):  # a reset is how AudioSocket's hang-up may look too
        assert call.edge.end_reason == "client_gone"
    await call.edge.aclose(call.edge.end_reason, {})
    assert call.wire.then == "away"


@pytest.mark.parametrize(
    ("reason", "then"), [("time_limit", "done"), ("operator", "done"), ("error", "away")]
)
async def test_the_dialplan_goes_on_after_the_last_word(
    call: WiredCall, reason: str, then: str
) -> None:
    call.answer(300)
    await call.edge.aclose(reason, {})
    async with asyncio.timeout(60):
        assert await asyncio.shield(call.peer.ended) == "continue"
    assert call.wire.then == then
    if reason == "time_limit":
        assert len(call.peer.loud()) in (15, 16)


@pytest.mark.parametrize(("destination", "then"), [("soporte", "to-soporte"), ("otro", "away")])
async def test_a_hand_off_leaves_to_a_place_that_is_known(
    call: WiredCall, destination: str, then: str
) -> None:
    call.edge.deliver({"type": "penny.handoff", "destination": destination})
    await call.edge.aclose("handoff", {})
    async with asyncio.timeout(60):
        assert await asyncio.shield(call.peer.ended) == "continue"
    assert call.wire.then == then


async def test_a_call_of_two_silent_sides_lives(call: WiredCall) -> None:
    call.peer.is_mute = True
    await asyncio.sleep(2.3)  # AudioSocket ends what brings nothing for two seconds
    assert call.peer.end == ""
    assert call.peer.heard[-1].pcm == SILENCE


async def test_only_an_announced_id_is_let_in_and_nothing_else_comes_first() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: AudioSocketWire(lambda _id, _wire: None, PLACES), "127.0.0.1", 0
    )
    try:
        host, port = server.sockets[0].getsockname()[:2]
        peer = await AudioSocketPeer.call(uuid4(), host, port)
        async with asyncio.timeout(60):
            await asyncio.shield(peer.ended)
        audio = struct.pack(">BH", 0x10, 320) + LOUD
        for first in (audio, b"\x01\x00\x02ab", b"GET / HTTP/1.1\r\n"):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(first)
            with suppress(ConnectionError):
                async with asyncio.timeout(60):
                    await reader.read(-1)
            writer.close()
    finally:
        server.close()
        await server.wait_closed()


async def test_audiosocket_at_another_rate_and_odd_frames_are_taken() -> None:
    async with audiosocket_call() as call:
        assert isinstance(call.peer, AudioSocketPeer)
        call.peer.is_mute = True
        for _ in range(25):
            call.peer.send(0x12, LOUD * 2)  # 16 000 Hz
        call.peer.send(0x10, LOUD[:5])
        call.peer.send(0x10, b"")
        call.peer.send(0x42, b"of a later version")
        async with asyncio.timeout(60):
            while call.sink.heard_ms() < 480:
                await asyncio.sleep(0.01)
        assert call.peer.end == ""


async def test_an_error_of_asterisks_ends_the_call() -> None:
    async with audiosocket_call() as call:
        assert isinstance(call.peer, AudioSocketPeer)
        call.peer.send(0xFF, b"\x01")
        await call.until_closed()


async def test_a_peer_that_takes_nothing_is_given_up() -> None:
    async with audiosocket_call() as call:
        assert isinstance(call.peer, AudioSocketPeer)
        assert isinstance(call.wire, AudioSocketWire)
        call.peer.stand_still()
        await asyncio.sleep(0)
        for _ in range(40_000):  # until no buffer on the way takes more
            call.wire.play(SILENCE)
            if call.sink.closed:
                break
        await call.until_closed()
        await call.edge.aclose(call.edge.end_reason, {})
        assert call.wire.then == "away"  # the caller may be there still


async def test_media_start_may_come_after_the_first_sound() -> None:
    async with websocket_call(late_start=True) as call:
        call.answer(400)
        await call.peer.until_loud(20)


async def test_asterisk_drops_nothing_of_what_penny_sends() -> None:
    async with websocket_call() as call:
        assert isinstance(call.peer, WebSocketPeer)
        call.answer(600)
        await call.peer.until_loud(30)
        assert call.peer.dropped == []
        assert {told["command"] for told in call.peer.commands} == {"FLUSH_MEDIA", "MARK_MEDIA"}


async def test_a_backlog_of_asterisks_is_brought_down() -> None:
    async with websocket_call() as call:
        assert isinstance(call.peer, WebSocketPeer)
        await asyncio.sleep(0.1)
        call.peer.fall_behind(60)
        async with asyncio.timeout(60):
            while call.peer.queued > 20:
                await asyncio.sleep(0.02)


def test_frames_are_cut_wherever_the_bytes_end() -> None:
    stream = struct.pack(">BH", 0x01, 16) + bytes(16) + (struct.pack(">BH", 0x10, 320) + LOUD) * 3
    for step in (1, 2, 3, 7, 322, 323, 5000):
        reader = FrameReader()
        found = [
            frame
            for at in range(0, len(stream), step)
            for frame in reader.feed(stream[at : at + step])
        ]
        assert found == [(0x01, bytes(16)), *[(0x10, LOUD)] * 3]
