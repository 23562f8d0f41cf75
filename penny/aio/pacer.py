"""Lets one frame go every ``frame_ms``, on absolute deadlines, so that errors do not add up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Pacer:
    """``await wait()`` before each frame.

    A loop that falls behind catches up at once, by at most ``max_burst`` frames; what is older is
    given up and the schedule moves, because a flood of late frames is worse than a gap.

    Args:
        frame_ms: duration of a frame.
        clock: seconds, monotonic; the running loop's own when None.
        max_burst: frames that may leave without waiting after a delay.

    Raises:
        ValueError: ``frame_ms`` or ``max_burst`` is out of range.
    """

    def __init__(
        self,
        frame_ms: float = 20,
        clock: Callable[[], float] | None = None,
        max_burst: int = 3,
    ) -> None:
        if frame_ms <= 0:
            raise ValueError(f"frame_ms: {frame_ms} is not a duration; use a positive number")
        if max_burst < 0:
            raise ValueError(f"max_burst: {max_burst} is negative; use 0 or more")
        self._frame_s = frame_ms / 1000
        self._clock = clock
        self._max_burst = max_burst
        self._start_s: float | None = None
        self._frames = 0
        self.skipped = 0
        """Frames' time given up since the start, in frames."""

    def reset(self) -> None:
        """Begin a new run: the next frame goes at once."""
        self._start_s = None
        self._frames = 0

    async def wait(self) -> float:
        """Wait until the next frame is due.

        Returns:
            Seconds by which the frame is late; 0.0 when it had to wait.
        """
        clock = self._clock or asyncio.get_running_loop().time
        now_s = clock()
        if self._start_s is None:
            self._start_s = now_s
        # Start and count, not a running sum: 20 ms is no exact binary fraction.
        due_s = self._start_s + self._frames * self._frame_s
        behind = int((now_s - due_s) / self._frame_s + 1e-6)
        if behind > self._max_burst:
            given_up = behind - self._max_burst
            self._frames += given_up
            self.skipped += given_up
            due_s = self._start_s + self._frames * self._frame_s
        self._frames += 1
        await asyncio.sleep(max(due_s - now_s, 0))
        return max(now_s - due_s, 0.0)
