"""When a delivery is tried again, and when an endpoint is told of nothing more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal


RETRY_S = (5, 300, 1800, 7200, 18_000, 36_000, 36_000)
"""After each failed attempt; the eighth is the last, 28 hours after the first."""
MAX_ATTEMPTS = len(RETRY_S) + 1
JITTER = 0.1
"""Share of a wait that is added at most, so that what failed together comes back apart."""
LONGEST_WAIT_S = 86_400.0
"""Of what an endpoint asks for by ``Retry-After``."""
FAILING_S = 5 * 86_400.0
"""After so long without one success an endpoint is disabled."""
GONE = 410
THROTTLING = (429, 503)

State = Literal["waiting", "delivered", "dead", "withheld"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt.

    Args:
        status: 0 where none came.
        error: why none came, in a word; ''.
        body: the beginning of what was answered.
        retry_after_s: as it asked for; None.
        took_ms: from the request on.
    """

    status: int = 0
    error: str = ""
    body: str = ""
    retry_after_s: float | None = None
    took_ms: int = 0

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_throttling(self) -> bool:
        """Whether the endpoint asks for a pause of everything."""
        return self.status in THROTTLING and self.retry_after_s is not None

    @property
    def is_fault(self) -> bool:
        """Whether the endpoint itself is in trouble, rather than refusing this one event."""
        return self.status == 0 or self.status >= 500


def decide(answer: Answer, attempts: int, now_ms: int, chance: float) -> tuple[State, int]:
    """What a delivery is after an attempt, and when it is due again (Unix ms).

    Args:
        attempts: with this one.
        chance: from 0 to 1, of the jitter.
    """
    if answer.is_success:
        return "delivered", now_ms
    if attempts >= MAX_ATTEMPTS:
        return "dead", now_ms
    wait_s = RETRY_S[attempts - 1] * (1 + JITTER * chance)
    if answer.retry_after_s is not None:
        wait_s = max(wait_s, answer.retry_after_s)
    return "waiting", now_ms + round(wait_s * 1000)


def read_retry_after(text: str | None, now_s: float) -> float | None:
    """Seconds of a ``Retry-After``, which tells seconds or a moment, ``LONGEST_WAIT_S`` at most;
    None where it tells none."""
    if not text:
        return None
    if text.strip().isdecimal():
        return min(float(text), LONGEST_WAIT_S)
    try:
        moment: datetime = parsedate_to_datetime(text)
        return min(max(0.0, moment.timestamp() - now_s), LONGEST_WAIT_S)
    except (ValueError, TypeError, OverflowError):
        return None
