"""Calls by Twilio that are put through to a person, and come back where they are not taken.

    POST /twilio/whisper   the person has answered: what they hear before the two are joined
    POST /twilio/back      the transfer is over: the call ends, or comes back, once

The caller hears Twilio's ring-back from the moment of the transfer. The two stay joined for as long
as they talk: nothing of Penny's is between them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import structlog
from aiohttp import web
from prometheus_client.core import CounterMetricFamily, Metric

from penny.edges.twilio import twiml
from penny.edges.twilio.signature import Signatures
from penny.edges.twilio.tokens import StreamTokens
from penny.gateway.phones import PhoneCall
from penny.ids import new_id
from penny.localized import Localized, in_language


log = structlog.get_logger()

WHISPER = "/twilio/whisper"
BACK = "/twilio/back"
MOST_WHISPERED = 300
"""Characters of a summary."""
SHORT_S = 120
"""A transferred call that ends sooner is counted as cut: its person hardly talked."""
TOOK = frozenset({"completed", "answered"})
RETURNED = Localized(
    "Nobody can take your call right now. How else can I help you?",
    es="Ahora mismo no puede atenderle nadie. ¿En qué más puedo ayudarle?",
)


class Door(Protocol):
    """What a transfer asks of Twilio's door (``TwilioDoor``)."""

    signatures: Signatures
    tokens: StreamTokens
    now_s: Callable[[], float]

    async def told(
        self,
        request: web.Request,
        name: Callable[[Any], str],
        handle: Callable[[web.Request, Any], Awaitable[web.Response]],
    ) -> web.Response:
        """Take a webhook that is Twilio's and of our account, once (``TwilioDoor.told``)."""
        ...

    async def call_of(self, form: Any) -> PhoneCall | None:
        """The call that a webhook about its transfer tells of."""
        ...

    def language_of(self, call: PhoneCall) -> str:
        """In which language a caller is spoken to beside the session."""
        ...

    def answer(self, document: Element) -> web.Response:
        """A document, as Twilio takes it."""
        ...


class TwilioTransfers:
    """The transfers of one door.

    Args:
        returned: has a call that came back answered once more: who it is of, its SID.
    """

    def __init__(self, door: Door, returned: Callable[[PhoneCall, str], Element]) -> None:
        self._door = door
        self._returned = returned
        self.over: dict[str, int] = {}
        """Transfers that are over: answered, short, or what Twilio told instead."""

    def add_to(self, app: web.Application) -> None:
        app.router.add_post(WHISPER, self._whisper)
        app.router.add_post(BACK, self._back)

    def collect(self) -> Iterator[Metric]:
        """How transfers end, for the operator."""
        told = "Transfers of telephone calls by how they ended; short: cut within two minutes"
        family = CounterMetricFamily("penny_phone_transfers", told, labels=["outcome"])
        for outcome, count in self.over.items():
            family.add_metric([outcome], count)
        yield family

    def write(self, call: PhoneCall, call_sid: str, number: str, summary: str) -> Element:
        """The document that puts a call through.

        Args:
            summary: what the person hears before they are joined; '' for nothing.
        """
        public, language = self._door.signatures.public_url, self._door.language_of(call)
        about = {"leg": call.session_id, **({"again": "1"} if "returned" in call.context else {})}
        whisper = ""
        if summary:
            told = {"say": summary[:MOST_WHISPERED], "in": language}
            token = self._door.tokens.mint(call_sid, told, self._door.now_s())
            whisper = f"{public}{WHISPER}?{urlencode({'of': call_sid, 'token': token})}"
        response = Element("Response")
        back = f"{public}{BACK}?{urlencode(about)}"
        twiml.put_through(response, number, whisper=whisper, action=back, ring=language)
        return response

    async def _whisper(self, request: web.Request) -> web.Response:
        """To the person alone, whose leg has a SID of its own."""
        name = f"whisper {request.query.get('token', '').rpartition('.')[2]}"
        return await self._door.told(request, lambda _form: name, self._say)

    async def _say(self, request: web.Request, _form: Any) -> web.Response:
        token, parent = request.query.get("token", ""), request.query.get("of", "")
        response = Element("Response")
        told = self._door.tokens.take(token, parent, self._door.now_s())
        if told is not None:
            twiml.say(response, told["say"], told["in"])
        return self._door.answer(response)

    async def _back(self, request: web.Request) -> web.Response:
        def name(form: Any) -> str:
            return f"back {form['CallSid']} {form.get('DialCallSid', '')}"

        return await self._door.told(request, name, self._go_on)

    async def _go_on(self, request: web.Request, form: Any) -> web.Response:
        status = str(form.get("DialCallStatus", ""))
        outcome = "answered" if status in TOOK else status or "unknown"
        if outcome == "answered" and int(str(form.get("DialCallDuration") or 0)) < SHORT_S:
            outcome = "short"
            log.warning("transferred_call_cut", after_s=form.get("DialCallDuration"))
        self.over[outcome] = self.over.get(outcome, 0) + 1
        if outcome in ("answered", "short") or request.query.get("again"):
            return self._door.answer(twiml.hang_up())
        call = await self._door.call_of(form)
        if call is None:
            return self._door.answer(twiml.hang_up())
        leg, language = request.query.get("leg", ""), self._door.language_of(call)
        again = come_back(call, outcome, leg, language)
        return self._door.answer(self._returned(again, str(form["CallSid"])))


def come_back(call: PhoneCall, outcome: str, leg: str, language: str) -> PhoneCall:
    """The call once more, as a leg of its own.

    Args:
        outcome: of the transfer.
        leg: the session before it.
    """
    context = {**call.context, "returned": outcome, "parent_call": leg}
    greeting = in_language(RETURNED, language)
    again = replace(call, greeting=greeting, context=context, session_id=new_id("sess"))
    return replace(again, on_machine="talk")  # a person is there
