"""The frame codec agrees with the `websockets` library's, however the bytes are cut."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from penny.aio.frames import COUNTED_BYTES, FrameReader, read_close, write_frame


pytestmark = pytest.mark.pure

MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
        st.sampled_from([0, 1, 3, 125, 126, 127, 65_535, 65_536]).map(os.urandom),
        st.integers(1, 4),
    ),
    max_size=4,
)


def fragments(opcode: Opcode, payload: bytes, count: int) -> list[Frame]:
    """``payload`` as a message of ``count`` frames, with a ping between them."""
    size = len(payload) // count + 1
    pieces = [payload[at : at + size] for at in range(0, max(len(payload), 1), size)]
    frames: list[Frame] = []
    for number, piece in enumerate(pieces):
        kind = opcode if number == 0 else Opcode.CONT
        frames += [Frame(kind, piece, fin=number == len(pieces) - 1), Frame(Opcode.PING, b"p")]
    return frames


@given(MESSAGES, st.randoms(use_true_random=False))
def test_any_cut_of_the_stream_gives_the_messages(messages, random) -> None:  # type: ignore[no-untyped-def]
    frames = [frame for each in messages for frame in fragments(*each)]
    stream = b"".join(frame.serialize(mask=True) for frame in frames)
    reader = FrameReader(1 << 20)

    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(stream):
        end = at + random.choice([1, 2, 7, 100, 65_536])
        found += reader.feed(stream[at:end])
        at = end

    told = [payload for opcode, payload in found if opcode != Opcode.PING]
    assert told == [payload for _, payload, _ in messages]
    assert reader.error is None


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_what_is_written_is_what_the_library_writes(size: int) -> None:
    payload = os.urandom(size)

    assert write_frame(Opcode.TEXT, payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
    reader = FrameReader(1 << 20)
    masked = Frame(Opcode.BINARY, payload).serialize(mask=True)
    assert reader.feed(masked) == [(Opcode.BINARY, payload)]


@pytest.mark.parametrize("step", [1_001, 65_537, 262_144])
def test_a_long_frame_is_unmasked_as_it_comes_and_what_follows_is_read(step: int) -> None:
    payload = os.urandom(300_001)
    frames = [
        Frame(Opcode.TEXT, payload[:70_000], fin=False),
        Frame(Opcode.CONT, payload[70_000:]),
        Frame(Opcode.PING, b"p"),
        Frame(Opcode.BINARY, payload),
    ]
    stream = b"".join(frame.serialize(mask=True) for frame in frames)
    reader = FrameReader(1 << 20)

    found = [
        each for at in range(0, len(stream), step) for each in reader.feed(stream[at : at + step])
    ]

    assert found == [(Opcode.TEXT, payload), (Opcode.PING, b"p"), (Opcode.BINARY, payload)]
    assert reader.error is None
    assert reader.count > len(payload) // COUNTED_BYTES


def test_a_long_frame_past_the_limit_is_refused_by_its_header() -> None:
    reader = FrameReader(1 << 20)

    reader.feed(Frame(Opcode.TEXT, bytes(2 << 20)).serialize(mask=True)[:14])

    assert reader.error is not None
    assert reader.error.code == 1009


@given(st.binary(max_size=300))
def test_rubbish_is_refused_or_waits_for_more(data: bytes) -> None:
    reader = FrameReader(100)

    reader.feed(data)

    assert reader.error is None or reader.error.code in (1002, 1009)
    if reader.error is not None:
        assert reader.feed(b"\x81\x00") == []


def test_fragments_of_nothing_are_counted_and_kept_nowhere() -> None:
    reader = FrameReader(10)
    reader.feed(Frame(Opcode.TEXT, b"ab", fin=False).serialize(mask=True))
    empty = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)

    assert reader.feed(empty * 1_000) == []
    assert reader.count == 1_001
    assert reader.feed(Frame(Opcode.CONT, b"c").serialize(mask=True)) == [(Opcode.TEXT, b"abc")]


def test_fragments_count_together_against_the_limit() -> None:
    reader = FrameReader(10)
    reader.feed(Frame(Opcode.TEXT, b"123456", fin=False).serialize(mask=True))

    reader.feed(Frame(Opcode.CONT, b"123456").serialize(mask=True))

    assert reader.error is not None
    assert reader.error.code == 1009


def test_a_close_frame_tells_its_code() -> None:
    assert read_close(b"\x03\xe8bye") == 1000
    assert read_close(b"") == 1005
