"""The record of a lease in Redis, as other gateways read it. Pure.

Secrets are stored as digests. Times are stored as ages, since no two machines' clocks agree; Redis
stamps when a record was ``seen``, and the reader turns ages into its own loop's time.
"""

from __future__ import annotations

from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from modes.self_hosted.runpod.lease import Json, Lease, LeaseMeter, LeaseState, digest


class LeaseRecord(BaseModel):
    """A lease as it is stored in Redis. ``node`` is the gateway that holds it.

    ``silent_s``, ``asked_s`` and ``expires_s`` are not stored but computed by the reader: seconds
    since the record was written, and its times on the reader's clock.
    """

    model_config = ConfigDict(extra="ignore")

    id: str
    job_id: str
    node: str
    state: LeaseState
    kind: Literal["cold", "warm"]
    stage: str
    slots: int
    live: int
    free: int
    token: str
    key: str
    age_s: float
    left_s: float
    info: str
    """JSON inside JSON: Lua would make an object of an empty list."""
    silent_s: float = 0.0
    asked_s: float = 0.0
    expires_s: float = 0.0

    def placed(self, silent_s: float, now_s: float) -> LeaseRecord:
        """The record in the reader's time."""
        return self.model_copy(
            update={
                "silent_s": silent_s,
                "asked_s": now_s - silent_s - self.age_s,
                "expires_s": now_s - silent_s + self.left_s,
            }
        )

    def described(self) -> Json:
        """What the worker says of itself."""
        info: Json = orjson.loads(self.info)
        return info


def record(lease: Lease, node: str, now_s: float) -> LeaseRecord:
    """What the gateway ``node`` writes about a lease that it holds."""
    return LeaseRecord(
        id=lease.id,
        job_id=lease.job_id,
        node=node,
        state=lease.state,
        kind=lease.kind,
        stage=lease.stage,
        slots=lease.slots,
        live=len(lease.live),
        free=len(lease.spare),
        token=digest(lease.token) if lease.token else "",
        key=digest(lease.key),
        age_s=now_s - lease.asked_s,
        left_s=lease.expires_s - now_s,
        info=orjson.dumps(lease.info).decode(),
    )


def write(lease: LeaseRecord) -> str:
    return lease.model_dump_json(exclude={"silent_s", "asked_s", "expires_s"})


def adopt(told: LeaseRecord, key: str, *, waking: bool, usd_per_hour: float, now_s: float) -> Lease:
    """A lease of another gateway that goes on here.

    Args:
        waking: its worker dialled in for the first time; else it came back after a break.
    """
    return Lease(
        id=told.id,
        job_id=told.job_id,
        token="",
        key=key,
        slots=told.slots,
        asked_s=told.asked_s,
        expires_s=told.expires_s,
        kind=told.kind,
        meter=LeaseMeter(usd_per_hour, told.asked_s if waking else now_s),
        state="asked" if waking else "detached",
        detached_s=now_s,
        info=told.described(),
    )
