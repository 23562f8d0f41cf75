"""One lease: a worker that was asked for, its free and taken slots, and what it costs. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal


Json = dict[str, Any]
LeaseState = Literal["asked", "attached", "detached", "draining", "ended"]


class LeaseMeter:
    """Splits a lease's seconds evenly among the sessions that were live in each of them.

    Seconds without a session (waking, kept warm) are nobody's: ``total_usd`` has them too.
    """

    def __init__(self, usd_per_hour: float, started_s: float) -> None:
        self._usd_per_s = usd_per_hour / 3600
        self._started_s = started_s
        self._counted_s = started_s
        self._live: dict[str, float] = {}

    def open(self, session_id: str, now_s: float) -> None:
        self._count(now_s)
        self._live[session_id] = 0.0

    def close(self, session_id: str, now_s: float) -> float:
        """The session is over; returns its share in US dollars."""
        self._count(now_s)
        return self._live.pop(session_id, 0.0) * self._usd_per_s

    def share_usd(self, session_id: str, now_s: float) -> float:
        self._count(now_s)
        return self._live.get(session_id, 0.0) * self._usd_per_s

    def total_usd(self, now_s: float) -> float:
        return max(0.0, now_s - self._started_s) * self._usd_per_s

    def _count(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._counted_s)
        self._counted_s = max(self._counted_s, now_s)
        for session_id in self._live:
            self._live[session_id] += passed_s / len(self._live)


class LoanMeter:
    """What a session on a borrowed slot costs, by how many shared the worker when last told."""

    def __init__(self, usd_per_hour: float, started_s: float, live: int) -> None:
        self._usd_per_s = usd_per_hour / 3600
        self._counted_s = started_s
        self._live = max(1, live)
        self._usd = 0.0

    def note(self, live: int, now_s: float) -> None:
        self.usd(now_s)
        self._live = max(1, live)

    def usd(self, now_s: float) -> float:
        self._usd += max(0.0, now_s - self._counted_s) * self._usd_per_s / self._live
        self._counted_s = max(self._counted_s, now_s)
        return self._usd


@dataclass(slots=True)
class Lease:
    """``spare`` are sockets that the worker has dialled and no session has taken yet.

    Attributes:
        token: opens the control socket, once.
        key: opens slot sockets, and the control socket again after a break.
        expires_s: when RunPod ends the job, whatever goes on.
        live: sessions, and loans of slots to other gateways (``loans`` are those alone).
    """

    id: str
    job_id: str
    token: str
    key: str
    slots: int
    asked_s: float
    expires_s: float
    kind: Literal["cold", "warm"]
    meter: LeaseMeter
    state: LeaseState = "asked"
    stage: str = "leasing_worker"
    control: Any = None
    info: Json = field(default_factory=dict)
    spare: deque[Any] = field(default_factory=deque)
    live: set[str] = field(default_factory=set)
    loans: set[str] = field(default_factory=set)
    idle_since_s: float = 0.0
    detached_s: float = 0.0

    def takes_sessions(self, now_s: float, session_max_s: float) -> bool:
        """Whether a session that starts now could end in time."""
        return self.state == "attached" and now_s + session_max_s <= self.expires_s

    def is_coming(self) -> bool:
        return self.state == "asked"

    def admits(self, credential: str) -> bool:
        """Whether this opens its control socket; the token does so once."""
        if self.token and same(credential, self.token):
            self.token = ""
            return True
        return same(credential, self.key)


def same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def digest(secret: str) -> str:
    """What may be stored and compared in place of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
