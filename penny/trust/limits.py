"""Whether a session may begin: pure decisions over counts. The time is an argument.

``RedisStore`` decides by the same rules in Lua, where they are atomic for many gateways;
a test feeds both the same calls and compares every answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


MINUTE_S = 60.0
DAY_S = 86_400

LimitName = Literal["max_sessions", "sessions_per_minute", "minutes_per_day", "usd_per_day"]
ROUNDING_S = 1e-3
"""Sums of fractions of a minute on a clock of ten digits are not exact."""
RETRY_SESSIONS_S = 5.0
"""``retry_after_s`` when all places are taken: no place has a time at which it falls free."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None is unlimited."""

    max_sessions: int | None = None
    sessions_per_minute: int | None = None
    minutes_per_day: float | None = None
    usd_per_day: float | None = None

    @property
    def of_day(self) -> bool:
        """Whether any of them is the day's."""
        return self.minutes_per_day is not None or self.usd_per_day is not None


@dataclass(frozen=True, slots=True)
class Scope:
    """What is counted together: a tenant (``t:acme``) or a key (``k:1f0c…``)."""

    name: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Use:
    """What a scope has used. ``free_at_s`` is the theoretical arrival time of the rate limit."""

    sessions: int = 0
    free_at_s: float = 0.0
    day: int = 0
    day_seconds: float = 0.0
    day_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Denial:
    """Which limit of which scope says no, and when it may say yes."""

    scope: str
    limit: LimitName
    retry_after_s: float


def deny(scope: Scope, use: Use, now_s: float) -> Denial | None:
    """The first limit that a new session would break; None when it may begin.

    Args:
        now_s: seconds since the epoch; a day is a UTC day.
    """
    limits, use = scope.limits, of_day(use, now_s)
    tomorrow_s = (day_of(now_s) + 1) * DAY_S - now_s
    if limits.usd_per_day is not None and use.day_usd >= limits.usd_per_day:
        return Denial(scope.name, "usd_per_day", tomorrow_s)
    if limits.minutes_per_day is not None and use.day_seconds >= limits.minutes_per_day * MINUTE_S:
        return Denial(scope.name, "minutes_per_day", tomorrow_s)
    if limits.max_sessions is not None and use.sessions >= limits.max_sessions:
        return Denial(scope.name, "max_sessions", RETRY_SESSIONS_S)
    if limits.sessions_per_minute is not None:
        early_s = _next_free_s(limits.sessions_per_minute, use, now_s) - now_s - MINUTE_S
        if early_s > ROUNDING_S:
            return Denial(scope.name, "sessions_per_minute", early_s)
    return None


def begin(scope: Scope, use: Use, now_s: float) -> Use:
    """The use of a scope once the session that was not denied has begun."""
    use = of_day(use, now_s)
    rate = scope.limits.sessions_per_minute
    free_at_s = use.free_at_s if rate is None else _next_free_s(rate, use, now_s)
    return replace(use, sessions=use.sessions + 1, free_at_s=free_at_s)


def cancel(scope: Scope, use: Use) -> Use:
    """The use of a scope as if the session had not begun."""
    rate = scope.limits.sessions_per_minute
    free_at_s = use.free_at_s if rate is None else use.free_at_s - MINUTE_S / rate
    return replace(use, sessions=max(0, use.sessions - 1), free_at_s=free_at_s)


def charge(use: Use, seconds: float, usd: float, now_s: float) -> Use:
    use = of_day(use, now_s)
    return replace(use, day_seconds=use.day_seconds + seconds, day_usd=use.day_usd + usd)


def is_spent(limits: Limits, day_seconds: float, day_usd: float) -> LimitName | None:
    """Which of the day's limits a live session has reached."""
    if limits.usd_per_day is not None and day_usd >= limits.usd_per_day:
        return "usd_per_day"
    if limits.minutes_per_day is not None and day_seconds >= limits.minutes_per_day * MINUTE_S:
        return "minutes_per_day"
    return None


def day_of(now_s: float) -> int:
    return int(now_s // DAY_S)


def of_day(use: Use, now_s: float) -> Use:
    """Yesterday's minutes and money count no more. A clock that goes back keeps the later day."""
    if day_of(now_s) <= use.day:
        return use
    return replace(use, day=day_of(now_s), day_seconds=0.0, day_usd=0.0)


def _next_free_s(per_minute: int, use: Use, now_s: float) -> float:
    """The generic cell rate algorithm: a token bucket kept as one moment."""
    # Over a minute ahead it is a moment of a clock that was set back since: it would lock everybody
    # out until that clock comes there again.
    free_at_s = use.free_at_s if use.free_at_s <= now_s + MINUTE_S + ROUNDING_S else now_s
    return max(now_s, free_at_s) + MINUTE_S / per_minute


MESSAGE_BYTES, ANSWER_BYTES = 65_536, 16_384
"""A longer message counts as several, and so does one whose answer is longer, which is written,
read and written again."""


TURN_MESSAGES, TURNS_BURST_S, MOST_REST_S = 5, 2.0, 2.0
"""Of a client's messages one in so many may want an answer, which takes every stage and the whole
conversation before it: six a second, twelve at once. Who asks faster is read no further for a time
(and refused where that does not help: a data channel is always read)."""


class MessageRate:
    """A token bucket for the messages of one client; ``burst_s`` worth may come at once.

    Args:
        per_s: messages of ``MESSAGE_BYTES`` at most a second; None is unlimited.
    """

    def __init__(self, per_s: float | None, burst_s: float = 10.0) -> None:
        self._per_s = per_s
        self._burst = max(1.0, (per_s or 0.0) * burst_s)
        self._tokens = self._burst
        self._at_s: float | None = None
        self._turns_until_s = 0.0

    def take_turn(self, now_s: float) -> float:
        """Count a wish for an answer: the seconds for which this client is to be read no further,
        0.0 within the rate. One that has to rest for more than ``MOST_REST_S`` is not to be
        granted, nor counted."""
        if self._per_s is None:
            return 0.0
        until_s = max(self._turns_until_s, now_s) + TURN_MESSAGES / self._per_s
        rest_s = max(0.0, until_s - now_s - TURNS_BURST_S)
        if rest_s <= MOST_REST_S:
            self._turns_until_s = until_s
        return rest_s

    def take(self, now_s: float, size_bytes: int = 0) -> float:
        """0.0 when a message may pass, else the seconds until one may."""
        if self._per_s is None:
            return 0.0
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._tokens = min(self._burst, self._tokens + passed_s * self._per_s)
        if self._tokens >= 1.0:
            self._tokens -= max(1.0, size_bytes / MESSAGE_BYTES)
            return 0.0
        return (1.0 - self._tokens) / self._per_s

    def spend(self, size_bytes: int) -> None:
        """Count what a client was answered, audio apart: a short question may have a long one."""
        self._tokens -= max(0.0, size_bytes / ANSWER_BYTES - 1.0)
