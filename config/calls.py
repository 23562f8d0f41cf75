"""``calls``: which calls are kept, where, and for how long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from config.modes import HttpUrl, Text
from kb.settings import ZoneName
from penny.aio.allow_list import AllowList
from penny.localized import Localized
from penny.section import Section, key_error


ASKING = ("ask", "announce")
"""Policies under which the caller is told before anything is kept of the sound."""


class NoticeSection(Section):
    """``calls.notice`` and ``tenants.NAME.calls.notice``: what callers are told of recording."""

    controller: str = Field("", description="who answers for what is kept")
    purpose: Text = Field(
        Localized(en="to improve the service", es="mejorar el servicio"),
        description="what it is kept for; {es, en}, or one for both",
    )
    contact: str = Field("", description="where a caller turns to read or erase it")

    @property
    def missing(self) -> str:
        """The first field that is still empty; '' where the notice is whole."""
        return next((name for name in ("controller", "contact") if not getattr(self, name)), "")


def _check_line(number: str) -> str:
    if not re.fullmatch(r"\+?[0-9]{2,15}", number):
        raise ValueError("write a number as the line sends it: +34910000000 or 910000000")
    return number


Line = Annotated[str, AfterValidator(_check_line)]


class Policy(NamedTuple):
    """What is kept of a call, settled when it begins: ``recording`` of its sound, and ``text``."""

    recording: str
    text: bool


class LineCallsSection(Section):
    """``calls.numbers.NUMBER``: what is kept of calls on one of the house's telephone numbers."""

    recording: Literal["off", "ask", "announce", "on"] | None = Field(
        None, description="whether their sound is kept; null is as elsewhere"
    )
    text: bool | None = Field(None, description="whether what is said in them is kept as text")


class TenantCallsSection(Section):
    """``tenants.NAME.calls``: what a tenant wants otherwise; null is as ``calls`` says."""

    recording: Literal["off", "ask", "announce", "on"] | None = Field(
        None, description="whether the sound of its calls is kept"
    )
    text: bool | None = Field(None, description="whether what is said in them is kept as text")
    numbers: dict[Line, LineCallsSection] = Field(
        default_factory=dict, description="what is kept otherwise, by its telephone numbers"
    )
    notice: NoticeSection | None = Field(None, description="what its callers are told of recording")
    timezone: ZoneName | None = Field(
        None, description="in which its days begin and end, in lists and exports"
    )
    keep_sound_days: int | None = Field(None, ge=0, description="days that sound is kept")
    keep_record_days: int | None = Field(
        None, ge=0, description="days that records and texts are kept"
    )


class S3Section(Section):
    """``calls.s3``: the bucket. Its credentials are ``AWS_ACCESS_KEY_ID`` and
    ``AWS_SECRET_ACCESS_KEY`` of the environment, or the machine's role."""

    bucket: str = Field(min_length=3, description="its name")
    region: str = Field("us-east-1", description="where it is")
    endpoint: HttpUrl | None = Field(
        None, description="a server of S3's kind that is not Amazon's; null for Amazon's"
    )
    prefix: str = Field("", description="what the names in it begin with")
    encryption: Literal["AES256", "aws:kms"] | None = Field(
        None, description="asked of the server for each file; null as the bucket has it"
    )
    kms_key_id: str | None = Field(None, description="key of aws:kms; null for S3's own")
    checksums: bool = Field(
        True, description="send SHA-256 along; false for servers that do not know it"
    )

    @property
    def host(self) -> str:
        """Where the sound goes."""
        told = urlsplit(self.endpoint or "").hostname
        return told or f"s3.{self.region}.amazonaws.com"

    @property
    def port(self) -> int:
        parts = urlsplit(self.endpoint or "")
        return parts.port or (80 if parts.scheme == "http" else 443)


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
    storage: Literal["local", "s3", "both"] = Field(
        "local", description="where the sound of ended calls lies"
    )
    s3: S3Section | None = Field(None, description="the bucket of storage s3 and both")
    recording: Literal["off", "auto", "ask", "announce", "on"] = Field(
        "auto",
        description="keep the sound; auto: only of callers on this machine while no key exists; "
        "ask: nothing before the caller's yes; announce: they are told first",
    )
    text: bool = Field(
        True, description="keep what is said as text; without it a record has times alone"
    )
    numbers: dict[Line, LineCallsSection] = Field(
        default_factory=dict,
        description="what is kept otherwise, by the house's telephone numbers as their lines send "
        "them",
    )
    notice: NoticeSection = Field(NoticeSection(), description="what callers are told of recording")
    timezone: ZoneName = Field(
        "Europe/Madrid", description="in which days begin and end, in lists and exports"
    )
    keep_sound_days: int | None = Field(
        90, ge=0, description="days that sound is kept; null for ever"
    )
    keep_record_days: int | None = Field(
        365, ge=0, description="days that records and texts are kept; null for ever"
    )

    @model_validator(mode="after")
    def _a_bucket_is_named(self) -> Self:
        if self.storage != "local" and self.s3 is None:
            raise key_error("s3", f"storage '{self.storage}' needs a bucket: write s3.bucket")
        return self

    @property
    def bucket(self) -> S3Section | None:
        """Where sound goes beyond this machine; None where it stays."""
        return self.s3 if self.storage != "local" else None

    def refusal(self, allowed_hosts: tuple[str, ...]) -> tuple[str, str]:
        """Which key would take private calls to a host they may not reach, and why; '' for none."""
        database, allowed = urlsplit(self.url), AllowList(allowed_hosts)
        hosts = [("url", database.hostname, database.port or 5432)]
        if self.bucket is not None:
            hosts.append(("s3", self.bucket.host, self.bucket.port))
        for key, host, port in hosts:
            if host is not None and not allowed.allows(host, port):
                return key, (
                    f"private calls would be written to {host}; put it into "
                    "privacy.allowed_hosts, or keep calls on this machine"
                )
        return "", ""

    def timezone_of(self, own: TenantCallsSection) -> str:
        """The time zone of a tenant with that section."""
        return own.timezone or self.timezone

    def policy(self, own: TenantCallsSection, number: str = "") -> Policy:
        """What is kept of a call of the tenant with that section, on that number of its."""
        stated = [each for each in (own.numbers.get(number), self.numbers.get(number), own) if each]
        recording = next((each.recording for each in stated if each.recording), self.recording)
        text = next((each.text for each in stated if each.text is not None), self.text)
        return Policy(recording, text)

    def unannounced(self, own: TenantCallsSection) -> str:
        """What is missing of the notice that this policy needs, as a key; '' where it is whole."""
        notice = own.notice or self.notice
        numbers = ("", *own.numbers, *self.numbers)
        is_told = any(self.policy(own, number).recording in ASKING for number in numbers)
        missing = notice.missing if is_told else ""
        return f"notice.{missing}" if missing else ""
