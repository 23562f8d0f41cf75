"""Whether a server may be asked now, judged by how its last calls ended.

Pure: time comes in. Readiness probes lie (a Triton with a dead model process still says ready),
so only calls count. After ``rest_s`` one canary call may find out whether the server is back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal


State = Literal["closed", "open", "probing"]


@dataclass(slots=True)
class Breaker:
    """``max_failures`` of the last ``window`` calls open it; a good canary closes it."""

    max_failures: int = 2
    window: int = 5
    rest_s: float = 10.0
    state: State = "closed"
    opened: int = 0
    """How often it opened so far."""
    _outcomes: deque[bool] = field(default_factory=deque)
    _opened_s: float = 0.0

    def allows(self) -> bool:
        """Whether a caller's own request may go out."""
        return self.state == "closed"

    def wants_canary(self, now_s: float) -> bool:
        """Whether it is time to probe; True once per rest, the probe's outcome decides."""
        if self.state != "open" or now_s - self._opened_s < self.rest_s:
            return False
        self.state = "probing"
        return True

    def note(self, succeeded: bool, now_s: float) -> None:
        """How a call or a canary ended."""
        if self.state == "open":
            return  # a call that was under way when it opened
        if self.state == "probing":
            if succeeded:
                self.state = "closed"
                self._outcomes.clear()
            else:
                self._open(now_s)
            return
        self._outcomes.append(succeeded)
        if len(self._outcomes) > self.window:
            self._outcomes.popleft()
        if self._outcomes.count(False) >= self.max_failures:
            self._open(now_s)

    def _open(self, now_s: float) -> None:
        self.state = "open"
        self.opened += 1
        self._opened_s = now_s
        self._outcomes.clear()
