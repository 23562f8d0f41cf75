"""The voices of a `/ws` session on WebRTC tracks, while a peer connection stands beside its socket.

A socket repeats what the network loses, and everything behind it waits; tracks go on, and the
engine conceals the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.webrtc.track import SILENCE, TrackClock, TrackEars, Voice


Json = dict[str, Any]


class MediaTracks:
    """Carries the session's audio while it is on; at any other time the socket does.

    Args:
        output: the format of what ``play`` gets.
        to_session: takes what the caller said.
    """

    def __init__(
        self, output: AudioFormat, clock: Callable[[], float], to_session: Callable[[Json], None]
    ) -> None:
        self._to_24k = None if output == PCM24K else Converter(output, PCM24K)
        self._clock = TrackClock(clock, self._send_frame)
        self._voice: Voice | None = None
        self._waiting = bytearray()
        self.ears = TrackEars(to_session)

    @property
    def is_on(self) -> bool:
        return self._voice is not None

    def start(self, voice: Voice) -> None:
        """The connection stands."""
        self._voice = voice
        self.ears.resume()
        self._clock.start()

    def stop(self) -> None:
        """The connection is gone. Idempotent."""
        self._voice = None
        self._clock.stop()
        self.flush()

    def hear(self, pcm: bytes, heard: AudioFormat) -> None:
        """Take a piece of the caller's voice; the engine gives silence before there is one."""
        if self.is_on:
            self.ears.hear(pcm, heard)

    def play(self, data: bytes) -> None:
        """Queue a frame that the player let go."""
        self._waiting += data if self._to_24k is None else self._to_24k.process(data)

    def flush(self) -> None:
        """Drop what was not sent yet."""
        self._waiting.clear()

    def _send_frame(self, _now_s: float) -> None:
        if self._voice is not None:
            frame = bytes(self._waiting[: len(SILENCE)])
            del self._waiting[: len(frame)]
            self._voice.play(frame + SILENCE[len(frame) :])
