"""How phone calls are received, as the page and ``/api/config/telephony`` tell it. Pure.

Two methods: an FXO gateway with a company's analogue lines, or a carrier's SIP trunk. Every text is
checked for what it becomes in Asterisk's files: whatever a field holds, it ends no line or section.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from penny.errors import ProtocolError
from penny.section import key_error
from penny.telephony.number_forms import NUMBER, Country, DialTemplate, NumberForm


Json = dict[str, Any]
ShapeT = TypeVar("ShapeT", bound="_Shape")
Method = Literal["fxo_gateway", "carrier_grade"]

TOLD_ONLY = frozenset({"state", "password_state", "warnings", "refused"})
"""What ``GET`` tells beside the configuration; a page that sends it back changes nothing by it."""
DID = re.compile(r"\+?[0-9]{2,15}")
USER = re.compile(r"[A-Za-z0-9._+~-]{1,64}")
GATEWAY_USER = re.compile(r"(?!(?:fxo|trunk)-)[A-Za-z0-9_-]{1,40}")
"""It names a section of ``pjsip.conf``: none that lines have of their own."""
HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
PASSWORD_ENV = re.compile(r"env:(PENNY_[A-Z0-9_]{0,40}PASSWORD)")
"""A password that stands in the environment; other variables are none of a phone line's."""
MAX_PASSWORD_CHARS = 128
MAX_DIDS = 500


def _check_did(number: str) -> str:
    if not DID.fullmatch(number):
        raise ValueError("write digits, with + before the country (+525512345678): 2 to 15")
    return number


def _check_label(label: str) -> str:
    if not label.isprintable() or len(label) > 60:
        raise ValueError("write at most 60 characters on one line")
    return label


def _check_user(user: str) -> str:
    if not USER.fullmatch(user):
        raise ValueError("write letters, digits and . _ + ~ - (1 to 64)")
    return user


def _check_gateway_user(user: str) -> str:
    if not GATEWAY_USER.fullmatch(user):
        raise ValueError("write letters, digits, _ and - (1 to 40), not fxo-… or trunk-…")
    return user


def _check_host(host: str) -> str:
    try:
        if "%" in host:
            raise ValueError("a zone (fe80::1%eth0) may hold anything")
        return str(ip_address(host))
    except ValueError:
        labels = host.rstrip(".").split(".")
        if len(host) > 253 or not all(HOST_LABEL.fullmatch(label) for label in labels):
            raise ValueError("write a host name or an IP address, without sip: or port") from None
        if labels[-1].isdigit():  # 10.0.0.300 is no name
            raise ValueError("write a host name or an IP address") from None
        return host.lower().rstrip(".")


def _check_password(password: str) -> str:
    if len(password) > MAX_PASSWORD_CHARS:
        raise ValueError(f"a password has at most {MAX_PASSWORD_CHARS} characters")
    if not password.isprintable() or password != password.strip():
        raise ValueError("a password has no line breaks, no control characters, no outer spaces")
    if "\\;" in password:
        raise ValueError("Asterisk cannot read a password with \\; in it: choose another")
    return password


def _check_network(network: str) -> str:
    try:
        found = ip_network(network, strict=False)
    except ValueError:
        raise ValueError("write an IP address, or a network such as 203.0.113.0/24") from None
    if found.prefixlen < (8 if found.version == 4 else 16):
        raise ValueError("this network is most of the Internet: write the carrier's own addresses")
    return str(found)


Host = Annotated[str, AfterValidator(_check_host)]
GatewayUser = Annotated[str, AfterValidator(_check_gateway_user)]
Password = Annotated[str, AfterValidator(_check_password)]
Did = Annotated[str, AfterValidator(_check_did)]
Port = Annotated[int, Field(ge=1024, le=65535)]
"""SIP is spoken at none below; a test of the connection is no way to ask for one."""


class _Shape(BaseModel):
    """Base of the shape: unknown fields are errors, values are taken as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True)


class DIDNumber(_Shape):
    """A number that callers dial, ``+`` and country before it where the carrier sends it so."""

    number: Did
    label: Annotated[str, AfterValidator(_check_label)] = ""
    active: bool = True


Dids = Annotated[list[DIDNumber], Field(max_length=MAX_DIDS)]


class Numbering(_Shape):
    """In what form a line takes numbers; ``country``: of those that it sends without a code."""

    country: Country = ""
    number_form: NumberForm = "+e164"
    dial_template: DialTemplate = NUMBER

    @model_validator(mode="after")
    def _national_is_of_a_country(self) -> Self:
        if self.number_form == "national" and not self.country:
            raise key_error("country", "the national form is a country's: write it, such as ES")
        return self


class FXOGatewayConfig(Numbering):
    """A gateway with analogue lines that registers with Asterisk as a telephone does.

    ``password``: '' keeps the one that is known, ``env:PENNY_…PASSWORD`` names a variable.
    """

    ip: Host
    sip_port: Port = 5060
    user: GatewayUser = "gateway"
    password: Password = ""
    fxo_ports: Annotated[int, Field(ge=1, le=128)] = 4
    codec: Literal["ulaw", "alaw", "g729"] = "ulaw"
    dids: Dids = []

    @model_validator(mode="after")
    def _ip_is_one(self) -> Self:
        try:
            ip_address(self.ip)
        except ValueError:
            raise key_error("ip", "write the gateway's IP address, not a name") from None
        return self


class CarrierGradeConfig(Numbering):
    """A carrier's SIP trunk; ``match``: the addresses that its calls come from."""

    host: Host
    user: str = ""
    password: Password = ""
    outbound_caller_id: Annotated[str, AfterValidator(lambda it: it and _check_did(it))] = ""
    auth_type: Literal["register", "ip_auth"] = "register"
    dids: Dids = []
    port: Port = 5060
    transport: Literal["udp", "tcp", "tls"] = "udp"
    match: Annotated[
        list[Annotated[str, AfterValidator(_check_network)]], Field(max_length=50)
    ] = []

    @model_validator(mode="after")
    def _is_identified(self) -> Self:
        if self.auth_type == "ip_auth" and not self.match:
            raise key_error("match", "ip_auth knows a carrier by its addresses: write them")
        if self.auth_type == "register" or self.user:
            try:
                _check_user(self.user)
            except ValueError as error:
                raise key_error("user", str(error)) from error
        return self


class TelephonyReception(_Shape):
    """The whole of it. ``method`` '' receives no calls; the other method's part is kept."""

    method: Literal["", "fxo_gateway", "carrier_grade"] = ""
    fxo_gateway: FXOGatewayConfig | None = None
    carrier_grade: CarrierGradeConfig | None = None

    @model_validator(mode="after")
    def _method_is_described(self) -> Self:
        chosen = self.chosen
        if self.method and chosen is None:
            raise key_error(self.method, f"the method is {self.method}: describe it")
        if chosen is not None:
            numbers = [did.number for did in chosen.dids]
            for index, number in enumerate(numbers):
                if number in numbers[:index]:
                    raise key_error(f"{self.method}.dids.{index}.number", "stands here twice")
        return self

    @property
    def chosen(self) -> FXOGatewayConfig | CarrierGradeConfig | None:
        """The part of the method."""
        return getattr(self, self.method) if self.method else None

    def warnings(self) -> list[str]:
        """What may be meant and seldom works, in a sentence each."""
        told = []
        chosen = self.chosen
        if isinstance(chosen, FXOGatewayConfig) and chosen.codec == "g729":
            told.append(
                "g729: Asterisk without the module codec_g729 cannot hear it; the gateway is "
                "offered ulaw and alaw after it"
            )
        if chosen is not None and not any(did.active for did in chosen.dids):
            told.append("dids: no number is active, so no call is answered")
        return told


def read_reception(told: object) -> TelephonyReception:
    """What a page sends. Raises ProtocolError naming the first field that is wrong."""
    return _read(TelephonyReception, _without_told(told))


def read_numbering(told: object) -> Numbering:
    """How numbers are rung, alone. Raises as ``read_reception`` does."""
    return _read(Numbering, told)


def _read(shape: type[ShapeT], told: object) -> ShapeT:
    try:
        return shape.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        inner = first.get("ctx", {}).get("key", "") if first["type"] == "key_error" else ""
        field = ".".join(str(part) for part in (*first["loc"], inner) if part != "")
        reason = first["msg"].removeprefix("Value error, ")
        raise ProtocolError(f"{field or 'body'}: {reason}", field=field or "body") from error


def _without_told(told: object) -> object:
    if not isinstance(told, dict):
        return told
    kept = {key: value for key, value in told.items() if key not in TOLD_ONLY}
    for name in ("fxo_gateway", "carrier_grade"):
        part = kept.get(name)
        if isinstance(part, dict):
            kept[name] = {key: value for key, value in part.items() if key not in TOLD_ONLY}
    return kept
