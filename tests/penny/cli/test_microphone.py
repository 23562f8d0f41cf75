"""Sound in and out of a machine, with PortAudio's callbacks called by hand."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

import pytest

from penny.audio.level import rms_dbfs
from penny.cli.call import CallOptions, hold_call
from penny.cli.microphone import MicrophoneMissing, open_microphone
from penny.cli.utterance import FRAME_BYTES, SILENCE, LiveAudio
from tests.penny.cli.scripted_session import Script, running_session, tone


pytestmark = pytest.mark.socket


class PortAudio(ModuleType):
    """The part of ``sounddevice`` that is used."""

    class PortAudioError(Exception):
        pass

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__("sounddevice")
        self.callbacks: dict[str, Callable[..., None]] = {}
        self.broken = broken
        module = self

        class Stream:
            way = ""

            def __init__(self, *, callback: Callable[..., None], **settings: Any) -> None:
                if module.broken:
                    raise module.PortAudioError("no default device")
                assert settings["samplerate"] == 24_000
                module.callbacks[self.way] = callback

            def __enter__(self) -> None:
                return None

            def __exit__(
                self,
                kind: type[BaseException] | None,
                error: BaseException | None,
                trace: TracebackType | None,
            ) -> None:
                module.callbacks.pop(self.way)

        self.RawInputStream = type("RawInputStream", (Stream,), {"way": "in"})
        self.RawOutputStream = type("RawOutputStream", (Stream,), {"way": "out"})


def test_frames_go_in_and_out_in_order_and_silence_fills_the_gaps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", devices)
    frame = tone(20)

    with open_microphone() as live:
        assert live.read() == SILENCE
        devices.callbacks["in"](frame, 480, None, None)
        assert live.read() == frame
        live.play(frame[:600])
        live.play(frame[600:])
        out = bytearray(FRAME_BYTES)
        devices.callbacks["out"](out, 480, None, None)
        assert out == frame
        devices.callbacks["out"](out, 480, None, None)
        assert out == SILENCE
    assert devices.callbacks == {}


def test_backlog_drops_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", devices)

    with open_microphone() as live:
        for number in range(60):
            devices.callbacks["in"](bytes([number]), 480, None, None)

        assert live.read() == bytes([35])


def test_machine_without_a_device_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", PortAudio(broken=True))

    with pytest.raises(MicrophoneMissing, match="no default device"), open_microphone():
        pass


@pytest.mark.virtual_time
async def test_person_talks_until_stopped_and_hears_the_answer() -> None:
    stop = asyncio.Event()
    speech = [tone(20)] * 20
    played: list[bytes] = []
    live = LiveAudio(read=lambda: speech.pop() if speech else SILENCE, play=played.append)

    def sink(event: dict[str, Any]) -> None:
        if event["type"] == "transcript_heard":
            stop.set()

    async with running_session(Script()) as url:
        call, failure = await hold_call(
            CallOptions(url), sink, lambda call: call.talk_live(live, stop)
        )

    assert failure is None
    assert call is not None
    assert rms_dbfs(call.loudspeaker.heard()) == pytest.approx(-13.5, abs=0.5)
    assert b"".join(played) == bytes(call.loudspeaker.timeline)
