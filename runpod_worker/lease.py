"""Protocol between gateway and rented worker: the messages about a lease. Pure data.

The worker dials ``{gateway_ws}?lease=<id>`` with ``Authorization: Bearer <token>``: the control
socket, JSON text messages:

    gateway  {"type":"lease.accepted","key":"…"}          the token is spent; the key replaces it
    worker   {"type":"worker.ready","slots":4,"info":{…}}
    gateway  {"type":"lease.drain"}                       no new session; return after the last
    gateway  {"type":"lease.end"}                         end now

For each slot it also dials ``{gateway_ws}?lease=<id>&slot=1`` with the key, and waits:

    gateway  {"type":"slot.open","traceparent":"00-…"}    W3C's, of a session that is traced
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
"""Both sides ping the control socket; a side that is silent for one and a half of these is gone."""
SLOT_HEARTBEAT_S = 4.0
"""The gateway pings every slot, resting or in use: a frozen or unplugged worker's slots are
withdrawn, and its sessions go on elsewhere, within one and a half of these."""
GATEWAY_HEARTBEAT_S = 20.0
"""The worker pings its slots more patiently: a slot whose gateway is gone is dialled afresh."""
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
