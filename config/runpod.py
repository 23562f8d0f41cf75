"""The ``runpod:`` section: workers rented on RunPod, and when they are kept."""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from config.modes import WebSocketUrl
from kb.settings import ZoneName
from penny.section import Section, key_error


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class MinWorkersWindow(Section):
    """Hours of some weekdays in which at least ``workers`` run without being asked for."""

    days: tuple[Day, ...] = Field(DAYS[:5], description="days it holds on")
    start: time = Field(time(8), description="from this time of day")
    end: time = Field(time(20), description="until this time of day")
    workers: int = Field(1, ge=0, le=100, description="workers that wait")

    def holds_at(self, moment: datetime) -> bool:
        return DAYS[moment.weekday()] in self.days and self.start <= moment.time() < self.end

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> Self:
        if self.start >= self.end:
            raise key_error("end", "end comes after start; a night needs two windows")
        return self


class RunpodSection(Section):
    """A queue endpoint whose workers dial in to this gateway; off without ``endpoint_id``."""

    endpoint_id: str | None = Field(
        None, description="RunPod queue endpoint to lease workers from; null leases none"
    )
    gateway_url: WebSocketUrl | None = Field(
        None,
        description="this gateway as a worker reaches it, ending in /worker (wss://…/worker)",
    )
    api_url: str = Field("https://api.runpod.ai/v2", description="RunPod's job API")
    rest_url: str = Field(
        "https://api.runpod.io/v2/serverless", description="RunPod's endpoint API"
    )
    slots: int = Field(4, ge=1, le=64, description="sessions at once in one worker")
    max_workers: int = Field(2, ge=1, le=100, description="workers leased at once, by all gateways")
    lease_max_s: float = Field(
        14_400.0, gt=0, le=604_800, description="longest lease; sessions must end within"
    )
    warm_s: float = Field(120.0, ge=0, description="time a worker without sessions is kept")
    cold_budget_s: float = Field(
        8.0, ge=0, description="wait after which a caller may be offered EXTERNAL"
    )
    cold_limit_s: float = Field(
        180.0, gt=0, description="wait after which a private session is given up"
    )
    usd_per_hour: float = Field(0.0, ge=0, description="price of a worker's GPU")
    timezone: ZoneName = Field("Europe/Madrid", description="whose hours `min_workers` means")
    min_workers: tuple[MinWorkersWindow, ...] = Field(
        (), description="hours in which workers wait without being asked"
    )
    sign_of_life_h: float = Field(
        24.0,
        ge=0,
        description="hours without a lease after which a job asks for a sign of life; 0 never",
    )
    state: Path = Field(Path("var/runpod"), description="folder of open leases and start times")

    @model_validator(mode="after")
    def _a_worker_knows_where_to_dial(self) -> Self:
        if self.endpoint_id is not None and self.gateway_url is None:
            raise key_error(
                "gateway_url", "leased workers dial in: write wss://<this gateway>/worker"
            )
        return self

    def min_workers_at(self, moment: datetime) -> int:
        """How many workers shall wait at ``moment`` (any time zone)."""
        local = moment.astimezone(ZoneInfo(self.timezone))
        return max((w.workers for w in self.min_workers if w.holds_at(local)), default=0)


class PrivacySection(Section):
    """What may leave the configured hosts, and who decides it."""

    external_when_cold: bool = Field(
        False,
        description="a session that named no mode may start EXTERNAL when no worker is ready",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="further hosts (name, or name:port) that private sessions may connect to",
    )
    mcp_servers: tuple[str, ...] = Field(
        (),
        description="addresses of MCP servers whose tools private sessions may name, and no others",
    )
