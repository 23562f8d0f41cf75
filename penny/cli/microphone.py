"""The machine's own microphone and loudspeaker, where PortAudio is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from penny.cli.utterance import FORMAT, FRAME_BYTES, SILENCE, LiveAudio


_LONGEST_BACKLOG = 25
"""Frames (20 ms each) kept either way; the oldest is dropped, since late speech is of no use."""


class MicrophoneMissing(Exception):
    """This machine cannot record; the text says what to do."""


@contextmanager
def open_microphone() -> Iterator[LiveAudio]:
    """Raises MicrophoneMissing."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise MicrophoneMissing(
            "--mic needs PortAudio and sounddevice; on Debian or Ubuntu: "
            "sudo apt-get install libportaudio2. Files and --text work without"
        ) from error

    captured: deque[bytes] = deque(maxlen=_LONGEST_BACKLOG)
    to_play: deque[bytes] = deque(maxlen=_LONGEST_BACKLOG)
    rest = bytearray()

    def record(data: Any, _frames: int, _time: Any, _status: Any) -> None:
        captured.append(bytes(data))

    def play(data: Any, _frames: int, _time: Any, _status: Any) -> None:
        while len(rest) < len(data) and to_play:
            rest.extend(to_play.popleft())
        chunk = bytes(rest[: len(data)])
        del rest[: len(data)]
        data[:] = chunk.ljust(len(data), b"\0")

    frame_samples = FRAME_BYTES // 2
    settings = {
        "samplerate": FORMAT.rate_hz,
        "blocksize": frame_samples,
        "channels": 1,
        "dtype": "int16",
    }
    try:
        with (
            sounddevice.RawInputStream(callback=record, **settings),
            sounddevice.RawOutputStream(callback=play, **settings),
        ):
            yield LiveAudio(
                read=lambda: captured.popleft() if captured else SILENCE, play=to_play.append
            )
    except sounddevice.PortAudioError as error:
        raise MicrophoneMissing(f"no microphone or loudspeaker can be opened: {error}") from error
