"""When a position of the input audio arrived, on the loop's clock: latencies count from it."""

from __future__ import annotations

from array import array
from bisect import bisect_left


class AudioClock:
    """Remembers the newest ``capacity`` arrivals (3000: a minute of 20 ms frames).

    The oldest is dropped first; an older position is answered with the oldest mark kept. Times
    are kept to a quarter of a millisecond in a call of an hour.
    """

    def __init__(self, capacity: int = 3000) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: {capacity} is too small; use 1 or more")
        self._capacity = capacity
        # Arrays of short floats: lists would take eight times the memory, 200 kB of a long call.
        self._positions_ms = array("f")
        self._times_s = array("f")
        self._began_s = 0.0
        self._newest_ms = 0.0

    def mark(self, position_ms: float, at_s: float) -> None:
        """All audio before ``position_ms`` had arrived at ``at_s``.

        Raises:
            ValueError: the position lies before the last one marked.
        """
        if position_ms < self._newest_ms:
            raise ValueError(
                f"position_ms: {position_ms} lies before {self._newest_ms}; "
                "the audio clock only goes forward"
            )
        if not self._positions_ms:
            self._began_s = at_s
        self._newest_ms = position_ms
        self._positions_ms.append(position_ms)
        self._times_s.append(at_s - self._began_s)
        # Trimmed now and then: cutting one from the front moves all the others.
        if len(self._positions_ms) > self._capacity * 9 // 8:
            del self._positions_ms[: -self._capacity]
            del self._times_s[: -self._capacity]

    def at(self, position_ms: float) -> float:
        """Loop time in seconds when the audio up to ``position_ms`` arrived.

        A position not yet arrived is answered with the newest mark.

        Raises:
            LookupError: nothing was marked yet.
        """
        if not self._positions_ms:
            raise LookupError("no audio was marked yet; call mark() on arrival")
        index = bisect_left(self._positions_ms, position_ms)
        return self._began_s + self._times_s[min(index, len(self._times_s) - 1)]
