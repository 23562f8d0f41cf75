"""The stored form of every tenant's lines: ``lines.json`` of the folder ``telephony.folder``.

    {"version": 1,
     "fxo": [{"id", "tenant", "receives", "ip", "sip_port", "user", "password_ref", "ports",
              "codec", "dids", "country", "number_form", "dial_template"}],
     "trunks": [{"id", "tenant", "receives", "host", "port", "transport", "user", "password_ref",
                 "caller_id", "auth", "match", "dids", "country", "number_form", "dial_template"}]}

No password stands in it: ``password_ref`` is ``file:ID`` or ``env:NAME``, '' for none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from penny.errors import ProtocolError
from penny.telephony.e164 import country_of
from penny.telephony.number_forms import NUMBER, Country, DialTemplate, NumberForm, dialled
from penny.telephony.reception import (
    PASSWORD_ENV,
    CarrierGradeConfig,
    Did,
    DIDNumber,
    FXOGatewayConfig,
    GatewayUser,
    Numbering,
    TelephonyReception,
)


Json = dict[str, Any]

NOT_ASKED = {"dids", "receives", "country", "number_form", "dial_template"}
"""Of a line: what no test of the connection asks."""
PASSWORD_REF = re.compile(r"|file:[a-z0-9-]{1,24}|env:PENNY_[A-Z0-9_]{0,40}PASSWORD")


class Line(BaseModel):
    """What an FXO gateway and a trunk share. ``id``: of its sections in Asterisk's files."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str = Field(pattern=r"^[a-z0-9-]{1,24}$")
    tenant: str
    receives: bool
    user: str
    password_ref: str = Field(pattern=f"^({PASSWORD_REF.pattern})$")
    dids: tuple[DIDNumber, ...]
    country: Country = ""
    number_form: NumberForm = "+e164"
    dial_template: DialTemplate = NUMBER

    def dialled(self, number: str) -> str:
        """A number in E.164 as this line rings it."""
        return dialled(number, self.number_form, self.dial_template, self.country)

    @property
    def home(self) -> str:
        """The country of numbers without a code: its own, else that of its first whole number."""
        whole = (country_of(did.number) for did in self.dids if did.number.startswith("+"))
        return self.country or next(filter(None, whole), "")

    def fingerprint(self) -> str:
        """Changes with all that a test of the connection asks; numbers are none of it."""
        told = self.model_dump_json(exclude=NOT_ASKED)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def numbers(self) -> list[str]:
        """The numbers that are answered."""
        return [did.number for did in self.dids if did.active]


class Fxo(Line):
    """A gateway with analogue lines; it registers with Asterisk. ``ports``: calls at once."""

    ip: str
    sip_port: int
    user: GatewayUser
    ports: int
    codec: Literal["ulaw", "alaw", "g729"]


class Trunk(Line):
    """A carrier's trunk. ``match``: the addresses that its calls come from."""

    host: str
    port: int
    transport: Literal["udp", "tcp", "tls"]
    caller_id: Did | Literal[""]
    auth: Literal["register", "ip_auth"]
    match: tuple[str, ...]


class Lines(BaseModel):
    """Every tenant's lines. Immutable: a change makes another."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Literal[1] = 1
    fxo: tuple[Fxo, ...] = ()
    trunks: tuple[Trunk, ...] = ()

    def of(self, tenant: str) -> tuple[Fxo | None, Trunk | None]:
        """A tenant's gateway and trunk."""
        fxo = next((line for line in self.fxo if line.tenant == tenant), None)
        trunk = next((line for line in self.trunks if line.tenant == tenant), None)
        return fxo, trunk

    def receiving(self) -> Iterator[Fxo | Trunk]:
        """Those that calls come from."""
        lines: tuple[Fxo | Trunk, ...] = (*self.fxo, *self.trunks)
        return (line for line in lines if line.receives)

    def receiving_of(self, tenant: str) -> Fxo | Trunk | None:
        """The line that a tenant's calls come from."""
        return next((line for line in self.receiving() if line.tenant == tenant), None)

    def with_reception(
        self, tenant: str, reception: TelephonyReception, *, is_house: bool = False
    ) -> Lines:
        """These lines, a tenant's being as it says. An empty password keeps the one it has.

        Args:
            is_house: any variable of the environment may be a password, not the tenant's alone.

        Raises:
            ProtocolError: a number or an address is another tenant's, or a line that registers has
                no password.
        """
        fxo, trunk = self.of(tenant)
        others: list[Fxo] = [line for line in self.fxo if line.tenant != tenant]
        other_trunks = [line for line in self.trunks if line.tenant != tenant]
        taken = {number for line in (*others, *other_trunks) for number in line.numbers}
        method, chosen = reception.method, reception.chosen
        for part in ("fxo_gateway", "carrier_grade"):
            if not is_house and (told := getattr(reception, part)) is not None:
                _check_variable(f"{part}.password", told.password, tenant)
        for index, did in enumerate(chosen.dids if chosen is not None else ()):
            if did.active and did.number in taken:
                field = f"{method}.dids.{index}.number"
                reason = f"{field}: this number is another tenant's"
                raise ProtocolError(reason, code="taken", field=field)
        theirs = [line.ip for line in others]
        theirs += [each for line in other_trunks for each in (line.host, *line.match)]
        if (gateway := reception.fxo_gateway) is not None:
            _check_apart("fxo_gateway.ip", gateway.ip, theirs)
            if gateway.user in {line.user for line in others}:
                field = "fxo_gateway.user"
                reason = f"{field}: another tenant's gateway has it"
                raise ProtocolError(reason, code="taken", field=field)
            name = fxo.id if fxo is not None else _free("fxo", self.fxo)
            fxo = _fxo(name, tenant, gateway, fxo, receives=method == "fxo_gateway")
        elif fxo is not None:
            fxo = fxo.model_copy(update={"receives": False})
        if (carrier := reception.carrier_grade) is not None:
            shared = {each for line in other_trunks for each in (line.host, *line.match)}
            _check_apart("carrier_grade.host", carrier.host, theirs, shared)
            for index, network in enumerate(carrier.match):
                _check_apart(f"carrier_grade.match.{index}", network, theirs, shared)
            name = trunk.id if trunk is not None else _free("trunk", self.trunks)
            trunk = _trunk(name, tenant, carrier, trunk, receives=method == "carrier_grade")
        elif trunk is not None:
            trunk = trunk.model_copy(update={"receives": False})
        return Lines(
            fxo=(*others, *([fxo] if fxo is not None else [])),
            trunks=(*other_trunks, *([trunk] if trunk is not None else [])),
        )

    def reception_of(self, tenant: str) -> TelephonyReception:
        """A tenant's lines as its page shows them, without passwords."""
        fxo, trunk = self.of(tenant)
        method: Literal["", "fxo_gateway", "carrier_grade"] = ""
        gateway = carrier = None
        if fxo is not None:
            method = "fxo_gateway" if fxo.receives else method
            gateway = FXOGatewayConfig(
                ip=fxo.ip,
                sip_port=fxo.sip_port,
                user=fxo.user,
                fxo_ports=fxo.ports,
                codec=fxo.codec,
                dids=list(fxo.dids),
                **_numbering(fxo),
            )
        if trunk is not None:
            method = "carrier_grade" if trunk.receives else method
            carrier = CarrierGradeConfig(
                host=trunk.host,
                user=trunk.user,
                outbound_caller_id=trunk.caller_id,
                auth_type=trunk.auth,
                dids=list(trunk.dids),
                port=trunk.port,
                transport=trunk.transport,
                match=list(trunk.match),
                **_numbering(trunk),
            )
        return TelephonyReception(method=method, fxo_gateway=gateway, carrier_grade=carrier)


def _check_apart(
    field: str, address: str, theirs: Iterable[str], shared: Collection[str] = ()
) -> None:
    """Asterisk knows a line by the address that a call comes from: no two tenants may have one
    that is of both, but trunks of one carrier at the very same address: the number called tells
    theirs apart.

    Names are compared as they are written; what they lead to is not asked.
    """
    network = _network(address)
    for other in theirs:
        known = _network(other)
        is_same = address == other or (network is not None and network == known)
        if is_same and other in shared:
            continue
        is_of_both = network is not None and known is not None and network.overlaps(known)
        if is_of_both or address == other:
            reason = "calls from there are another tenant's: Asterisk could not tell them apart"
            raise ProtocolError(f"{field}: {reason}", code="taken", field=field)


def _network(address: str) -> IPv6Network | None:
    """Of an address or a network, those of IPv4 as IPv6 maps them; None for a host's name."""
    try:
        found = ip_network(address, strict=False)
    except ValueError:
        return None
    if isinstance(found, IPv4Network):
        return IPv6Network(f"::ffff:{found.network_address}/{96 + found.prefixlen}")
    return found


def _fxo(
    name: str, tenant: str, told: FXOGatewayConfig, known: Fxo | None, *, receives: bool
) -> Fxo:
    ref = _password_ref(name, told.password, known)
    if not ref:
        field = "fxo_gateway.password"
        raise ProtocolError(f"{field}: the gateway registers with one: write it", field=field)
    return Fxo(
        id=name,
        tenant=tenant,
        receives=receives,
        user=told.user,
        password_ref=ref,
        dids=tuple(told.dids),
        ip=told.ip,
        sip_port=told.sip_port,
        ports=told.fxo_ports,
        codec=told.codec,
        **_numbering(told),
    )


def _trunk(
    name: str, tenant: str, told: CarrierGradeConfig, known: Trunk | None, *, receives: bool
) -> Trunk:
    ref = _password_ref(name, told.password, known)
    field = "carrier_grade.password"
    is_kept = known is not None and bool(known.password_ref) and not told.password
    if is_kept and _server(told) != _server(known):
        # It was meant for that server: who may not read it may not have it sent to another.
        raise ProtocolError(f"{field}: host, port or user is new: write it again", field=field)
    if not ref and told.auth_type == "register":
        raise ProtocolError(f"{field}: Penny registers with one: write it", field=field)
    return Trunk(
        id=name,
        tenant=tenant,
        receives=receives,
        user=told.user,
        password_ref=ref,
        dids=tuple(told.dids),
        host=told.host,
        port=told.port,
        transport=told.transport,
        caller_id=told.outbound_caller_id,
        auth=told.auth_type,
        match=tuple(told.match),
        **_numbering(told),
    )


def _numbering(line: Line | Numbering) -> Json:
    names = ("country", "number_form", "dial_template")
    return {name: getattr(line, name) for name in names}


def _server(trunk: CarrierGradeConfig | Trunk | None) -> tuple[str, int, str] | None:
    return (trunk.host, trunk.port, trunk.user) if trunk is not None else None


def _check_variable(field: str, password: str, tenant: str) -> None:
    """Raises ProtocolError where a password names a variable that is not this tenant's."""
    own = f"PENNY_{re.sub('[^A-Z0-9]', '_', tenant.upper())}_PASSWORD"
    found = PASSWORD_ENV.fullmatch(password)
    if found and found[1] != own:
        reason = f"write the password, or env:{own}: other variables are for who runs this Penny"
        raise ProtocolError(f"{field}: {reason}", field=field)


def _password_ref(name: str, password: str, known: Line | None) -> str:
    if not password:
        return known.password_ref if known is not None else ""
    return password if PASSWORD_ENV.fullmatch(password) else f"file:{name}"


def _free(kind: str, lines: tuple[Line, ...]) -> str:
    taken = {line.id for line in lines}
    return next(f"{kind}-{n}" for n in range(1, len(taken) + 2) if f"{kind}-{n}" not in taken)
