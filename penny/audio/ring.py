"""The last milliseconds of a stream, kept so that a late decision still has its beginning."""

from __future__ import annotations


class PreRoll:
    """Keeps the newest ``keep_ms`` of mono PCM16 at ``rate_hz``; older audio goes."""

    def __init__(self, keep_ms: int, rate_hz: int) -> None:
        self._bytes_per_ms = rate_hz * 2 / 1000
        self._limit_bytes = self._bytes_of(keep_ms)
        self._held = bytearray()

    def _bytes_of(self, ms: float) -> int:
        return int(ms * self._bytes_per_ms) // 2 * 2

    @property
    def held_ms(self) -> float:
        return len(self._held) / self._bytes_per_ms

    def feed(self, pcm: bytes) -> None:
        self._held += pcm
        # Trimmed with slack, so that not every frame moves the whole buffer.
        if len(self._held) > 2 * self._limit_bytes:
            del self._held[: len(self._held) - self._limit_bytes]

    def last(self, ms: float) -> bytes:
        """The newest ``ms``, or what is held when that is less (never more than ``keep_ms``)."""
        wanted = min(self._bytes_of(ms), self._limit_bytes, len(self._held))
        return bytes(self._held[len(self._held) - wanted :])

    def clear(self) -> None:
        self._held.clear()
