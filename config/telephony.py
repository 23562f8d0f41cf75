"""``telephony``: called numbers, carriers, and what each tenant may dial."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from config.modes import ModeName
from kb.settings import ZoneName
from penny.section import Section, check_http_address, key_error


def _check_number(number: str) -> str:
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
        raise ValueError("write a number as +34910000000: country code, digits alone")
    return number


def _check_prefix(prefix: str) -> str:
    if not re.fullmatch(r"\+[1-9][0-9]{0,14}", prefix):
        raise ValueError("write the beginning of numbers as +34 or +3491")
    return prefix


E164 = Annotated[str, AfterValidator(_check_number)]
Prefix = Annotated[str, AfterValidator(_check_prefix)]
CompanyName = Annotated[str, Field(min_length=1, max_length=80, pattern=r"\w")]
PlaceName = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]


class FallbackSection(Section):
    """What a caller gets when the call cannot be answered: it needs no model and no place."""

    say: str = Field("", max_length=1000, description="spoken by the carrier's own voice")
    transfer: PlaceName | None = Field(
        None, description="name in telephony.dialing.<tenant>.transfers that is put through to"
    )

    @property
    def is_any(self) -> bool:
        return bool(self.say or self.transfer)


class NumberSection(Section):
    """One called number: whose it is and what answers."""

    tenant: str = Field("default", description="whose sessions its calls are")
    mode: ModeName | None = Field(None, description="mode that answers; null is the default")
    language: Literal["es", "en"] | None = Field(None, description="null is session.language")
    greeting: str | None = Field(
        None, max_length=500, description="what is said first; null is session.greeting"
    )
    actions: tuple[str, ...] = Field((), description="actions of actions.table that calls may use")
    fallback: FallbackSection = Field(
        FallbackSection(), description="where no session can be opened"
    )


class DialingSection(Section):
    """What a tenant may dial. Without prefixes nothing."""

    prefixes: tuple[Prefix, ...] = Field((), description="beginnings of numbers it may dial")
    caller_ids: tuple[E164, ...] = Field((), description="its own numbers, the first unless named")
    transfers: dict[PlaceName, E164] = Field(
        default_factory=dict,
        description="name of a person or queue: its number; the destination of actions' handoff",
    )
    at_once: int = Field(2, ge=1, description="calls under way at a time")
    per_minute: int = Field(10, ge=1, description="calls placed a minute")
    per_day: int = Field(200, ge=1, description="calls placed a day")
    attempts: int = Field(3, ge=1, description="calls to one number a day")
    ring_s: int = Field(25, ge=15, le=120, description="rung for so long before it is no answer")
    max_s: int = Field(1800, ge=30, le=14_400, description="longest call, kept by the carrier too")
    retry_no_answer_min: int = Field(
        120, ge=1, description="minutes to the next attempt after no answer"
    )
    retry_busy_min: int = Field(15, ge=1, description="minutes to the next attempt after busy")
    alarm_answer_rate: float = Field(
        0.2, ge=0, le=1, description="a caller id whose calls are answered less often is told of"
    )
    alarm_short_share: float = Field(
        0.3, ge=0, le=1, description="so is one with more calls below 10 s among those answered"
    )
    timezone: ZoneName = Field(
        "Europe/Madrid", description="of per_day, and of numbers that tell no zone by themselves"
    )
    from_hour: int = Field(9, ge=0, le=23, description="nobody is called before, by their own time")
    to_hour: int = Field(21, ge=1, le=24, description="nor from then on")
    weekends: bool = Field(False, description="whether Saturdays and Sundays are days for calls")
    holidays: bool = Field(False, description="whether public holidays are days for calls")
    region: str = Field(
        "",
        pattern=r"^[A-Z0-9]{0,3}$",
        description="whose holidays count for numbers that tell no region: MD, CN (ISO 3166-2)",
    )
    opt_out_key: str = Field(
        "", pattern=r"^[0-9*]{0,4}$", description="keyed in a call it means: no more calls; '' none"
    )
    do_not_call: Path | None = Field(
        None, description="file of numbers, one a line, that are never called"
    )
    sector: Literal["", "energia"] = Field(
        "", description="energia: commercial calls at the customer's own request alone"
    )
    exclusions: tuple[PlaceName, ...] = Field(
        (), description="exclusion lists, imported, that commercial calls keep to; none allows none"
    )

    @model_validator(mode="after")
    def _hours_are_in_order(self) -> Self:
        if self.from_hour >= self.to_hour:
            raise key_error("to_hour", f"must be later than from_hour ({self.from_hour})")
        return self


class TwilioSection(Section):
    """``telephony.twilio``: calls by Twilio's Media Streams."""

    enabled: bool = Field(False, description="take its webhooks and streams")
    account_sid: str = Field("", description="AC…, of the account whose calls are taken")
    auth_token_env: str = Field(
        "TWILIO_AUTH_TOKEN", description="variable that holds the auth token"
    )
    public_url: str = Field("", description="https address under which Twilio reaches this gateway")
    api_url: str = Field("https://api.twilio.com", description="its REST API")
    machine_detection: Literal["off", "enable", "message_end"] = Field(
        "off", description="Twilio's own, beside Penny's, for calls that ask who answers"
    )
    unsigned_streams: bool = Field(
        False,
        description="take streams without a signature by their one-time token alone, from bridges "
        "that sign none",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.enabled:
            return self
        if not re.fullmatch(r"AC[0-9a-f]{32}", self.account_sid):
            raise key_error("account_sid", "write the account's SID, AC and 32 hexadecimal digits")
        parts = urlsplit(self.public_url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
            raise key_error("public_url", "write https://HOST, as Twilio is told to reach it")
        check_http_address(self.api_url, "https://api.twilio.com", "set the auth token's variable")
        return self


def _check_gateway_url(url: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]/_-]+", url):
        raise ValueError("write http://127.0.0.1:8080, where Penny listens")
    return check_http_address(url, "http://127.0.0.1:8080, where Penny listens", "none is needed")


def _check_sound(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9/_-]{1,80}", name):
        raise ValueError("write a sound's name as Asterisk does, without its ending")
    return name


def _check_dial(target: str) -> str:
    if target and not re.fullmatch(r"[A-Za-z0-9]+/[A-Za-z0-9@/_.+-]{1,80}", target):
        raise ValueError("write TECHNOLOGY/TARGET, such as PJSIP/200 or Local/queue@office")
    return target


def _check_address(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        raise ValueError("write an IP address of this machine") from None


Dial = Annotated[str, AfterValidator(_check_dial)]
ExtensionName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,39}$")]


class AriSection(Section):
    """``telephony.asterisk.ari``: Asterisk's REST interface, by which calls are placed."""

    url: str = Field("", description="its HTTP server, such as http://127.0.0.1:8088; '' is none")
    user: str = Field("penny", description="of ari.conf")
    password_env: str = Field("PENNY_ARI_PASSWORD", description="variable with the password")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.url:
            check_http_address(self.url, "http://127.0.0.1:8088", "set the password's variable")
        return self


class AsteriskSection(Section):
    """``telephony.asterisk``: the wire by which Asterisk brings calls, and its dialplan."""

    enabled: bool = Field(False, description="take calls of an Asterisk")
    wire: Literal["websocket", "audiosocket"] = Field(
        "audiosocket",
        description="websocket: chan_websocket, 20.18, 22.8, 23.2 and later; audiosocket: any",
    )
    host: Annotated[str, AfterValidator(_check_address)] = Field(
        "127.0.0.1", description="address that AudioSocket listens on"
    )
    port: int = Field(9019, ge=0, le=65535, description="its port; 0 takes a free one")
    gateway_url: Annotated[str, AfterValidator(_check_gateway_url)] = Field(
        "http://127.0.0.1:8080", description="where Asterisk finds Penny"
    )
    mode: ModeName | None = Field(None, description="mode of phone calls; null is the default one")
    max_call_s: int = Field(3600, ge=60, le=14_400, description="Asterisk ends a call after this")
    fallback_sound: Annotated[str, AfterValidator(_check_sound)] = Field(
        "", description="sound that Asterisk plays where Penny is away, such as custom/penny-away"
    )
    fallback_dial: Dial = Field(
        "", description="who is rung then, and after a hand-off: PJSIP/200, Local/queue@office"
    )
    transfers: dict[ExtensionName, Dial] = Field(
        default_factory=dict, description="destination of a hand-off: who is rung"
    )
    group: str = Field(
        "", description="Unix group that may read the files; '' is Penny's user alone"
    )
    ari: AriSection = Field(AriSection(), description="Asterisk's REST interface")
    command: tuple[str, ...] = Field(
        (), description="runs Asterisk's console commands: [asterisk, -rx]; [] reloads nothing"
    )


class TelephonySection(Section):
    """``telephony``: callers on the telephone, and calls that are placed."""

    folder: Path = Field(
        Path("var/telephony"), description="what /telephony saves: numbers, passwords, files"
    )
    probe_loopback: bool = Field(
        False, description="a test of the connection may ask this machine itself"
    )
    companies: dict[str, CompanyName] = Field(
        default_factory=dict, description="tenant: the company that its callers hear first"
    )
    hold_music: Path | None = Field(
        None, description="WAV file that callers on hold hear again and again; null is a soft tone"
    )
    numbers: dict[E164, NumberSection] = Field(
        default_factory=dict, description="called number: whose it is and what answers"
    )
    dialing: dict[str, DialingSection] = Field(
        default_factory=dict, description="tenant: what it may dial; without an entry nothing"
    )
    twilio: TwilioSection = Field(TwilioSection(), description="calls by Twilio")
    asterisk: AsteriskSection = Field(AsteriskSection(), description="calls through an Asterisk")

    @model_validator(mode="after")
    def _fallbacks_lead_somewhere(self) -> Self:
        for number, section in self.numbers.items():
            name = section.fallback.transfer
            if name is not None and self.number_of(section.tenant, name) is None:
                raise key_error(
                    f"numbers.{number}.fallback.transfer",
                    f"'{name}' stands not in telephony.dialing.{section.tenant}.transfers",
                )
        return self

    def dialing_of(self, tenant: str) -> DialingSection:
        """What a tenant may dial; nothing, where it has no entry."""
        return self.dialing.get(tenant) or DialingSection()

    def number_of(self, tenant: str, name: str) -> str | None:
        """The number behind a name of a person or queue; None where the tenant has none."""
        return self.dialing_of(tenant).transfers.get(name)
