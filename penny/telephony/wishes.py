"""What an application asks for of telephone calls, as the bodies of its requests."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, model_validator


Json = dict[str, Any]


class Consent(BaseModel):
    """The consent to a commercial call: when, where it comes from, and its words."""

    model_config = ConfigDict(extra="forbid")

    at: date
    source: str = Field(min_length=1, max_length=200)
    wording: str = Field(min_length=1, max_length=1000)


class Request(BaseModel):
    """The customer's own request for a call: when, and by what way it came."""

    model_config = ConfigDict(extra="forbid")

    at: date
    source: str = Field(min_length=1, max_length=200)


class DialWish(BaseModel):
    """A call that is to be placed."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    to: str = Field(max_length=40)
    from_: str | None = Field(None, alias="from", max_length=40)
    mode: Literal["SELF_HOSTED", "EXTERNAL"] | None = None
    language: Literal["es", "en"] | None = None
    greeting: str | None = Field(None, max_length=500)
    instructions: str | None = Field(None, max_length=20_000)
    actions: list[str] = Field(default_factory=list, max_length=128)
    context: Json = Field(default_factory=dict)
    purpose: Literal["service", "commercial"] = "service"
    consent: Consent | None = None
    request: Request | None = Field(
        None, description="the customer's, without which a sector forbids commercial calls"
    )
    attempts: int = Field(
        1, ge=1, le=10, description="calls at most, spaced, while it is busy or not answered"
    )
    on_machine: Literal["talk", "hang_up", "leave_message"] = Field(
        "talk", description="what a voicemail gets; talk: who answers is not looked at"
    )
    message: str | None = Field(
        None, min_length=1, max_length=500, description="left on a voicemail, after who calls"
    )
    reason: str = Field("", max_length=60, description="why it is called, for a call screener")
    not_before: AwareDatetime | None = Field(
        None, description="placed then or at the next moment that is within the callee's hours"
    )

    @model_validator(mode="after")
    def _has_a_message(self) -> Self:
        if (self.on_machine == "leave_message") != (self.message is not None):
            raise ValueError("message: give one with on_machine leave_message, and only then")
        return self


class DialState(BaseModel):
    """A call that was placed or waits; ``outcome`` is null until it is over."""

    id: str
    session_id: str
    to: str
    from_: str = Field(alias="from")
    state: str
    outcome: str | None
    attempt: int
    is_last_attempt: bool
    due_at: datetime | None
    answered_by: str | None = Field(
        description="human, voicemail, screener, menu, network, unknown; null: not looked at"
    )


class OptOut(BaseModel):
    """A number that is never to be called again."""

    model_config = ConfigDict(extra="forbid")

    number: str = Field(max_length=40)


class KeysOut(BaseModel):
    """Keys that the other side of a call is to get; ``w`` waits for half a second."""

    model_config = ConfigDict(extra="forbid")

    digits: str = Field(pattern=r"^[0-9*#A-Dw]{1,64}$")


class Transfer(BaseModel):
    """Who a call is put through to, by name."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(max_length=40)


class WaitWish(BaseModel):
    """Whether a caller is kept waiting: hears music, and is neither heard nor answered."""

    model_config = ConfigDict(extra="forbid")

    on: StrictBool
