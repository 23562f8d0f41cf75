"""The CRM at both ends of a call: who is it, before anything is said; what came of it, after.

A look-up that is not there in time is not there at all: the call begins without it. Notes are
deliveries of the webhooks' outbox, whose receiver is the CRM.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import structlog
from pydantic import SecretStr

from config.credentials import read_secret
from config.crm import CrmSection
from config.schema import Config
from config.webhooks import LOOPBACK, check_url
from penny.aio.allow_list import AllowList
from penny.calls.record import Call
from penny.crm.crm import Caller, Contact, Crm, CrmUnavailable, Note
from penny.crm.generic import HttpCrm
from penny.crm.http import CrmHttp
from penny.crm.inbound import Inbound
from penny.crm.note import write_note
from penny.crm.pace import Pace
from penny.crm.people import match
from penny.crm.twenty import Twenty
from penny.errors import ConfigError, ProtocolError
from penny.session.mode import Mode, SessionSpec
from penny.telephony.e164 import read_number
from penny.trust.addresses import check_address
from penny.trust.public_http import name_of
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import Event
from penny.webhooks.policy import Answer
from penny.webhooks.sample import CALL_ID


log = structlog.get_logger()

Json = dict[str, Any]

HOUSE = "house"
URL = "TWENTY_CRM_URL"
PRIVATE = "SELF_HOSTED"
KNOWN = "crm"
"""Key of a session's context under which a model finds what the CRM knows."""
CONCURRENCY = 2
"""Notes that are written at once."""
REMEMBERED = 1000
"""Contacts, and those of sessions that have not begun."""
REMEMBERED_S = 60.0
"""Another gateway hears of a change by the CRM's webhook; this one knows by then anyway."""
ENDS = frozenset({"call.ended", "call.failed", "analysis.completed"})
GetCall = Callable[[str], Awaitable[Call | None]]


class CrmDesk:
    """One CRM, for the house or for one tenant.

    Args:
        may_hear_private: whether ``privacy`` lets private calls be told there.
        get_call: a kept call by its id. Raises StoreUnavailable.
        clock: monotonic, seconds.
    """

    def __init__(
        self,
        crm: Crm,
        section: CrmSection,
        get_call: GetCall,
        clock: Callable[[], float],
        *,
        may_hear_private: bool,
    ) -> None:
        self.crm = crm
        self.section = section
        self.may_hear_private = may_hear_private
        self._get_call = get_call
        self._clock = clock
        self._known: OrderedDict[Caller, tuple[float, Contact]] = OrderedDict()
        self.fault = ""
        """Why callers are not looked up; '' while they are."""
        self.counts: dict[str, int] = {}
        """Look-ups, by what came of them: found, several, unknown, late, failed, remembered."""

    @property
    def wait_s(self) -> float:
        """Most that a call waits for a look-up."""
        return self.section.wait_ms / 1000

    async def find(self, caller: Caller) -> Contact | None:
        """Who calls; None where that is not known in time. Never raises."""
        wait_s, began_s = self.wait_s, self._clock()
        if not wait_s or not caller:
            return None
        if caller in self._known and self._known[caller][0] > began_s - REMEMBERED_S:
            return self._count("remembered", self._known[caller][1])
        try:
            async with asyncio.timeout(wait_s):
                found = await self.crm.find(caller)
        except TimeoutError:
            self._note_fault("it does not answer in time")
            return self._count("late", None)
        except CrmUnavailable as error:
            self._note_fault(error.message)
            return self._count("failed", None)
        except Exception as error:
            log.exception("crm_look_up_failed")
            self._note_fault(type(error).__name__)
            return self._count("failed", None)
        self._note_fault("")
        people = match(found, caller, self.section.region)
        took_ms = round((self._clock() - began_s) * 1000)
        contact = Contact(people, self.crm.name, took_ms)
        self._known[caller] = began_s, contact
        self._known.move_to_end(caller)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return self._count(contact.status, contact)

    def forget(self, ids: frozenset[str]) -> None:
        """People or companies with these ids have changed; an unknown caller may be known now."""
        for caller, (_, contact) in list(self._known.items()):
            people = contact.people
            if not people or any(ids & {each.id, each.company_id} for each in people):
                del self._known[caller]

    def _note_fault(self, reason: str) -> None:
        if reason and not self.fault:
            log.warning("crm_unavailable", crm=self.crm.name, reason=reason)
        elif self.fault and not reason:
            log.info("crm_answers_again", crm=self.crm.name)
        self.fault = reason

    def _count(self, what: str, contact: Contact | None) -> Contact | None:
        self.counts[what] = self.counts.get(what, 0) + 1
        return contact

    async def deliver(self, event: Event) -> Answer:
        """Write the note of a call that is over; written again, it is one note."""
        if event.call_id == CALL_ID:
            return await self.crm.check()
        if event.type == "analysis.completed" and event.data.get("status") != "completed":
            return Answer(204, body="nothing new is known of the call")
        call = await self._get_call(event.call_id)
        note = self.note_of(call) if call is not None else None
        if note is None:
            return Answer(204, body="there is nobody to write a note on")
        self.forget(frozenset(filter(None, (note.person_id, note.company_id))))
        return await self.crm.write(note)

    def note_of(self, call: Call) -> Note | None:
        """The note of a call, as it is kept."""
        return write_note(call, self.section.call_url, creates=self.section.create_contacts)


class CrmDesks:
    """The desks of a gateway: a tenant's own, or the house's.

    Raises:
        ConfigError: a CRM's address leads inward, or its key is not set.
    """

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        get_call: GetCall,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._desks: dict[str, tuple[CrmDesk, CrmHttp]] = {}
        self._inbound: dict[str, Inbound] = {}
        self._own = frozenset(name for name, each in config.tenants.items() if each.crm)
        self._found: dict[str, Contact] = {}
        allowed = AllowList(config.privacy.allowed_hosts)
        for name, section in _sections(config):
            if section.kind == "none":
                continue
            place = "crm" if name == HOUSE else f"tenants.{name}.crm"
            pace = Pace(section.requests_per_minute)
            url, secret_key, is_inward = _where(section, place, environment, allowed)
            http = CrmHttp(url, secret_key, pace, clock, wall_clock, is_inward=is_inward)
            crm: Crm = Twenty(http, section.region)
            if section.kind == "http" and section.http is not None:
                crm = HttpCrm(http, section.http, section.region)
            desk = CrmDesk(crm, section, get_call, clock, may_hear_private=is_inward)
            self._desks[name] = desk, http
            if section.webhook_secret:
                secret = read_secret(section.webhook_secret, environment)
                if secret is None:
                    key = f"{place}.webhook_secret"
                    raise ConfigError(f"{key}: {section.webhook_secret} is not set", key=key)
                self._inbound[name] = Inbound(secret, desk.forget)

    def __bool__(self) -> bool:
        return bool(self._desks)

    async def aclose(self) -> None:
        """Close every CRM's connections."""
        for desk, _ in self._desks.values():
            await desk.crm.aclose()

    def inbound(self, name: str) -> Inbound | None:
        """What takes the webhooks of the house's CRM, or a tenant's; None where none are taken."""
        return self._inbound.get(name)

    def desk_of(self, tenant: str) -> CrmDesk | None:
        """The desk of a tenant's calls; None where it has no CRM."""
        found = self._desks.get(tenant if tenant in self._own else HOUSE)
        return found[0] if found is not None else None

    def receivers(self) -> dict[str, Endpoint]:
        """The CRMs as receivers of the outbox, by names that no webhook can have."""
        return {
            f"crm:{name}"[:48]: Endpoint(
                f"crm:{name}"[:48],
                http.url,
                (),
                ENDS,
                frozenset() if name == HOUSE else frozenset({name}),
                except_tenants=self._own if name == HOUSE else frozenset(),
                concurrency=CONCURRENCY,
                may_hear_private=desk.may_hear_private,
                deliver=desk.deliver,
                is_busy=http.is_busy,
            )
            for name, (desk, http) in self._desks.items()
        }

    async def know(self, mode: Mode, spec: SessionSpec) -> SessionSpec:
        """The wishes of a session with what the CRM knows of its caller (``Broker.prepare``)."""
        desk = self.desk_of(spec.tenant)
        is_barred = mode.name == PRIVATE and desk is not None and not desk.may_hear_private
        if desk is None or is_barred or spec.kind != "realtime":
            return spec
        contact = self._found.get(spec.session_id) or await desk.find(caller_of(spec))
        if contact is None:
            return spec
        while len(self._found) >= REMEMBERED:
            del self._found[next(iter(self._found))]
        self._found[spec.session_id] = contact
        told = contact.told(spec.language)
        return spec if told is None else replace(spec, context={**spec.context, KNOWN: told})

    def take(self, session_id: str, tenant: str, number: str) -> Json | None:
        """What is kept of a session's contact, once."""
        contact, desk = self._found.pop(session_id, None), self.desk_of(tenant)
        if contact is None or desk is None:
            return None
        return {**contact.record(), "number": read_number(number, desk.section.region)}

    def fault(self) -> str:
        """What is wrong with a CRM, for the operator; ''."""
        wrong = (f"{name}: {desk.fault}" for name, (desk, _) in self._desks.items() if desk.fault)
        told = "; ".join(wrong)
        return f"the CRM of {told}" if told else ""

    def counts(self) -> dict[tuple[str, str], int]:
        """Look-ups by desk and what came of them."""
        return {
            (name, what): count
            for name, (desk, _) in self._desks.items()
            for what, count in desk.counts.items()
        }


def caller_of(spec: SessionSpec) -> Caller:
    """Who a session's other side is, as its edge and its application know."""
    context = spec.context
    side = "callee" if context.get("direction") == "outbound" else "caller"
    number = context.get(f"{side}_e164") or context.get(side)
    texts = (number, context.get("email"), context.get("user_id"))
    return Caller(*(str(text or "")[:256] for text in texts))


def _sections(config: Config) -> Iterable[tuple[str, CrmSection]]:
    yield HOUSE, config.crm
    for name, tenant in config.tenants.items():
        if tenant.crm is not None:
            yield name, tenant.crm


def _where(
    section: CrmSection, place: str, environment: Mapping[str, str], allowed: AllowList
) -> tuple[str, SecretStr, bool]:
    """A CRM's address, its key, and whether it may hear of private calls. Raises ConfigError."""
    url = section.url or environment.get(URL, "").strip()
    if not url:
        raise ConfigError(f"{place}.url is empty and {URL} is not set", key=f"{place}.url")
    try:
        check_url(url)
    except ValueError as error:
        raise ConfigError(f"{URL}: {error}", key=f"{place}.url") from None
    host, port = name_of(url)
    is_named = allowed.allows(host, port) and not AllowList().allows(host, port)
    is_inward = is_named or host in LOOPBACK
    if not is_inward:
        try:
            check_address(url, f"{place}.url")
        except ProtocolError as error:
            remedy = "a host of your own network stands in privacy.allowed_hosts"
            raise ConfigError(f"{error.message}; {remedy}", key=f"{place}.url") from error
    key = read_secret(section.key, environment)
    if key is None:
        raise ConfigError(
            f"{place}.key: {section.key} is not set; export {section.key}=… with the CRM's API key",
            key=f"{place}.key",
        )
    return url, key, is_inward
