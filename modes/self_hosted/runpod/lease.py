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

    Seconds without a session (waking, kept warm) are billed to none: only ``total_usd`` has them.
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


@dataclass(slots=True)
class Lease:
    """A worker that was asked for, from the request to RunPod until its job is over.

    Attributes:
        token: opens the control socket, once.
        key: opens slot sockets, and the control socket again after a break.
        expires_s: when RunPod ends the job, whatever goes on.
        spare: sockets that the worker has dialled and no session has taken yet.
        live: ids of the sessions on its slots.
        opening: how many of ``live`` still wait for their slot's answer.
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
    opening: int = 0
    idle_since_s: float = 0.0
    detached_s: float = 0.0

    def takes_sessions(self, now_s: float, session_max_s: float) -> bool:
        """Whether a session that starts now could end in time."""
        return self.state == "attached" and now_s + session_max_s <= self.expires_s

    def room(self) -> int:
        """Sessions without a slot that it can still take.

        A slot that is not open may be on its way: after each session its worker dials a fresh one.
        """
        return max(0, self.slots - len(self.live) + self.opening)

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
