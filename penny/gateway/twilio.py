"""Twilio's door: its voice webhook, its media streams, and what it tells of calls.

    POST /twilio/voice    an incoming call: what becomes of it, as TwiML
    GET  /twilio/stream   the sound of a call, both ways (WebSocket)
    POST /twilio/status   what became of a call that was placed
    POST /twilio/amd      who answered it, by Twilio's own detection

Before anything else each is checked for Twilio's signature over the public address. A webhook of
another account, and one that comes twice, are refused and counted; so is a stream without a valid
one-time token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

import structlog
from aiohttp import web
from prometheus_client.core import CounterMetricFamily, Metric

from config.schema import Config
from config.telephony import DialingSection, NumberSection
from penny.aio.handshake import Upgrade
from penny.aio.websocket import CALLER_MESSAGES_PER_S, SocketConnection
from penny.edges.telephone.wire import CarrierRefused
from penny.edges.twilio import twiml
from penny.edges.twilio.api import TwilioApi
from penny.edges.twilio.callers import read_callee, read_caller
from penny.edges.twilio.signature import Signatures
from penny.edges.twilio.tokens import StreamTokens
from penny.edges.twilio.wire import (
    HEARTBEAT_S,
    MAX_MESSAGE_BYTES,
    SEND_LIMIT_S,
    TOKEN,
    TwilioWire,
    read_start,
)
from penny.errors import Forbidden, PennyError, ProtocolError
from penny.gateway.guard import refusal
from penny.gateway.offered_calls import OfferedCalls
from penny.gateway.phones import PhoneCall, Phones, incoming_call
from penny.gateway.placed_calls import PlacedCalls, SeenBefore
from penny.gateway.transfers import Transfers, come_back
from penny.gateway.twilio_placing import AMD, STATUS, VOICE, placing
from penny.gateway.twilio_transfer import TwilioTransfers
from penny.telephony.dial_book import Dial


log = structlog.get_logger()

Json = dict[str, Any]
Handler = Callable[[web.Request, Any], Awaitable[web.Response]]

STREAM = "/twilio/stream"
MOST_CALLER = 128
"""Characters: a SIP client calls from an address."""
POLICY_VIOLATION = 1008
BACK = {"returned": "returned", "leg": "parent_call", "anew": "anew"}
"""What a stream's token tells of a call that had one before -> where its context has it."""


class TwilioDoor:
    """Takes Twilio's requests.

    Args:
        seen: what came before, whichever process of this gateway took it.
        offers: is told of incoming calls, whose ends it sees to.
        transfers: counts how transfers end.
        wall_clock: Unix time in seconds.
    """

    def __init__(
        self,
        phones: Phones,
        config: Config,
        auth_token: str,
        seen: SeenBefore,
        offers: OfferedCalls,
        transfers: Transfers,
        wall_clock: Callable[[], float],
    ) -> None:
        section = config.telephony.twilio
        self._phones = phones
        self._config = config
        self._section = section
        self.now_s = wall_clock
        self.signatures = Signatures(auth_token, section.public_url)
        self.tokens = StreamTokens(auth_token)
        self.api = TwilioApi(section.api_url, section.account_sid, auth_token)
        self._seen = seen
        self._offers = offers
        self.placed: PlacedCalls | None = None
        self.transfers = TwilioTransfers(self, self._take_back, transfers)
        self.refused: dict[str, int] = {}
        """Requests refused, by reason."""

    def add_to(self, app: web.Application) -> None:
        app.router.add_post(VOICE, self._voice)
        app.router.add_get(STREAM, self._stream)
        app.router.add_post(STATUS, self._status)
        app.router.add_post(AMD, self._answered_by)
        self.transfers.add_to(app)

    async def aclose(self) -> None:
        await self.api.aclose()

    def collect(self) -> Iterator[Metric]:
        """What was refused, for the operator."""
        told = "Requests in Twilio's name that were refused"
        family = CounterMetricFamily("penny_twilio_refused", told, labels=["reason"])
        for reason, count in self.refused.items():
            family.add_metric([reason], count)
        yield family

    # -- webhooks -----------------------------------------------------------------------------

    async def told(
        self, request: web.Request, name: Callable[[Any], str], handle: Handler
    ) -> web.Response:
        """Take a webhook that is Twilio's, of our account and for the first time; where what is
        done with it fails, it may come again.

        Args:
            name: by its form, what it is known by when it comes again.
        """
        try:
            form = await self._read(request)
            key = name(form)
            if not await asyncio.to_thread(self._seen.take_once, key):
                raise self._refuse("replay", "this was told before")
        except PennyError as error:
            return refusal(error)
        try:
            return await handle(request, form)
        except BaseException:
            await asyncio.to_thread(self._seen.forget, key)
            raise

    async def _voice(self, request: web.Request) -> web.Response:
        again = request.query.get("again", "")
        return await self.told(request, lambda form: f"voice{again} {form['CallSid']}", self._offer)

    async def _offer(self, request: web.Request, form: Any) -> web.Response:
        if dial_id := request.query.get("dial"):
            return await self._answered(dial_id, str(form["CallSid"]))
        callee = read_callee(str(form.get("To", "")))
        number = self._config.telephony.numbers.get(callee)
        if number is None:
            self._count("unknown_number")
            call = incoming_call(NumberSection(), str(form.get("From", "")), callee)
            await self._offers.refused(call, "number_unknown", str(form["CallSid"]))
            return _twiml(twiml.reject())
        call = incoming_call(number, read_caller(str(form.get("From", ""))), callee)
        call_sid = str(form["CallSid"])
        try:
            self._phones.check(call)
        except PennyError as error:
            if (
                error.code == "draining" and "again" not in request.query
            ):  # the next gateway of this address
                return _twiml(twiml.redirect(f"{self.signatures.public_url}{VOICE}?again=1"))
            log.warning("phone_call_not_answered", code=error.code)
            await self._offers.refused(call, error.code, call_sid)
            return _twiml(self._fall_back(Element("Response"), number))
        await self._offers.offered(call, call_sid)
        about = {"from": call.caller[:MOST_CALLER], "to": call.callee}  # a parameter has 500
        about["session"] = call.session_id
        document = self.connect(call_sid, about)
        return _twiml(self._fall_back(document, number))

    async def _answered(self, dial_id: str, call_sid: str) -> web.Response:
        """A call that was placed has been answered."""
        call = await self.placed.find(dial_id) if self.placed is not None else None
        if call is None:
            self._count("unknown_dial")
            return _twiml(twiml.hang_up())
        document = self.connect(call_sid, {"dial": dial_id})
        number = self._config.telephony.numbers.get(call.caller)
        return _twiml(document if number is None else self._fall_back(document, number))

    def _take_back(self, call: PhoneCall, call_sid: str) -> Element:
        """Connect a call that was not taken, or brought no sound."""
        about = {name: call.context[key] for name, key in BACK.items() if key in call.context}
        if call.direction == "outbound":
            about["dial"] = call.context["dial"]
        else:
            about |= {"from": call.caller[:MOST_CALLER], "to": call.callee}
        number = self._config.telephony.numbers.get(call.own_number)
        document = self.connect(call_sid, about)
        return document if number is None else self._fall_back(document, number)

    async def call_of(self, form: Any) -> PhoneCall | None:
        """The call that a webhook about its transfer tells of."""
        callee = read_callee(str(form.get("To", "")))
        number = self._config.telephony.numbers.get(callee)
        if form.get("Direction") == "inbound":
            caller = read_caller(str(form.get("From", "")))
            return None if number is None else incoming_call(number, caller, callee)
        placed, call_sid = self.placed, str(form.get("CallSid", ""))
        return await placed.of_sid(call_sid) if placed is not None else None

    async def place(self, dial: Dial, section: DialingSection) -> str:
        """Place a call (``Placer``): its SID. Raises CarrierRefused."""
        detection = self._section.machine_detection
        fields = placing(dial, section, self.signatures.public_url, detection)
        return await self.api.place(fields)

    def connect(self, call_sid: str, about: dict[str, str]) -> Element:
        """The document that connects a call to its stream."""
        token = self.tokens.mint(call_sid, about, self.now_s())
        return twiml.connect(self.signatures.stream_url + STREAM, {TOKEN: token})

    def _fall_back(self, document: Element, number: NumberSection) -> Element:
        """What comes where nothing here answers, or the stream is lost."""
        fallback = number.fallback
        if fallback.say:
            language = number.language or self._config.session.language
            twiml.say(document, fallback.say, language)
        if fallback.transfer is not None:
            to = self._config.telephony.number_of(number.tenant, fallback.transfer)
            assert to is not None  # the configuration was checked
            twiml.put_through(document, to)
        if not len(document):
            return twiml.reject()
        return document

    async def _status(self, request: web.Request) -> web.Response:
        def name(form: Any) -> str:
            return f"status {form['CallSid']} {form.get('CallStatus', '')}"

        return await self.told(request, name, self._note_status)

    async def _note_status(self, request: web.Request, form: Any) -> web.Response:
        if self.placed is not None and (dial_id := request.query.get("dial")):
            status = str(form.get("CallStatus", ""))
            await self.placed.told(dial_id, str(form["CallSid"]), status)
        return web.Response(status=204)

    async def _answered_by(self, request: web.Request) -> web.Response:
        return await self.told(request, lambda form: f"amd {form['CallSid']}", self._note_answerer)

    async def _note_answerer(self, request: web.Request, form: Any) -> web.Response:
        if self.placed is not None and (dial_id := request.query.get("dial")):
            call = await self.placed.find(dial_id)
            if call is not None:
                self._phones.carrier_told(call.session_id, str(form.get("AnsweredBy", "")))
        return web.Response(status=204)

    async def _read(self, request: web.Request) -> Any:
        """The form of a webhook that is Twilio's and of our account. Raises Forbidden."""
        form = await request.post()
        if not self.signatures.is_webhook(request.path_qs, form, request.headers):
            raise self._refuse("signature", "this is not signed by Twilio for this address")
        if form.get("AccountSid") != self._section.account_sid or not form.get("CallSid"):
            raise self._refuse("account", "this is of another account")
        return form

    # -- streams ------------------------------------------------------------------------------

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        try:
            signed = self.signatures.is_stream(request.path_qs, request.headers)
            is_bare = "X-Twilio-Signature" not in request.headers
            if not (signed or (is_bare and self._section.unsigned_streams)):
                raise self._refuse("stream_signature", "this stream is not signed by Twilio")
            upgrade = Upgrade(
                request,
                max_message_bytes=MAX_MESSAGE_BYTES,
                heartbeat_s=HEARTBEAT_S,
                send_limit_s=SEND_LIMIT_S,
                messages_per_s=CALLER_MESSAGES_PER_S,
            )
        except Forbidden as error:
            return refusal(error)
        except ProtocolError as error:
            return refusal(error, 426)
        async with upgrade.accepted() as connection:
            try:
                start = await read_start(connection)
                call = await self._claim(start)
            except (PennyError, TimeoutError) as error:
                self._count(getattr(error, "code", "start_timeout"))
                await connection.close(POLICY_VIOLATION, "refused")
            else:
                await self._carry(connection, start, call)
        return upgrade.response

    async def _claim(self, start: Json) -> PhoneCall:
        """The call that this stream is of. Raises Forbidden."""
        call_sid = str(start.get("callSid", ""))
        account_sid = start.get("accountSid") or self._section.account_sid  # bridges leave it out
        token = str((start.get("customParameters") or {}).get(TOKEN, ""))
        about = self.tokens.take(token, call_sid, self.now_s())
        if about is None or account_sid != self._section.account_sid:
            raise Forbidden("no valid token", code="stream_token")
        back, anew = about.get("returned", ""), {k: v for k, v in about.items() if k == "anew"}
        name = f"stream {call_sid} {back or ''.join(anew)}".strip()
        if not await asyncio.to_thread(self._seen.take_once, name):
            raise Forbidden("this call had its stream", code="stream_token")
        if "dial" in about:
            call = await self.placed.find(about["dial"]) if self.placed is not None else None
            if call is None:
                raise Forbidden("no such call was placed", code="stream_token")
        else:
            number = self._config.telephony.numbers.get(about["to"], NumberSection())
            call = incoming_call(number, about["from"], about["to"])
            call = replace(call, session_id=about.get("session") or call.session_id)
            call = replace(call, context=anew)
            await self._offers.begun(call, call_sid)
        return come_back(call, back, about["leg"], self.language_of(call)) if back else call

    async def _carry(self, connection: SocketConnection, start: Json, call: PhoneCall) -> None:
        call_sid = str(start["callSid"])
        wire = TwilioWire(
            connection,
            str(start["streamSid"]),
            lambda name: self._config.telephony.number_of(call.tenant, name) is not None,
            partial(self._transfer, call_sid, call),
            partial(self._end, call_sid, call),
            partial(self._connect_anew, call_sid, call),
        )
        wire.edge = self._phones.edge(wire)
        connection.start(wire)
        reason = "error"
        try:
            begin = None
            if self.placed is not None and call.direction == "outbound":
                begin = partial(self.placed.began, call.session_id)
            reason = await self._phones.carry(call, wire.edge, begin)
        except PennyError as error:
            self._count(error.code)
        finally:
            if self.placed is not None and call.direction == "outbound":
                await self.placed.ended(call.session_id, reason)

    async def _transfer(
        self, call_sid: str, call: PhoneCall, destination: str, summary: str
    ) -> bool:
        number = self._config.telephony.number_of(call.tenant, destination)
        if number is None:
            log.warning("transfer_unknown", destination=destination, tenant=call.tenant)
            return False
        document = self.transfers.write(call, call_sid, number, summary)
        return await self._update(call_sid, Twiml=twiml.write(document))

    async def _connect_anew(self, call_sid: str, call: PhoneCall) -> bool:
        """Once, and where an incoming call is new; any other goes on to its fallback."""
        if call.context or call.direction == "outbound":
            return False
        document = self._take_back(replace(call, context={"anew": "1"}), call_sid)
        return await self._update(call_sid, Twiml=twiml.write(document))

    async def _end(self, call_sid: str, call: PhoneCall) -> None:
        """Hang up where the stream's end alone would go on to the fallback."""
        ours = call.callee if call.direction == "inbound" else call.caller
        number = self._config.telephony.numbers.get(ours)
        if number is not None and number.fallback.is_any:
            await self._update(call_sid, Status="completed")

    async def _update(self, call_sid: str, **fields: str) -> bool:
        try:
            await self.api.update(call_sid, **fields)
        except CarrierRefused:
            return False
        return True

    def language_of(self, call: PhoneCall) -> str:
        """In which language a caller is spoken to beside the session."""
        return call.language or self._config.session.language

    def answer(self, document: Element) -> web.Response:
        """A document, as Twilio takes it."""
        return _twiml(document)

    # -- refusing -----------------------------------------------------------------------------

    def _refuse(self, reason: str, message: str) -> Forbidden:
        self._count(reason)
        return Forbidden(message, code=f"twilio_{reason}")

    def _count(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1


def _twiml(document: Element) -> web.Response:
    return web.Response(text=twiml.write(document), content_type="text/xml")
