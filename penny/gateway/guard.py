"""The table of rights at every route of a gateway, and what holds it: default deny.

A route that does not stand in ``ROUTES`` answers 403 to every request: a new one is named here with
the right that it needs. Handlers find who asks in ``request[WHO]``, and ask ``rights.allows`` for
things of one tenant.
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from penny.dense import check_values
from penny.errors import Forbidden, PennyError, ProtocolError, Unauthorized
from penny.gateway.gate import Gate
from penny.trust.identity import Identity
from penny.trust.rights import check


log = structlog.get_logger()

OPEN = "open"
"""To anybody, whatever page asks: it tells nothing of a tenant and changes nothing."""
OWN = "own"
"""The route asks the gate itself, and refuses in the words of its protocol."""

ROUTES: dict[str, str] = {
    "GET /": OPEN,
    "GET /admin": OPEN,
    "GET /web": OPEN,
    "GET /healthz": OPEN,
    "GET /health": OPEN,
    "GET /readyz": OPEN,  # details with house:read
    "GET /metrics": OPEN,
    "GET /v1/modes": OPEN,  # examples with kb:read
    "GET /ws": OWN,  # sessions:open
    "GET /v1/realtime": OWN,  # sessions:open
    "POST /v1/realtime/client_secrets": OWN,  # secrets:mint
    "POST /v1/audio/transcriptions": OWN,  # sessions:open
    "POST /v1/audio/speech": OWN,
    "POST /v1/realtime/calls": OWN,  # sessions:open, as all of a call
    "OPTIONS /v1/realtime/calls": OPEN,  # what a browser asks first
    "POST /v1/realtime/calls/{call_id}/hangup": OWN,
    "OPTIONS /v1/realtime/calls/{call_id}/hangup": OPEN,
    "POST /v1/realtime/calls/{call_id}/accept": OWN,
    "POST /v1/realtime/calls/{call_id}/reject": OWN,
    "POST /v1/realtime/calls/{call_id}/refer": OWN,
    "GET /kb": OPEN,
    "GET /set-up": OPEN,
    "GET /docs": OPEN,
    "GET /openapi.json": OPEN,
    "GET /v1/rooms": OPEN,  # those that who asks may use
    "GET /v1/set-up": "house:read",
    "GET /v1/kb/search": "kb:read",
    "GET /v1/kb/collections": "kb:write",
    "GET /v1/kb/passages": "kb:write",
    "PUT /v1/kb/document": "kb:write",
    "DELETE /v1/kb/document": "kb:write",
    "GET /v1/kb/unanswered": "kb:write",
    "DELETE /v1/kb/unanswered": "kb:write",
    "GET /v1/sign-in": OWN,
    "POST /v1/sign-in": OWN,
    "DELETE /v1/sign-in": OWN,
    "GET /v1/sign-in/openid": OPEN,  # where sign_in.openid is set, as the next
    "GET /v1/sign-in/openid/back": OPEN,  # the provider's code, and the browser's cookie
    "GET /admin/v1/overview": "house:read",
    "GET /admin/v1/sessions": "sessions:read",
    "GET /admin/v1/sessions/{id}/events": "sessions:events",
    "POST /admin/v1/sessions/{id}/hang-up": "sessions:hang_up",
    "GET /v1/calls": "calls:read",
    "POST /v1/calls": "calls:place",
    "POST /v1/calls/{id}/keys": "calls:place",
    "POST /v1/calls/{id}/wait": "calls:place",
    "POST /v1/calls/{id}/transfer": "calls:place",
    "GET /v1/dials/{id}": "calls:read",
    "GET /v1/caller-ids": "calls:read",
    "DELETE /v1/dials/{id}": "calls:place",
    "POST /v1/do-not-call": "calls:place",
    "GET /v1/calls/export": "calls:export",
    "GET /v1/calls/{id}": "calls:read",
    "DELETE /v1/calls/{id}": "calls:erase",
    "GET /v1/calls/{id}/metrics": "calls:read",
    "GET /v1/calls/{id}/transcript": "calls:read",
    "GET /v1/calls/{id}/audio": "calls:audio",
    "POST /v1/calls/{id}/hold": "calls:correct",
    "POST /v1/calls/{id}/recording": "calls:correct",  # of a live call: pause, resume
    "POST /v1/calls/{id}/links": "calls:correct",
    "GET /conversations/{id}/metrics": "calls:read",
    "GET /storage/stats": "calls:read",
    "GET /processing/stats": "calls:read",
    "GET /calls": OPEN,
    "GET /dashboard": OPEN,
    "GET /metrics/dashboard": "analysis:read",
    "GET /metrics/dashboard/{table}": "analysis:read",
    "GET /metrics/alerts": "analysis:read",
    "GET /experiments": OPEN,
    "GET /v1/experiments": "house:read",
    "POST /v1/experiments/{name}/stop": "house:write",
    "GET /webhooks": OPEN,
    "GET /v1/webhooks": "webhooks:write",
    "GET /v1/webhooks/deliveries": "webhooks:write",
    "POST /v1/webhooks/replay": "webhooks:write",
    "POST /v1/webhooks/{name}/test": "webhooks:write",
    "POST /v1/webhooks/{name}/enable": "webhooks:write",
    "GET /v1/screen-pops": "calls:read",
    "POST /v1/crm/{name}/events": OWN,  # the CRM's signature
    "GET /telephony": OPEN,
    "GET /api/config/telephony": "telephony:read",
    "GET /api/config/telephony/dialled": "telephony:read",
    "POST /api/config/telephony/save": "telephony:write",
    "POST /api/config/telephony/test": "telephony:write",
    "POST /asterisk/announce": OWN,  # the token of the lines' folder
    "POST /asterisk/next": OWN,
    "POST /asterisk/whisper": OWN,
    "POST /asterisk/over": OWN,
    "POST /asterisk/refused": OWN,
    "GET /asterisk/media": OWN,  # an announced call
    "GET /worker": OWN,  # a lease's token
    "POST /twilio/voice": OWN,  # the carrier's signature, as all of these
    "GET /twilio/stream": OWN,
    "POST /twilio/status": OWN,
    "POST /twilio/amd": OWN,
    "POST /twilio/whisper": OWN,
    "POST /twilio/back": OWN,
}
"""Method and path, as it was added to the router -> the right it needs, ``OPEN`` or ``OWN``."""

READ_THEIR_BODY = frozenset(
    {"POST /v1/realtime/client_secrets", "POST /v1/realtime/calls", "POST /v1/sign-in"}
    | {"POST /v1/audio/transcriptions", "POST /v1/audio/speech", "PUT /v1/kb/document"}
)
"""Routes with a time limit of their own, or a body too long to be held whole."""
BODY_WAIT_S = 10.0
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "iso-8859-1"})
_UNREADABLE = {"request_timeout": 408, "too_many_values": 400}
"""Error code of a body -> HTTP status, for what is not the wrong kind of body."""
UNKNOWN_PATH = "/v1/{path}"
"""What nothing else took: any method."""

WHO = web.RequestKey("who", Identity)


def make_guard(gate: Gate) -> Middleware:
    """The middleware that holds ``ROUTES``."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is None or resource.canonical == UNKNOWN_PATH:
            return await handler(request)  # there is no such path, or not with that method
        method = "GET" if request.method == "HEAD" else request.method
        right = ROUTES.get(f"{method} {resource.canonical}")
        if right not in (OPEN, OWN):
            try:
                gate.check_page(request)
                request[WHO] = who = await gate.identify(request)
                if right is None:
                    log.error("route_without_right", method=method, route=resource.canonical)
                    raise Forbidden("this route stands in no table of rights: nobody may use it")
                check(who, right)
            except Unauthorized as error:
                return refusal(error)
        try:
            await _check_body(request, f"{method} {resource.canonical}")
        except ProtocolError as error:
            return refusal(error, _UNREADABLE.get(error.code, 415))
        try:
            answer = await handler(request)
        except HttpProcessingError:  # a form's parts have headers of their own
            return refusal(ProtocolError("the body is no form that can be read"), 400)
        except RecursionError:  # of JSON in JSON in JSON
            log.warning("body_nested_too_deep", route=resource.canonical)
            return refusal(ProtocolError("the body is nested too deep"), 400)
        if not answer.prepared and request.writer.output_size:
            # A refusal after a stream began would be read as a part of it.
            log.warning("answer_cut_off", route=resource.canonical, status=answer.status)
            if request.transport is not None:
                request.transport.close()
        return answer

    return guard


async def _check_body(request: web.Request, route: str) -> None:
    """Raises ProtocolError for a body that no route reads, that does not come in time, or that is
    too many values."""
    if not request.can_read_body:
        return
    if (request.charset or "utf-8").lower() not in CHARSETS:
        raise ProtocolError("Content-Type: the charset must be utf-8", field="Content-Type")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ProtocolError("Content-Encoding: send it plain", field="Content-Encoding")
    if route in READ_THEIR_BODY:
        return
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            body = await request.read()  # the handler finds it there
    except TimeoutError:
        raise ProtocolError(
            f"the body did not arrive within {BODY_WAIT_S:g} s",
            code="request_timeout",
            retryable=True,
        ) from None
    check_values(body)


def refusal(error: PennyError, status: int | None = None) -> web.Response:
    """An error as every plain route tells it."""
    body = {
        "code": error.code,
        "message": error.message,
        "param": error.field,
        "retryable": error.retryable,
    }
    if status is None:
        status = 403 if isinstance(error, Forbidden) else 401
    return web.json_response({"error": body}, status=status)
