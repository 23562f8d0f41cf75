"""Who may do what: ``keys``, ``tenants``, ``limits``, ``redis``, ``resume`` of ``penny.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from config.analysis import TenantAnalysisSection
from config.calls import TenantCallsSection
from config.crm import CrmSection
from penny.section import Section


NoiseReduction = Literal["near_field", "far_field"]
"""OpenAI Realtime's names: a microphone at the mouth, or one across the table."""


def _check_redis_url(url: str | None) -> str | None:
    if url is None:
        return None
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("a Redis address starts with redis://, rediss:// or unix://")
    if urlsplit(url).password:
        raise ValueError(
            "a password does not stand in this file; set PENNY_REDIS_PASSWORD in the environment"
        )
    return url


RedisUrl = Annotated[str | None, AfterValidator(_check_redis_url)]
Count = Annotated[int | None, Field(ge=1)]
Amount = Annotated[float | None, Field(gt=0)]


class LimitsSection(Section):
    """Limits of a tenant or of a key.

    Null is unlimited here; what ``gateway:`` says holds all the same.
    """

    max_sessions: Count = Field(None, description="sessions at once")
    sessions_per_minute: Count = Field(
        None, description="new sessions a minute; as many may come at once"
    )
    minutes_per_day: Amount = Field(None, description="minutes of talk a UTC day")
    usd_per_day: Amount = Field(None, description="US dollars a UTC day")
    session_max_s: Amount = Field(None, description="longest session")
    idle_timeout_s: Amount = Field(None, description="a session without speech ends")
    max_message_bytes: Annotated[int | None, Field(ge=1024)] = Field(
        None, description="longest message of a client"
    )
    messages_per_s: Amount = Field(
        None, description="JSON messages of one client; ten seconds' worth may come at once"
    )


class TenantSection(Section):
    """One customer of this Penny.

    An empty list allows all; of collections, actions and MCP servers, all that no other tenant has
    named.
    """

    modes: tuple[Literal["SELF_HOSTED", "EXTERNAL"], ...] = Field(
        (), description="modes its sessions may have"
    )
    kb_collections: tuple[str, ...] = Field(
        (), description="kb:// collections it may name; the first is its own default"
    )
    actions: tuple[str, ...] = Field(
        (), description="actions of actions.table that its sessions may name"
    )
    mcp_servers: tuple[str, ...] = Field(
        (), description="addresses of privacy.mcp_servers that its sessions may name"
    )
    rights: tuple[str, ...] = Field(
        (), description="most that any of its keys may do, whatever their role"
    )
    voices: tuple[str, ...] = Field((), description="voices its sessions may name")
    instructions: str | None = Field(
        None, max_length=20_000, description="system prompt of its sessions"
    )
    noise_reduction: NoiseReduction | None = Field(
        None, description="of what its callers say; null is as session.noise_reduction says"
    )
    own_instructions: bool = Field(True, description="whether a session may bring a system prompt")
    calls: TenantCallsSection = Field(TenantCallsSection(), description="how its calls are kept")
    analysis: TenantAnalysisSection = Field(
        TenantAnalysisSection(), description="how its calls are analysed"
    )
    crm: CrmSection | None = Field(None, description="its own CRM; null is the house's")
    limits: LimitsSection = Field(LimitsSection(), description="of all its keys together")
    key_limits: LimitsSection = Field(LimitsSection(), description="of each of its keys")


class KeysSection(Section):
    """``keys``: the API keys of callers."""

    file: Path = Field(Path("var/keys.sqlite"), description="where hashed API keys are")
    required: Literal["auto", "always"] = Field(
        "auto", description="auto asks for keys only beyond loopback"
    )


class RedisSection(Section):
    """``redis``: the store that several gateways share."""

    url: RedisUrl = Field(
        None, description="shared by every gateway; null keeps all in this process"
    )
    prefix: str = Field("penny", pattern=r"^[\w.-]+$", description="what its keys begin with")
    timeout_s: float = Field(0.5, gt=0, description="an answer later than this counts as lost")
    lease_s: float = Field(
        30.0, ge=3, description="a dead gateway's sessions are forgotten after this"
    )


class ResumeSection(Section):
    """``resume``: sessions whose client lost its connection."""

    hold_s: float = Field(
        30.0, ge=0, description="time a vanished client has to come back; 0 is off"
    )
    max_audio_bytes: int = Field(
        2_000_000, ge=0, description="sent audio kept for it; the oldest goes first"
    )
