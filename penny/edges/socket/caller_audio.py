"""A client's binary messages on their way to the speaker, as Realtime events.

A piece waits for nobody while the speaker takes what it gets: it is handed over in the step in
which it was read. The inbox, and the task behind it, are for a speaker that is stalled.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from typing import Any

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.socket.inbox import Inbox
from penny.protocol.codec import check_audio
from penny.protocol.session import StreamFormat


Json = dict[str, Any]


class CallerAudio:
    """Args:
    stream: what the client sends.
    inbox: where a piece waits that cannot be handed over.
    """

    def __init__(self, stream: StreamFormat, inbox: Inbox) -> None:
        self._stream = stream
        coming = AudioFormat(stream.encoding, stream.rate_hz)
        self._to_24k = None if coming == PCM24K else Converter(coming, PCM24K)
        self._inbox = inbox
        self._hand_over: Callable[[Json], bool] = _never

    def hand_over_to(self, carry: Callable[[Json], bool]) -> None:
        self._hand_over = carry

    def take_at_once(self, data: bytes) -> None:
        """Take a piece while the inbox is waited for. Raises ProtocolError, ChannelClosed."""
        event = self._event(data)
        if event is not None and not self._hand_over(event):
            self._inbox.put_next_audio(event)

    async def take(self, data: bytes) -> None:
        """Take a piece, waiting for a speaker that is behind. Raises as ``take_at_once``."""
        if self._inbox.filled.is_waited_for:
            self.take_at_once(data)
            return
        event = self._event(data)
        if event is not None:
            await self._inbox.put_audio(event)

    def _event(self, data: bytes) -> Json | None:
        """None: the converter keeps the piece for the next."""
        check_audio(len(data), self._stream)
        pcm = data if self._to_24k is None else self._to_24k.process(data)
        if not pcm:
            return None
        audio = b2a_base64(pcm, newline=False).decode("ascii")
        return {"type": "input_audio_buffer.append", "audio": audio}


def _never(_event: Json) -> bool:
    return False
