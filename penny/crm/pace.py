"""How often a CRM is asked: no more than it lets, and who calls before what was said. Pure."""

from __future__ import annotations

from collections import deque
from math import ceil


MINUTE_S = 60.0
KEPT_SHARE = 0.2
"""Of what a CRM lets, that look-ups alone may use."""


class Pace:
    """The requests of one process to one CRM.

    Args:
        limit: requests in any minute.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._for_notes = limit - max(1, ceil(limit * KEPT_SHARE))
        self._asked: deque[float] = deque()
        self._rest_until_s = float("-inf")

    def looks_up(self, now_s: float) -> bool:
        """Take a place for a look-up; False where there is none now."""
        self._forget(now_s)
        if now_s < self._rest_until_s or len(self._asked) >= self._limit:
            return False
        self._asked.append(now_s)
        return True

    def wrote(self, now_s: float) -> None:
        """Count a request of a note, which may take more than one."""
        self._asked.append(now_s)

    def may_write(self, now_s: float) -> bool:
        """Whether a note could be written now."""
        self._forget(now_s)
        return now_s >= self._rest_until_s and len(self._asked) < self._for_notes

    def refused(self, now_s: float, after_s: float | None) -> float:
        """The CRM says that it was asked too often; for how long it is left in peace."""
        rest_s = MINUTE_S if after_s is None else after_s
        self._rest_until_s = max(self._rest_until_s, now_s + rest_s)
        return rest_s

    def _forget(self, now_s: float) -> None:
        while self._asked and self._asked[0] <= now_s - MINUTE_S:
            self._asked.popleft()
