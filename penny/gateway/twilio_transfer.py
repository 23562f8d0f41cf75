"""Calls by Twilio that are put through to a person, and come back where they are not taken.

    POST /twilio/whisper   the person has answered: what they hear before the two are joined
    POST /twilio/back      the transfer is over: the call ends, or comes back, once

The caller hears Twilio's ring-back from the moment of the transfer. The two stay joined for as long
as they talk: nothing of Penny's is between them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from aiohttp import web

from penny.edges.twilio import twiml
from penny.edges.twilio.signature import Signatures
from penny.edges.twilio.tokens import StreamTokens
from penny.gateway.phones import PhoneCall
from penny.gateway.transfers import MOST_WHISPERED, TOOK, Transfers, come_back


WHISPER = "/twilio/whisper"
BACK = "/twilio/back"
COMPLETED = frozenset({"completed", "answered"})


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
        ends: counts them.
    """

    def __init__(
        self, door: Door, returned: Callable[[PhoneCall, str], Element], ends: Transfers
    ) -> None:
        self._door = door
        self._returned = returned
        self._ends = ends

    def add_to(self, app: web.Application) -> None:
        app.router.add_post(WHISPER, self._whisper)
        app.router.add_post(BACK, self._back)

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
        outcome = "answered" if status in COMPLETED else status or "unknown"
        outcome = self._ends.end(outcome, float(str(form.get("DialCallDuration") or 0)))
        if outcome in TOOK or request.query.get("again"):
            return self._door.answer(twiml.hang_up())
        call = await self._door.call_of(form)
        if call is None:
            return self._door.answer(twiml.hang_up())
        leg, language = request.query.get("leg", ""), self._door.language_of(call)
        again = come_back(call, outcome, leg, language)
        return self._door.answer(self._returned(again, str(form["CallSid"])))
