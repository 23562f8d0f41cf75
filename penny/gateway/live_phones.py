"""What an application does with a live telephone call: keys to the other side, hold, a person.

    POST /v1/calls/{id}/keys       {"digits": "1w234#"}: as tones, or as the carrier has keys
    POST /v1/calls/{id}/wait       {"on": true}: on hold, by music; false: they are back
    POST /v1/calls/{id}/transfer   {"to": "soporte"}: put through after the last word

``to`` is a name that the call's carrier knows, never a number: of
``telephony.dialing.<tenant>.transfers`` or ``telephony.asterisk.transfers``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from aiohttp import web

from penny.edges.telephone.edge import HANDOFF, PhoneEdge
from penny.errors import ProtocolError
from penny.gateway.guard import WHO
from penny.gateway.json_routes import read_body, told
from penny.gateway.phones import Phones
from penny.session.broker import Broker
from penny.telephony.wishes import KeysOut, Transfer, WaitWish
from penny.trust.rights import allows


class LivePhoneRoutes:
    """Routes of live telephone calls of this process; another tenant's call is none: 404.

    Args:
        music: what who is on hold hears, PCM16 at 8 000 Hz.
        clock: the loop's, seconds.
    """

    def __init__(
        self, phones: Phones, broker: Broker, music: bytes, clock: Callable[[], float]
    ) -> None:
        self._phones = phones
        self._broker = broker
        self._music = music
        self._clock = clock

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/v1/calls/{id}/keys", told(self._keys))
        app.router.add_post("/v1/calls/{id}/wait", told(self._hold))
        app.router.add_post("/v1/calls/{id}/transfer", told(self._transfer))

    async def _keys(self, request: web.Request) -> web.Response:
        edge = self._find(request)
        edge.send_keys((await read_body(request, KeysOut)).digits)
        return web.Response(status=204)

    async def _hold(self, request: web.Request) -> web.Response:
        edge, wish = self._find(request), await read_body(request, WaitWish)
        edge.hold(self._music if wish.on else None)
        session = self._broker.sessions.get(request.match_info["id"])
        if session is not None:
            session.state.last_activity_s = math.inf if wish.on else self._clock()
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
        self._broker.end_session(call_id, HANDOFF)
        return web.Response(status=202)

    def _find(self, request: web.Request) -> PhoneEdge:
        call_id = request.match_info["id"]
        edge = self._phones.edges.get(call_id)
        call = self._phones.calls.get(call_id)
        if edge is None or call is None or not allows(request[WHO], "calls:place", call.tenant):
            raise ProtocolError("no such call is live here", code="call_not_found")
        return edge
