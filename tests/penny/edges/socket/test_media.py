"""A session's audio on tracks while they are connected, on its socket at any other time."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import Any

import pytest

from penny.audio.format import AudioFormat
from tests.penny.edges.socket.test_resuming import ANSWER, Call, said


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]

SPEECH: Json = {
    "type": "input_audio_buffer.speech_started",
    "item_id": "item_user",
    "audio_start_ms": 0,
}
FRAME_BYTES = 960


class Tracks:
    """Keeps what was played."""

    def __init__(self) -> None:
        self.played = b""
        self.frames = 0

    def play(self, pcm24k: bytes) -> None:
        assert len(pcm24k) == FRAME_BYTES
        self.played += pcm24k
        self.frames += 1

    async def aclose(self) -> None: ...

    def voice(self) -> bytes:
        """Less the silence between."""
        pieces = range(0, len(self.played), FRAME_BYTES)
        frames = [self.played[at : at + FRAME_BYTES] for at in pieces]
        return b"".join(frame for frame in frames if any(frame))


class TrackCall(Call):
    """A call whose client has tracks, and keeps what the session was told."""

    def __init__(self) -> None:
        self.told: list[Json] = []
        super().__init__()
        self.tracks = Tracks()

    def on_event(self, event: Json) -> None:
        self.told.append(event)

    def binary(self) -> list[bytes]:
        return [each for each in self.wire.messages() if isinstance(each, bytes)]

    def kinds(self) -> list[str]:
        return [each["type"] for each in self.wire.messages() if isinstance(each, dict)]


async def test_an_answer_goes_on_the_tracks_at_the_speed_of_speech_and_is_told_on_the_socket() -> (
    None
):
    call = TrackCall()
    call.edge.start_media(call.tracks)
    for event in ANSWER:
        call.edge.deliver(event)
    await asyncio.sleep(1.0)
    pcm = b"".join(number.to_bytes(2, "little") * 480 for number in range(1, 12))
    assert call.tracks.voice() == pcm
    assert call.tracks.frames == 50, "in silence too"
    assert call.binary() == []
    assert [kind for kind in call.kinds() if "audio" in kind] == ["audio_started", "audio_done"]
    assert "transcript_heard" in call.kinds(), "without a report of the client's"


async def test_what_the_caller_says_on_the_track_reaches_the_session_once_it_hears() -> None:
    call = TrackCall()
    call.edge.media.hear(bytes(960), AudioFormat("pcm16", 48_000))
    call.edge.start_media(call.tracks)
    assert call.told == []
    for _ in range(4):
        call.edge.media.hear(b"\1\0" * 480, AudioFormat("pcm16", 48_000))
    heard = b"".join(b64decode(event["audio"]) for event in call.told)
    assert 900 <= len(heard) <= 2 * FRAME_BYTES
    call.edge.pause()
    call.edge.media.hear(b"\1\0" * 960, AudioFormat("pcm16", 48_000))
    before = len(call.told)
    call.edge.resume()
    assert len(call.told) == before + 1


async def test_an_interruption_drops_what_waits_for_the_track() -> None:
    call = TrackCall()
    call.edge.start_media(call.tracks)
    call.edge.deliver(ANSWER[0])
    for event in said("Muchas palabras", 50, 1):
        call.edge.deliver(event)
    await asyncio.sleep(0.2)
    call.edge.deliver(SPEECH)
    heard = len(call.tracks.voice())
    await asyncio.sleep(0.5)
    assert heard == len(call.tracks.voice()) > 0
    assert "interruption" in call.kinds()


async def test_the_socket_carries_on_where_the_tracks_broke_off() -> None:
    call = TrackCall()
    call.edge.start_media(call.tracks)
    call.edge.deliver(ANSWER[0])
    for event in said("Muchas palabras", 50, 1):
        call.edge.deliver(event)
    await asyncio.sleep(0.2)
    call.edge.media.stop()
    await asyncio.sleep(1.0)
    first = int.from_bytes(call.binary()[0][:2], "little")
    assert len(call.tracks.voice()) // FRAME_BYTES < first <= 20
    assert int.from_bytes(call.binary()[-1][:2], "little") == 50
