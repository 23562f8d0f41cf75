"""A circuit breaker: after failures in a row the brain rests, tries once, and recovers. Pure."""

from __future__ import annotations

from typing import Literal


State = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """``allows`` before each call, then exactly one of ``succeeded`` and ``failed``.

    Args:
        failures: failures in a row that open it.
        cooldown_s: first rest; it doubles after each failed trial up to ``max_cooldown_s``.
    """

    def __init__(self, failures: int, cooldown_s: float, max_cooldown_s: float) -> None:
        self._limit = failures
        self._cooldown_s = cooldown_s
        self._max_cooldown_s = max_cooldown_s
        self._failed = 0
        self._rest_s = cooldown_s
        self._opened_s: float | None = None
        self._trial = False

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
        self._failed = 0
        self._opened_s = None
        self._trial = False
        self._rest_s = self._cooldown_s

    def failed(self, now_s: float) -> bool:
        """Note a failure; True when it opens the breaker just now."""
        self._failed += 1
        if self._trial:
            self._trial = False
            self._opened_s = now_s
            self._rest_s = min(self._rest_s * 2, self._max_cooldown_s)
            return False
        if self._opened_s is None and self._failed >= self._limit:
            self._opened_s = now_s
            return True
        return False

    def abandoned(self) -> None:
        """The call was given up without an outcome (superseded): a trial may be made again."""
        self._trial = False
