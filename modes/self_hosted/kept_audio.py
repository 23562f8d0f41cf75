"""What a caller said and no worker has made an item of, with the commits in it. Pure."""

from __future__ import annotations

from collections import deque
from typing import Any

from penny.audio.format import AudioFormat, count_base64_bytes


Json = dict[str, Any]

AUDIO_IN = "input_audio_buffer.append"


class CallerAudio:
    """The uncommitted audio as it came, base64, and the client's commits that are not answered."""

    def __init__(self) -> None:
        self._pieces: deque[str | Json] = deque()
        self._bytes = 0
        self._arrived_ms = 0.0

    def append(self, chunk: str, form: AudioFormat, limit_ms: int) -> None:
        """Keep a piece; past ``limit_ms`` the oldest go, and commits with them."""
        size = count_base64_bytes(chunk)
        if not size:  # nothing by the thousand would be memory too
            return
        self._pieces.append(chunk)
        self._bytes += size
        self._arrived_ms += size / form.bytes_per_ms
        while self._bytes > limit_ms * form.bytes_per_ms and len(self._pieces) > 1:
            self._drop(self._pieces.popleft())

    def commit(self, event: Json) -> None:
        self._pieces.append(event)

    def take(self) -> list[str]:
        """The audio up to the oldest commit, or all of it: it is an item now."""
        taken: list[str] = []
        while self._pieces:
            piece = self._pieces.popleft()
            self._drop(piece)
            if not isinstance(piece, str):
                break
            taken.append(piece)
        return taken

    def clear(self) -> None:
        """Forget what is not committed."""
        while self._pieces and isinstance(self._pieces[-1], str):
            self._drop(self._pieces.pop())

    def refuse(self, event_id: str) -> None:
        """A commit failed: there was too little before it."""
        for at, piece in enumerate(self._pieces):
            if isinstance(piece, dict) and piece.get("event_id") == event_id:
                del self._pieces[at]
                return

    def events(self) -> list[Json]:
        """The caller's events that another worker is to take, in order."""
        return [
            {"type": AUDIO_IN, "audio": piece} if isinstance(piece, str) else piece
            for piece in self._pieces
        ]

    def from_ms(self, form: AudioFormat) -> float:
        """Where the first piece stands in all that the caller sent."""
        return self._arrived_ms - form.ms_of(self._bytes)

    def _drop(self, piece: str | Json) -> None:
        if isinstance(piece, str):
            self._bytes -= count_base64_bytes(piece)
