"""What gateway and rented worker say to each other about a lease. Pure data, one home for both.

The worker dials ``{gateway_ws}?lease=<id>`` with ``Authorization: Bearer <token>``: the control
socket, JSON text messages:

    gateway  {"type":"lease.accepted","key":"…"}          the token is spent; the key replaces it
    worker   {"type":"worker.ready","slots":4,"info":{…}}
    gateway  {"type":"lease.drain"}                       no new session; return after the last
    gateway  {"type":"lease.end"}                         end now

For each slot it also dials ``{gateway_ws}?lease=<id>&slot=1`` with the key, and waits:

    gateway  {"type":"slot.open"}
    worker   {"type":"slot.opened"}                       from here on it is OpenAI Realtime

When a session ends its socket is closed and the worker dials a fresh one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


ACCEPTED = "lease.accepted"
READY = "worker.ready"
DRAIN = "lease.drain"
END = "lease.end"
SLOT_OPEN = "slot.open"
SLOT_OPENED = "slot.opened"

CONTROL_HEARTBEAT_S = 10.0
"""Both sides ping the control socket; slots rest without pings until they carry a session."""
REDIALS = 3
REDIAL_PAUSE_S = 10.0
"""A worker whose control socket broke tries so often, so far apart, before it returns the job.
A gateway waits as long before it counts the worker as lost."""
SLOT_LIMIT = 64


class LeaseJob(BaseModel):
    """The ``input`` of the queue job: where to dial, and as what."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    gateway_ws: str = Field(pattern=r"^wss?://")
    lease_id: str = Field(min_length=1, max_length=100)
    token: str = Field(min_length=16, max_length=200, repr=False)
    slots: int = Field(ge=1, le=SLOT_LIMIT)
    kind: Literal["lease"] = "lease"
