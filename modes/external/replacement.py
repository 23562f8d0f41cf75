"""When an upstream is replaced, and the caller's audio that the next one must not miss. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any


Json = dict[str, Any]

EXPIRY_LEAD_S = 180.0
"""A planned replacement begins so long before the provider's own end; of a shorter life, half."""


def plan_replacement(max_age_s: float, left_s: float | None) -> tuple[float, str]:
    """In how many seconds a new upstream is to be replaced, and why. ``left_s``: until its
    provider ends it; None where it does not tell."""
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

    def since(self, from_ms: float, between: Iterable[tuple[float, Json]] = ()) -> Iterator[Json]:
        """Client events that have another upstream hear it from ``from_ms`` on; ``between``:
        (position, event) of what stands in it, in order."""
        requests = deque(between)
        for end_ms, chunk in self._chunks:
            while requests and requests[0][0] < end_ms:
                yield requests.popleft()[1]
            if end_ms > from_ms:
                yield {"type": "input_audio_buffer.append", "audio": chunk}
        yield from (event for _, event in requests)
