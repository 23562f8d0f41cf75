"""What an application does with a live telephone call: keys to the other side, and a person.

    POST /v1/calls/{id}/keys       {"digits": "1w234#"}: as tones, or as the carrier has keys
    POST /v1/calls/{id}/transfer   {"to": "soporte"}: put through after the last word

``to`` is a name that the call's carrier knows, never a number: of
``telephony.dialing.<tenant>.transfers`` or ``telephony.asterisk.transfers``.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from penny.edges.telephone.edge import HANDOFF, PhoneEdge
from penny.errors import ProtocolError
from penny.gateway.guard import WHO
from penny.gateway.json_routes import read_body, told
from penny.gateway.phones import Phones
from penny.telephony.wishes import KeysOut, Transfer
from penny.trust.rights import allows


class LivePhoneRoutes:
    """Routes of live telephone calls of this process; another tenant's call is none: 404.

    Args:
        end_session: (session, reason): ends a live session.
    """

    def __init__(self, phones: Phones, end_session: Callable[[str, str], bool]) -> None:
        self._phones = phones
        self._end_session = end_session

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/v1/calls/{id}/keys", told(self._keys))
        app.router.add_post("/v1/calls/{id}/transfer", told(self._transfer))

    async def _keys(self, request: web.Request) -> web.Response:
        edge = self._find(request)
        edge.send_keys((await read_body(request, KeysOut)).digits)
        return web.Response(status=204)

    async def _transfer(self, request: web.Request) -> web.Response:
        edge, call_id = self._find(request), request.match_info["id"]
        name = (await read_body(request, Transfer)).to
        if not edge.can_hand_over_to(name):
            raise ProtocolError(
                "to: name one of telephony.dialing.<tenant>.transfers (Twilio) or of "
                "telephony.asterisk.transfers",
                code="transfer_unknown",
                field="to",
            )
        edge.hand_over_to(name)
        self._end_session(call_id, HANDOFF)
        return web.Response(status=202)

    def _find(self, request: web.Request) -> PhoneEdge:
        call_id = request.match_info["id"]
        edge = self._phones.edges.get(call_id)
        call = self._phones.calls.get(call_id)
        if edge is None or call is None or not allows(request[WHO], "calls:place", call.tenant):
            raise ProtocolError("no such call is live here", code="call_not_found")
        return edge
