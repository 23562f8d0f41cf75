"""When an upstream is replaced, and the caller's audio that the next one must not miss. Pure."""

from __future__ import annotations

from collections import deque


EXPIRY_LEAD_S = 180.0
"""A planned replacement begins so long before the provider's own end: time to open the next one
and to find a quiet moment. Of a shorter life it is half."""


def plan_replacement(max_age_s: float, left_s: float | None) -> tuple[float, str]:
    """In how many seconds a new upstream is to be replaced, and why.

    Args:
        left_s: until its provider ends it; None where it does not tell.
    """
    if left_s is None:
        return max_age_s, "age"
    due_s = left_s - min(EXPIRY_LEAD_S, left_s / 2)
    return (due_s, "expiry") if due_s < max_age_s else (max_age_s, "age")


class KeptAudio:
    """The caller's newest audio, for an upstream that must not miss it: a ring of base64 chunks."""

    def __init__(self, limit_ms: int) -> None:
        self._limit_ms = limit_ms
        self._chunks: deque[tuple[float, str]] = deque()
        """(position of its end, the chunk)"""
        self.position_ms = 0.0
        """Audio taken in since the session began."""

    def append(self, chunk: str, duration_ms: float) -> None:
        self.position_ms += duration_ms
        self._chunks.append((self.position_ms, chunk))
        while self.position_ms - self._chunks[0][0] > self._limit_ms:
            self._chunks.popleft()

    def since(self, position_ms: float) -> list[tuple[float, str]]:
        """The chunks that end after ``position_ms``, each with the position of its end."""
        return [each for each in self._chunks if each[0] > position_ms]
