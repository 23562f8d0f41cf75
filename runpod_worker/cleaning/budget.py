"""How much processor time the cleaning of all calls may take. Pure: costs come in as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runpod_worker.cleaning.stages import FRAME_MS


FORGETTING: Final = 0.02
"""Share of a new frame in the mean cost: fifty frames, half a second of one call."""


@dataclass(slots=True)
class Budget:
    """Milliseconds of one core in a second, for every call of a worker together.

    All calls are heard in one loop, so what one takes, every other waits for. A call that does
    not fit is not cleaned; one that turns out dearer than it was leaves. Costs are wall time: on
    a machine whose cores are full a frame takes longer, and fewer calls are cleaned.
    """

    ms_per_s: float
    active: int = 0
    """Calls that are cleaned now."""
    bypassed: int = 0
    """Calls that were left raw since the start, for want of time."""
    failed: int = 0
    """Calls whose cleaner broke."""

    def enter(self, cost_ms_per_s: float) -> bool:
        """Whether one more call of that cost fits; it is counted as active then."""
        if (self.active + 1) * cost_ms_per_s > self.ms_per_s:
            return False
        self.active += 1
        return True

    def leave(self) -> None:
        """A call is cleaned no more."""
        self.active -= 1

    def holds(self, cost_ms_per_s: float) -> bool:
        """Whether the calls that are active still fit at that cost each."""
        return self.active * cost_ms_per_s <= self.ms_per_s


class Cost:
    """What a cleaner's frames cost on this machine, as a running mean."""

    def __init__(self, ms_per_s: float) -> None:
        self.ms_per_s = ms_per_s
        """Until frames were measured, what was measured elsewhere."""

    def note(self, frame_ms: float) -> None:
        """One frame took so long. A frame counts as no longer than it sounds, and the mean moves
        slowly: a moment's hiccup ends nothing."""
        frame_ms = min(frame_ms, FRAME_MS)
        self.ms_per_s += (frame_ms * 1000 / FRAME_MS - self.ms_per_s) * FORGETTING
