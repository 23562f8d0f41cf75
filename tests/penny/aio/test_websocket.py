"""What stands between the frames' codec and whoever takes the messages, without a network."""

from __future__ import annotations

import asyncio
import struct
from functools import partial
from operator import add
from typing import Any
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from penny.aio import websocket
from penny.aio.websocket import (
    BURST_MESSAGES,
    CLOSE_S,
    KEPT_MESSAGES,
    REST_S,
    STEP_BYTES,
    SocketConnection,
)


pytestmark = pytest.mark.virtual_time

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x01\x02\x03\x04"


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    """A client's frame by the letter of RFC 6455, section 5.2."""
    head = bytes([(0x80 if fin else 0) | opcode])
    mask = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([mask | len(data)])
    elif len(data) < 65_536:
        head += bytes([mask | 126]) + struct.pack("!H", len(data))
    else:
        head += bytes([mask | 127]) + struct.pack("!Q", len(data))
    if not masked:
        return head + data
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(data))


def closing(code: int) -> bytes:
    return frame(CLOSE, struct.pack("!H", code))


class Wire(asyncio.Transport):
    """Keeps what is written; ``close`` and ``abort`` end the connection in the next step."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reads = True
        self.aborted = False
        self._connection: SocketConnection

    def join(self, connection: SocketConnection) -> SocketConnection:
        self._connection = connection
        connection.connection_made(self)
        return connection

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_reading(self) -> bool:
        return self.reads

    def get_write_buffer_size(self) -> int:
        return 0

    def sent(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of every frame, none of which is masked or fragmented."""
        frames, data = [], self.written
        while data:
            assert data[0] & 0x80
            length, at = data[1], 2
            if length == 126:
                [length], at = struct.unpack_from("!H", data, 2), 4
            elif length == 127:
                [length], at = struct.unpack_from("!Q", data, 2), 10
            frames.append((data[0] & 0x0F, data[at : at + length]))
            data = data[at + length :]
        return frames

    def close_code(self) -> int | None:
        """What this side closed with."""
        codes = [struct.unpack("!H", data[:2])[0] for opcode, data in self.sent() if opcode == 8]
        return codes[0] if codes else None


class Taker:
    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.closed = 0
        self.writable = 0

    def on_message(self, message: str | bytes) -> None:
        self.messages.append(message)

    def on_writable(self) -> None:
        self.writable += 1

    def on_closed(self) -> None:
        self.closed += 1


def connect(max_size: int = 1_000_000, **options: Any) -> tuple[SocketConnection, Wire, Taker]:
    wire, taker = Wire(), Taker()
    connection = wire.join(SocketConnection(max_message_bytes=max_size, **options))
    connection.start(taker)
    return connection, wire, taker


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
async def test_messages_of_every_length_pass_whole_both_ways(length: int) -> None:
    connection, wire, taker = connect()
    text, audio = "x" * length, bytes(length)
    connection.data_received(frame(TEXT, text.encode()) + frame(BINARY, audio))
    assert taker.messages == [text, audio]
    connection.send_text(text.encode())
    connection.send_binary(audio)
    assert wire.sent() == [(TEXT, text.encode()), (BINARY, audio)]


async def test_a_stream_that_is_cut_anywhere_gives_the_same_messages() -> None:
    stream = (
        frame(TEXT, "señal".encode(), fin=False)
        + frame(PING, b"now")
        + frame(CONT, b" y audio")
        + frame(BINARY, bytes(range(130)))
        + frame(BINARY, b"a", fin=False)
        + frame(CONT, b"", fin=False)
        + frame(CONT, b"b")
        + closing(1000)
    )
    for at in range(len(stream) + 1):
        connection, wire, taker = connect()
        connection.data_received(stream[:at])
        connection.data_received(stream[at:])
        assert taker.messages == ["señal y audio", bytes(range(130)), b"ab"], at
        assert wire.sent() == [(PONG, b"now"), (CLOSE, struct.pack("!H", 1000))]
        assert connection.close_code == 1000
        await connection.wait_closed()


async def test_a_character_may_be_cut_by_a_fragments_end() -> None:
    connection, _, taker = connect()
    data = "ñ".encode()
    connection.data_received(frame(TEXT, data[:1], fin=False) + frame(CONT, data[1:]))
    assert taker.messages == ["ñ"]


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"hola", masked=False), 1002),
        (frame(3, b"?"), 1002),
        (bytes([0xC1, 0x80]) + MASK, 1002),
        (frame(CONT, b"of what?"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(PING, b"", fin=False), 1002),
        (frame(BINARY, bytes(151)), 1009),
        (frame(BINARY, bytes(80), fin=False) + frame(CONT, bytes(80)), 1009),
        (frame(CLOSE, b"\x03"), 1002),
        (closing(1005), 1002),
    ],
)
async def test_what_breaks_the_protocol_is_closed_by_its_code(stream: bytes, code: int) -> None:
    connection, wire, taker = connect(max_size=150)
    connection.data_received(stream)
    assert wire.close_code() == code
    assert taker.messages == []
    await connection.wait_closed()
    assert taker.closed == 1
    assert not connection.is_open


async def test_a_fault_in_who_takes_a_message_is_logged_and_closes_with_1011() -> None:
    class Clumsy(Taker):
        def on_message(self, message: str | bytes) -> None:
            raise ValueError(message)

    wire = Wire()
    connection = wire.join(SocketConnection(max_message_bytes=1_000))
    connection.start(Clumsy())
    with capture_logs() as logs:
        connection.data_received(frame(TEXT, b"a") + frame(TEXT, b"b"))
    assert [entry["event"] for entry in logs] == ["message_not_taken"]
    assert wire.close_code() == 1011


async def test_messages_wait_in_order_for_whoever_starts_late_or_has_paused() -> None:
    wire, taker = Wire(), Taker()
    connection = wire.join(SocketConnection(max_message_bytes=1_000))
    connection.data_received(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3"))
    assert await connection.receive() == "1"
    connection.start(taker)
    assert taker.messages == ["2", "3"]
    connection.pause()
    assert not wire.reads
    connection.data_received(frame(TEXT, b"4"))
    assert taker.messages == ["2", "3"]
    connection.resume()
    assert wire.reads
    assert taker.messages == ["2", "3", "4"]


async def test_a_client_nobody_reads_is_read_no_further_and_read_on_afterwards() -> None:
    wire, taker = Wire(), Taker()
    connection = wire.join(SocketConnection(max_message_bytes=1_000))
    for _ in range(KEPT_MESSAGES - 1):
        connection.data_received(frame(TEXT, b"x"))
    assert wire.reads
    connection.data_received(frame(TEXT, b"x"))
    assert not wire.reads
    connection.start(taker)
    assert wire.reads
    assert len(taker.messages) == KEPT_MESSAGES


async def test_a_flood_is_taken_in_slices_between_which_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket, "SLICE_S", 0.0)
    connection, wire, taker = connect(messages_per_s=1e9)
    tiny = frame(TEXT, b"x")
    flood, a_step = 3 * STEP_BYTES // len(tiny), -(-STEP_BYTES // len(tiny))

    connection.data_received(tiny * flood)

    assert 0 < len(taker.messages) <= a_step
    assert not wire.reads
    connection.data_received(frame(TEXT, b"the last"))
    for _ in range(4):
        before = len(taker.messages)
        await asyncio.sleep(REST_S)
        assert len(taker.messages) - before <= a_step
    assert taker.messages == ["x"] * flood + ["the last"]
    assert wire.reads


async def test_no_more_messages_a_second_are_taken_however_they_are_cut() -> None:
    connection, wire, taker = connect(messages_per_s=0.5)
    for number in range(BURST_MESSAGES):
        connection.data_received(frame(TEXT, b"%d" % number))
    assert len(taker.messages) == BURST_MESSAGES
    connection.data_received(frame(TEXT, b"one too many"))
    assert len(taker.messages) == BURST_MESSAGES
    assert not wire.reads


async def test_a_flood_waits_for_a_paused_reader_and_ends_with_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket, "SLICE_S", 0.0)
    connection, wire, taker = connect(messages_per_s=1e9)
    connection.pause()
    flood = frame(TEXT, b"x") * (2 * STEP_BYTES)
    connection.data_received(flood)
    await asyncio.sleep(1.0)
    connection.resume()
    kept = len(taker.messages)
    assert 0 < kept < KEPT_MESSAGES + STEP_BYTES
    assert not wire.reads
    wire.abort()
    await asyncio.sleep(1.0)
    assert len(taker.messages) == kept
    assert taker.closed == 1


async def test_receive_that_is_cancelled_loses_no_message() -> None:
    wire = Wire()
    connection = wire.join(SocketConnection(max_message_bytes=1_000))
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await connection.receive()
    connection.data_received(frame(TEXT, b"there"))
    assert await connection.receive() == "there"
    connection.eof_received()
    connection.connection_lost(None)
    assert await connection.receive() is None
    assert connection.close_code == 1006


async def test_a_goodbye_waits_for_its_answer() -> None:
    connection, wire, taker = connect()
    leaving = asyncio.create_task(connection.close(4001))
    await asyncio.sleep(CLOSE_S / 2)
    connection.data_received(frame(TEXT, b"too late") + closing(4001))
    await leaving
    assert wire.close_code() == 4001
    assert not wire.aborted
    assert (taker.messages, taker.closed) == ([], 1)
    connection.send_text(b"never goes out")
    assert len(wire.sent()) == 1


async def test_a_goodbye_that_nobody_answers_ends_in_time() -> None:
    connection, wire, taker = connect()
    connection.pause()
    await connection.close(1001)
    assert asyncio.get_running_loop().time() == pytest.approx(CLOSE_S)
    assert wire.aborted
    assert taker.closed == 1


@pytest.mark.parametrize("talks_first", [False, True])
async def test_a_peer_that_answers_no_ping_is_lost(*, talks_first: bool) -> None:
    connection, wire, taker = connect(heartbeat_s=10.0)
    if talks_first:
        for _ in range(30):
            await asyncio.sleep(1)
            connection.data_received(frame(TEXT, b"hola"))
        assert wire.sent() == []
    await asyncio.sleep(10.1)
    assert [opcode for opcode, _ in wire.sent()] == [PING]
    await asyncio.sleep(5)
    assert wire.aborted
    assert taker.closed == 1


async def test_a_peer_that_answers_pings_or_is_not_read_is_kept() -> None:
    connection, wire, _ = connect(heartbeat_s=10.0)
    for pings in range(1, 5):
        await asyncio.sleep(10.1)
        assert [opcode for opcode, _ in wire.sent()] == [PING] * pings
        connection.data_received(frame(PONG))
    connection.pause()
    await asyncio.sleep(60)
    assert not wire.aborted


async def test_a_full_connection_says_so_and_when_there_is_room_again() -> None:
    connection, _, taker = connect(send_limit_s=5.0)
    await connection.drain()
    connection.pause_writing()
    assert connection.is_full
    draining = asyncio.create_task(connection.drain())
    await asyncio.sleep(1)
    assert not draining.done()
    connection.resume_writing()
    await draining
    assert taker.writable == 1
    await asyncio.sleep(10)
    assert connection.is_open


async def test_a_loop_that_was_late_itself_takes_no_peer_for_lost() -> None:
    connection, wire, _ = connect(send_limit_s=5.0)
    connection.pause_writing()
    loop = asyncio.get_running_loop()
    with patch.object(loop, "time", partial(add, 60.0, loop.time())):
        await asyncio.sleep(0)  # a minute went by in which nothing was sent
        await asyncio.sleep(0)
        connection.resume_writing()
    await asyncio.sleep(60)
    assert not wire.aborted


async def test_a_peer_that_takes_nothing_for_too_long_is_lost() -> None:
    connection, wire, taker = connect(send_limit_s=5.0)
    connection.pause_writing()
    draining = asyncio.create_task(connection.drain())
    await asyncio.sleep(4)
    assert not wire.aborted
    await asyncio.sleep(1.1)
    assert wire.aborted
    await draining
    assert not connection.is_full
    assert taker.closed == 1
