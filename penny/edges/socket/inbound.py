"""A client's binary messages as Realtime events."""

from __future__ import annotations

from typing import Any

from pybase64 import b64encode_as_string

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.protocol.codec import check_audio
from penny.protocol.session import StreamFormat


Json = dict[str, Any]


class CallerAudio:
    """Turns a caller's audio into ``input_audio_buffer.append``, PCM16 at 24 kHz.

    Args:
        stream: what the client sends.
    """

    def __init__(self, stream: StreamFormat) -> None:
        self._stream = stream
        self._format = AudioFormat(stream.encoding, stream.rate_hz)
        self._to_24k = None if self._format == PCM24K else Converter(self._format, PCM24K)
        self._bytes = 0

    @property
    def total_ms(self) -> float:
        """All that was taken so far, as the caller sent it."""
        return self._format.ms_of(self._bytes)

    def event(self, data: bytes) -> Json | None:
        """The event of a piece; None while the converter keeps it for the next.

        Raises:
            ProtocolError: it is no audio of this stream.
        """
        check_audio(len(data), self._stream)
        self._bytes += len(data)
        pcm = data if self._to_24k is None else self._to_24k.process(data)
        if not pcm:
            return None
        return {"type": "input_audio_buffer.append", "audio": b64encode_as_string(pcm)}
