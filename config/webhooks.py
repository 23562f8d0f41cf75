"""``webhooks``: who is told of calls as they happen, and of what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from penny.section import Section, key_error


EventType = Literal[
    "call.started",
    "call.ended",
    "call.failed",
    "turn.completed",
    "alert.raised",
    "handoff.requested",
    "recording.ready",
    "analysis.completed",
    "endpoint.disabled",
]
LOOPBACK = ("localhost", "127.0.0.1", "::1")
DEFAULT = "default"
"""Name of the endpoint that ``webhooks.url`` makes."""
SECRET = "WEBHOOK_SECRET"


def check_url(url: str) -> str:
    """Raises ValueError: an address that nothing may be sent to."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("an address starts with https://, on this machine http:// too")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address carries no user and no password")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("beyond this machine an address starts with https://")
    return url


Url = Annotated[str, AfterValidator(check_url)]
Variable = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_]\w*$",
        description="environment variable with the secret that deliveries are signed with; "
        "several in it, with spaces between, while one takes the place of another",
    ),
]
EndpointName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")]


class EndpointSection(Section):
    """``webhooks.endpoints.NAME``: one receiver, and what it is told."""

    url: Url = Field(min_length=1, description="address that is sent a POST")
    secret: Variable = SECRET
    types: tuple[EventType, ...] = Field((), description="event types it is told of; empty is all")
    tenants: tuple[str, ...] = Field((), description="whose calls; empty is every tenant's")
    payload: Literal["full", "thin"] = Field(
        "full", description="thin leaves out people, numbers and what was said"
    )
    legacy_signature: bool = Field(
        False, description="X-Webhook-Signature and names with an underscore as well"
    )
    live_turns: bool = Field(
        False,
        description="turn.completed as each turn completes, without any number; else with the "
        "record",
    )
    concurrency: int = Field(4, ge=1, le=64, description="deliveries to it at once, of a process")


class WebhooksSection(Section):
    """``webhooks``: receivers of events. ``url`` makes one; ``endpoints`` more."""

    url: Url = Field("", description="address that is sent every event; empty sends none")
    secret: Variable = SECRET
    legacy_signature: bool = Field(
        False, description="`url` gets X-Webhook-Signature and names with an underscore as well"
    )
    endpoints: dict[EndpointName, EndpointSection] = Field(
        default_factory=dict, description="receivers by name: url, secret, types, tenants, payload"
    )
    keep_days: int = Field(30, ge=1, description="days that events and their deliveries are kept")

    @model_validator(mode="after")
    def _names_are_of_one_each(self) -> Self:
        if self.url and DEFAULT in self.endpoints:
            reason = "that is the name of webhooks.url: take another"
            raise key_error(f"endpoints.{DEFAULT}", reason)
        return self

    def all(self) -> Iterator[tuple[str, EndpointSection]]:
        """Every endpoint with its name."""
        if self.url:
            legacy = self.legacy_signature
            yield (
                DEFAULT,
                EndpointSection(url=self.url, secret=self.secret, legacy_signature=legacy),
            )
        yield from self.endpoints.items()
