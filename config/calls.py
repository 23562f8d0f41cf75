"""``calls``: which calls are kept, where, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from penny.aio.allow_list import AllowList
from penny.section import Section


class TenantCallsSection(Section):
    """``tenants.NAME.calls``: what a tenant wants otherwise; null is as ``calls`` says."""

    recording: Literal["off", "on"] | None = Field(
        None, description="whether the sound of its calls is kept"
    )
    keep_sound_days: int | None = Field(None, ge=0, description="days that sound is kept")
    keep_record_days: int | None = Field(
        None, ge=0, description="days that records and texts are kept"
    )


class CallsSection(Section):
    """``calls``: records and sound of every call."""

    enabled: bool = Field(True, description="keep a record of every call")
    url: str = Field(
        "sqlite:///var/calls/calls.sqlite",
        pattern=r"^(sqlite:///|postgresql://).+",
        description="the database: sqlite:///PATH or postgresql://USER:${VAR}@HOST/NAME",
    )
    folder: Path = Field(
        Path("var/calls"), description="spool of live calls, and the sound of ended ones"
    )
    recording: Literal["off", "auto", "on"] = Field(
        "auto",
        description="keep the sound; auto: only of callers on this machine while no key exists",
    )
    keep_sound_days: int | None = Field(
        90, ge=0, description="days that sound is kept; null for ever"
    )
    keep_record_days: int | None = Field(
        365, ge=0, description="days that records and texts are kept; null for ever"
    )

    def refusal(self, allowed_hosts: tuple[str, ...]) -> str:
        """Why private calls may not be kept in this database; '' where they may."""
        host = urlsplit(self.url).hostname
        if host is None or AllowList(allowed_hosts).allows(host, urlsplit(self.url).port or 5432):
            return ""
        return (
            f"private calls would be written to {host}; put it into privacy.allowed_hosts, or keep "
            "calls on this machine"
        )
