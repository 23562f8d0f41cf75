"""A lease as other gateways know it: what stands in Redis. Pure.

Secrets stand there as digests. Times travel as ages, since no two machines' clocks agree; Redis
stamps when a record was ``seen``, and the reader turns ages into its own loop's time.
"""

from __future__ import annotations

from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from modes.self_hosted.runpod.lease import Json, Lease, LeaseMeter, LeaseState, digest


class LeaseRecord(BaseModel):
    """``url`` and ``node``: the gateway that holds it. ``open``: whether it takes sessions.

    ``silent_s``, ``asked_s`` and ``expires_s`` are the reader's: how long nobody told of it, and
    its times on the reader's clock.
    """

    model_config = ConfigDict(extra="ignore")

    id: str
    job_id: str
    node: str
    url: str
    state: LeaseState
    kind: Literal["cold", "warm"]
    stage: str
    slots: int
    live: int
    free: int
    open: bool
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


class SlotRequest(BaseModel):
    """A gateway at ``url`` asks for a slot of ``lease``; the worker shows ``loan`` there, once."""

    lease: str
    loan: str = Field(min_length=16, repr=False)
    url: str = Field(pattern=r"^wss?://")


def record(lease: Lease, node: str, url: str, now_s: float, session_max_s: float) -> LeaseRecord:
    return LeaseRecord(
        id=lease.id,
        job_id=lease.job_id,
        node=node,
        url=url,
        state=lease.state,
        kind=lease.kind,
        stage=lease.stage,
        slots=lease.slots,
        live=len(lease.live),
        free=len(lease.spare),
        open=lease.takes_sessions(now_s, session_max_s),
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
