"""Circuit breaker: whether a server may be asked now, judged by how its last calls ended. Pure.

Readiness probes lie (a server with a dead model process still says ready), so only calls count.
"""

from __future__ import annotations

from collections import deque
from typing import Literal


State = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """Opens after failures, rests, then lets one trial call decide whether it closes.

    Ask ``allows`` before each call; after it exactly one of ``succeeded``, ``failed`` and
    ``abandoned``. Times are seconds of any one monotonic clock.

    Args:
        failures: failures among the last ``window`` calls that open it.
        window: None counts failures in a row.
        rest_s: first rest; it doubles after each failed trial up to ``max_rest_s``.
        max_rest_s: None keeps every rest at ``rest_s``.
    """

    def __init__(
        self,
        failures: int,
        rest_s: float,
        max_rest_s: float | None = None,
        *,
        window: int | None = None,
    ) -> None:
        self._failures = failures
        self._first_rest_s = self._rest_s = rest_s
        self._max_rest_s = rest_s if max_rest_s is None else max_rest_s
        self._outcomes: deque[bool] = deque(maxlen=window or failures)
        self._opened_s: float | None = None
        self._trial = False
        self.opened = 0
        """How often it opened so far."""

    def state(self, now_s: float) -> State:
        if self._opened_s is None:
            return "closed"
        return "half_open" if now_s - self._opened_s >= self._rest_s else "open"

    def allows(self, now_s: float) -> bool:
        """Whether a call may be made; half open lets one through until its outcome is known."""
        state = self.state(now_s)
        if state == "half_open" and not self._trial:
            self._trial = True
            return True
        return state == "closed"

    def succeeded(self) -> None:
        if self._opened_s is not None and not self._trial:
            return  # a call that was under way when it opened
        if self._trial:
            self._outcomes.clear()
        self._outcomes.append(True)
        self._opened_s, self._trial = None, False
        self._rest_s = self._first_rest_s

    def failed(self, now_s: float) -> bool:
        """Note a failure; True when it opens the breaker just now."""
        if self._trial:
            self._trial = False
            self._opened_s = now_s
            self._rest_s = min(self._rest_s * 2, self._max_rest_s)
            self.opened += 1
            return False
        if self._opened_s is not None:
            return False
        self._outcomes.append(False)
        if self._outcomes.count(False) < self._failures:
            return False
        self._opened_s = now_s
        self._outcomes.clear()
        self.opened += 1
        return True

    def abandoned(self) -> None:
        """The call was given up without an outcome: a trial may be made again."""
        self._trial = False
