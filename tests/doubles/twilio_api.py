"""Twilio's REST API for calls, refusing what its documents refuse, with its error numbers."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError, fromstring

from aiohttp import web

from tests.doubles.twilio_stream import ACCOUNT, AUTH_TOKEN, new_sid


Json = dict[str, Any]

STATUSES = {
    "queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"
}  # fmt: skip
EVENTS = {"initiated", "ringing", "answered", "completed"}
VERBS = {"Connect", "Say", "Dial", "Play", "Reject", "Hangup", "Pause", "Redirect"}
PLACED_FIELDS = {
    "To", "From", "Twiml", "Url", "Timeout", "TimeLimit", "StatusCallback", "StatusCallbackEvent",
    "StatusCallbackMethod", "MachineDetection", "AsyncAmd", "AsyncAmdStatusCallback",
}  # fmt: skip


class TwilioApiDouble:
    """Calls that were placed (``placed``) and changed (``updates``: SID, fields)."""

    def __init__(self) -> None:
        self.placed: list[Json] = []
        self.updates: list[tuple[str, Json]] = []
        self.live: set[str] = set()
        self.states: dict[str, str] = {}
        """What is told of each call; one that it lacks is not found."""
        self.asked: list[str] = []
        self.owned = {"+34910000000"}
        self.fails_with = 0
        """A status that every request is answered with, where it is not 0."""
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        root = f"/2010-04-01/Accounts/{ACCOUNT}"
        app.router.add_post(root + "/Calls.json", self._create)
        app.router.add_post(root + "/Calls/{sid}.json", self._update)
        app.router.add_get(root + "/Calls/{sid}.json", self._fetch)
        return app

    async def _create(self, request: web.Request) -> web.Response:
        form = await request.post()
        refusal = self._refuse_request(request) or self._refuse_call(form)
        if refusal is not None:
            return refusal
        sid = new_sid()
        self.live.add(sid)
        self.states[sid] = "queued"
        events = form.getall("StatusCallbackEvent", [])
        self.placed.append({**form, "StatusCallbackEvent": events, "sid": sid})
        return web.json_response({"sid": sid, "status": "queued"}, status=201)

    async def _fetch(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["sid"])
        if (refusal := self._refuse_request(request)) is not None:
            return refusal
        if request.query or await request.read():
            return _fault(400, 20001, "A call is fetched without parameters")
        status = self.states.get(request.match_info["sid"])
        if status is None:
            return _fault(404, 20404, "The requested resource was not found")
        assert status in STATUSES, f"no status of Twilio's: {status}"
        return web.json_response({"sid": request.match_info["sid"], "status": status})

    async def _update(self, request: web.Request) -> web.Response:
        form, sid = await request.post(), request.match_info["sid"]
        if (refusal := self._refuse_request(request)) is not None:
            return refusal
        if sid not in self.live:
            return _fault(404, 20404, "The requested resource was not found")
        if set(form) == {"Twiml"}:
            if (refusal := _refuse_twiml(str(form["Twiml"]))) is not None:
                return refusal
        elif set(form) != {"Status"} or form["Status"] not in ("completed", "canceled"):
            return _fault(400, 21218, "Invalid ApplicationSid or fields")
        self.updates.append((sid, dict(form)))
        if "Status" in form:
            self.live.discard(sid)
            self.states[sid] = str(form["Status"])
        return web.json_response({"sid": sid, "status": "in-progress"})

    def _refuse_request(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        wanted = base64.b64encode(f"{ACCOUNT}:{AUTH_TOKEN}".encode()).decode()
        if given != f"Basic {wanted}":
            return _fault(401, 20003, "Authenticate")
        if self.fails_with:
            return _fault(self.fails_with, 20500, "Internal Server Error")
        return None

    def _refuse_call(self, form: Any) -> web.Response | None:
        if unknown := set(form) - PLACED_FIELDS:
            return _fault(400, 20001, f"Unknown parameters {unknown}")
        if not re.fullmatch(r"\+[1-9]\d{6,14}", str(form.get("To", ""))):
            return _fault(400, 21211, "Invalid 'To' Phone Number")
        if form.get("From") not in self.owned:
            return _fault(400, 21210, "'From' phone number not verified")
        if ("Twiml" in form) == ("Url" in form):
            return _fault(400, 21205, "Url parameter is required")
        if not 0 < int(str(form.get("Timeout", 60))) <= 600:
            return _fault(400, 21220, "Invalid Timeout")
        if not 0 < int(str(form.get("TimeLimit", 14_400))) <= 14_400:
            return _fault(400, 21220, "Invalid TimeLimit")
        callback = form.get("StatusCallback")
        if callback is not None and urlsplit(str(callback)).scheme != "https":
            return _fault(400, 21609, "Invalid 'StatusCallback' URL")
        if form.get("MachineDetection", "Enable") not in ("Enable", "DetectMessageEnd"):
            return _fault(400, 21620, "Invalid MachineDetection")
        if ("AsyncAmdStatusCallback" in form) != (form.get("AsyncAmd") == "true"):
            return _fault(400, 21621, "Invalid AsyncAmdStatusCallback")
        if not set(form.getall("StatusCallbackEvent", [])) <= EVENTS:
            return _fault(400, 21626, "Invalid StatusCallbackEvents")
        return _refuse_twiml(str(form["Twiml"])) if "Twiml" in form else None


def _refuse_twiml(twiml: str) -> web.Response | None:
    if len(twiml) > 4000:
        return _fault(400, 21617, "Twiml is longer than 4000 characters")
    try:
        root = fromstring(twiml)
    except ParseError:
        return _fault(400, 12100, "Document parse failure")
    if root.tag != "Response" or any(verb.tag not in VERBS for verb in root):
        return _fault(400, 12200, "Schema validation warning")
    return None


def _fault(status: int, code: int, message: str) -> web.Response:
    body = {"code": code, "message": message, "status": status}
    return web.json_response(body, status=status)


@asynccontextmanager
async def twilio_api() -> AsyncIterator[TwilioApiDouble]:
    """The API on a port of its own."""
    double = TwilioApiDouble()
    runner = web.AppRunner(double.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    double.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield double
    finally:
        await runner.cleanup()
