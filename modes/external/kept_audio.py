"""The caller's newest audio, kept for a new upstream that must not miss it. Pure."""

from __future__ import annotations

from collections import deque


BYTES_PER_MS = 48
"""PCM16 at 24 000 Hz."""


class KeptAudio:
    """A ring of base64 chunks; past ``limit_ms`` the oldest go."""

    def __init__(self, limit_ms: int) -> None:
        self._limit_ms = limit_ms
        self._chunks: deque[tuple[float, str]] = deque()
        """(position of its end, the chunk)"""
        self._first_ms = 0.0
        self.bytes_per_ms = BYTES_PER_MS
        """Of the format that the caller's side sends."""
        self.position_ms = 0.0
        """Audio taken in since the session began."""

    def append(self, chunk: str) -> None:
        self.position_ms += len(chunk) * 3 / 4 / self.bytes_per_ms
        self._chunks.append((self.position_ms, chunk))
        while self._chunks and self.position_ms - self._chunks[0][0] > self._limit_ms:
            self._first_ms = self._chunks.popleft()[0]

    def since(self, position_ms: float, until_ms: float | None = None) -> list[str]:
        """The chunks that end after ``position_ms`` and, if given, begin before ``until_ms``."""
        found, begin_ms = [], self._first_ms
        for end_ms, chunk in self._chunks:
            if end_ms > position_ms and (until_ms is None or begin_ms < until_ms):
                found.append(chunk)
            begin_ms = end_ms
        return found
