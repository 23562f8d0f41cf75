"""The door of Asterisk's calls: announced over HTTP, carried by AudioSocket or by a WebSocket.

    POST /asterisk/announce   by the dialplan, before a call's sound: ok, busy or refused
    POST /asterisk/refused    by the dialplan, of a call to a number that no line lists
    POST /asterisk/next       by the dialplan, after it: done, person, to-NAME or away
    POST /asterisk/whisper    by the dialplan, of the person who has answered: say or join
    POST /asterisk/over       by the dialplan, of a transfer: how it ended
    GET  /asterisk/media      chan_websocket, ?id= of an announced call

The dialplan shows the token that lies beside the lines' passwords. Its answers are one word.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import structlog
from aiohttp import web
from prometheus_client.core import CounterMetricFamily, Metric

from config.schema import Config
from config.telephony import NumberSection
from penny.aio.handshake import Upgrade
from penny.aio.tasks import TaskOwner
from penny.edges.asterisk.announced import Announced, Announcements, Handed, Places
from penny.edges.asterisk.audiosocket import AWAY_S, SILENT_S, AudioSocketWire
from penny.edges.asterisk.media import MAX_MESSAGE_BYTES, SUBPROTOCOL, MediaWire
from penny.edges.telephone.edge import PhoneEdge
from penny.errors import ConfigError, PennyError, ProtocolError
from penny.gateway.phones import PhoneCall, Phones, incoming_call
from penny.gateway.placed_calls import PlacedCalls
from penny.gateway.transfers import Transfers, come_back, leg_to_person
from penny.telephony.lines import Fxo, Trunk
from penny.telephony.store import TelephonyStore


log = structlog.get_logger()

HEARTBEAT_S = 2.0
"""A connection without a word for one and a half of these is gone."""
SEND_LIMIT_S = 3.0
AsteriskWire = AudioSocketWire | MediaWire
OUTCOMES = {
    "ANSWER": "answered",
    "NOANSWER": "no-answer",
    "BUSY": "busy",
    "CANCEL": "canceled",
    "CHANUNAVAIL": "failed",
    "CONGESTION": "failed",
}
"""``DIALSTATUS`` of ``Dial`` -> how a transfer ended, in Twilio's words for it."""


@dataclass(frozen=True, slots=True)
class _Live:
    """A call that is carried."""

    told: Announced
    call: PhoneCall
    wire: AsteriskWire
    edge: PhoneEdge

    @property
    def has_left(self) -> bool:
        """The other side hung up before Penny let the connection go."""
        return self.wire.then == "away" and self.edge.end_reason == "client_ended"


class AsteriskDoor:
    """Takes the calls of one Asterisk.

    Args:
        transfers: counts how transfers end.
        clock: the loop's, seconds.
    """

    def __init__(
        self,
        config: Config,
        phones: Phones,
        store: TelephonyStore,
        transfers: Transfers,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._section = config.telephony.asterisk
        self._phones = phones
        self._store = store
        self._transfers = transfers
        self._clock = clock
        self._announced = Announcements()
        section = self._section
        self._places = Places(frozenset(section.transfers), bool(section.fallback_dial))
        self._live: dict[UUID, _Live] = {}
        self._tasks = TaskOwner("asterisk calls")
        self._server: asyncio.Server | None = None
        self.placed: PlacedCalls | None = None
        self.port = 0
        """Where AudioSocket listens."""
        self.refused = 0
        """Connections that named no announced call, and announcements without the token."""

    def collect(self) -> Iterator[Metric]:
        """What was refused, for the operator."""
        told = "Connections and announcements in Asterisk's name that were refused"
        yield CounterMetricFamily("penny_asterisk_refused", told, value=self.refused)

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/asterisk/announce", self._announce)
        app.router.add_post("/asterisk/refused", self._note)
        app.router.add_post("/asterisk/next", self._next)
        app.router.add_post("/asterisk/whisper", self._whisper)
        app.router.add_post("/asterisk/over", self._over)
        app.router.add_get("/asterisk/media", self._media)

    async def start(self) -> None:
        """Listen for AudioSocket, where that is the wire. Raises ConfigError."""
        if self._section.wire != "audiosocket":
            return
        loop = asyncio.get_running_loop()
        address = (self._section.host, self._section.port)
        try:
            self._server = await loop.create_server(
                self._make_wire, *address, reuse_port=self._config.gateway.reuse_port or None
            )
        except OSError as error:
            reason = f"telephony.asterisk: cannot listen on {address[0]}:{address[1]}: {error}"
            raise ConfigError(reason, key="telephony.asterisk.port") from error
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("asterisk_listens", host=self._section.host, port=self.port)

    def close(self) -> None:
        """Take no further call; those that live go on."""
        if self._server is not None:
            self._server.close()

    async def aclose(self) -> None:
        """Wait for the calls that were ended."""
        self.close()
        await self._tasks.aclose()

    def asterisk_is(self, is_there: bool) -> None:
        """Whether Asterisk answers elsewhere: a call of one that does not is not merely silent."""
        for live in self._live.values():
            if isinstance(live.wire, AudioSocketWire):
                live.wire.dead_after_s = SILENT_S if is_there else AWAY_S

    # -- the dialplan's questions -------------------------------------------------------------

    async def _announce(self, request: web.Request) -> web.Response:
        told = await self._read(request)
        if told is None:
            return _say("refused", 403)
        call_id, form = told
        handed = self._handed(form.get("of", ""))
        did, line_id = form.get("did", ""), form.get("line", "")
        line = await self._find_line(line_id)
        if form.get("dial"):
            return await self._announce_placed(call_id, form, line, handed)
        if line is None or did not in line.numbers:
            log.warning("asterisk_call_refused", reason="no such number", line=line_id[:24])
            return _say("refused")
        caller = form.get("caller", "")[:32]
        ids, again = (call_id, line.id, line.tenant, did, caller), form.get("again") == "yes"
        analogue = line.home if isinstance(line, Fxo) else None
        call = Announced(*ids, analogue=analogue, handed=handed, is_again=again)
        try:
            self._phones.check(self._describe(call))
        except PennyError as error:
            self._phones.keep_unconnected(self._describe(call), error.code)
            log.warning("asterisk_call_refused", reason=error.code, line=line.id)
            return _say("busy")
        return _say("ok" if self._announced.announce(call, self._clock()) else "busy")

    async def _announce_placed(
        self, call_id: UUID, form: dict[str, str], line: Fxo | Trunk | None, handed: Handed | None
    ) -> web.Response:
        """A call that was placed has been answered, or comes back from a transfer."""
        dial_id = form["dial"]
        call = await self.placed.find(dial_id) if self.placed is not None else None
        if call is None:
            log.warning("asterisk_call_refused", reason="no such call was placed")
            return _say("refused")
        again, line_id = form.get("again") == "yes", "" if line is None else line.id
        ids = call_id, line_id, call.tenant, call.caller, call.callee, dial_id
        analogue = line.home if isinstance(line, Fxo) else None
        told = Announced(*ids, analogue=analogue, handed=handed, is_again=again)
        return _say("ok" if self._announced.announce(told, self._clock()) else "busy")

    async def _find_line(self, line_id: str) -> Fxo | Trunk | None:
        """None where there is none, or the lines cannot be read."""
        try:
            lines = await asyncio.to_thread(self._store.read)
        except PennyError as error:
            log.warning("telephony_lines_unreadable", reason=error.message)
            return None
        return next((each for each in lines.receiving() if each.id == line_id), None)

    async def _note(self, request: web.Request) -> web.Response:
        """Keep a number that was refused, so that the page can show it and add it."""
        told = await self._read(request)
        if told is None:
            return _say("refused", 403)
        _, form = told
        try:
            lines = await asyncio.to_thread(self._store.read)
            line = next((each for each in lines.receiving() if each.id == form.get("line")), None)
            if line is not None:
                now_ms = round(time.time() * 1000)
                number = form.get("did", "")[:32]
                await asyncio.to_thread(self._store.note_refused, line.tenant, number, now_ms)
        except PennyError as error:
            log.warning("refused_call_not_kept", reason=error.message)
        return _say("ok")

    async def _next(self, request: web.Request) -> web.Response:
        told = await self._read(request)
        if told is None:
            return _say("refused", 403)
        live = self._live.get(told[0])
        return _say(
            live.wire.then if live is not None else self._announced.after(told[0], self._clock())
        )

    async def _whisper(self, request: web.Request) -> web.Response:
        """Let the person who has answered hear what it is about, where there is anything."""
        told = await self._read(request)
        if told is None:
            return _say("refused", 403)
        leg_id, form = told
        of, handed = form.get("of", ""), self._handed(form.get("of", ""))
        if handed is None:
            return _say("join")
        now_s = self._clock()
        self._announced.join(UUID(of), now_s)
        if not handed.summary:
            return _say("join")
        leg = Announced(leg_id, "", handed.tenant, "", "", handed=handed, person_of=UUID(of))
        return _say("say" if self._announced.announce(leg, now_s) else "join")

    async def _over(self, request: web.Request) -> web.Response:
        told = await self._read(request)
        if told is None:
            return _say("refused", 403)
        is_declined, talked_s = self._announced.part(told[0], self._clock())
        is_declined |= any(
            live.told.person_of == told[0] and live.has_left for live in self._live.values()
        )
        outcome = OUTCOMES.get(told[1].get("status", ""), "unknown")
        self._transfers.end("declined" if is_declined else outcome, talked_s)
        return _say("back" if is_declined or outcome != "answered" else "done")

    def _handed(self, call_id: str) -> Handed | None:
        """What is told of a call that was put through, '' for none."""
        try:
            found = UUID(call_id)
        except ValueError:
            return None
        live = self._live.get(found)
        if live is not None:
            return _handed(live.wire, live.call)
        return self._announced.handed(found, self._clock())

    async def _read(self, request: web.Request) -> tuple[UUID, dict[str, str]] | None:
        """The form of a request that shows the token; None for any other."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        token = await asyncio.to_thread(self._store.token)
        given = form.get("token", "").encode()
        try:
            if token and hmac.compare_digest(given, token.encode()):
                return UUID(form.get("id", "")), form
        except ValueError:
            pass
        self.refused += 1
        log.warning("asterisk_announcement_refused")
        return None

    # -- the wires ----------------------------------------------------------------------------

    def _make_wire(self) -> AudioSocketWire:
        return AudioSocketWire(self._admit, self._places)

    def _admit(self, call_id: UUID, wire: AudioSocketWire) -> PhoneEdge | None:
        call = self._announced.take(call_id, self._clock())
        if call is None:
            self.refused += 1
            return None
        edge = self._phones.edge(wire)
        self._tasks.spawn(self._carry(call, wire, edge), name="asterisk call")
        return edge

    async def _media(self, request: web.Request) -> web.StreamResponse:
        try:
            call = self._announced.take(UUID(request.query.get("id", "")), self._clock())
        except ValueError:
            call = None
        if call is None:
            self.refused += 1
            log.warning("asterisk_call_refused", reason="not_announced")
            return _say("refused", 403)
        try:
            upgrade = Upgrade(
                request,
                max_message_bytes=MAX_MESSAGE_BYTES,
                heartbeat_s=HEARTBEAT_S,
                send_limit_s=SEND_LIMIT_S,
                subprotocols=(SUBPROTOCOL,),
            )
        except ProtocolError:
            return _say("connect with a WebSocket", 426)
        async with upgrade.accepted() as connection:
            wire = MediaWire(connection, self._places)
            wire.edge = edge = self._phones.edge(wire)
            connection.start(wire)
            await self._carry(call, wire, edge)
        return upgrade.response

    async def _carry(self, told: Announced, wire: AsteriskWire, edge: PhoneEdge) -> None:
        wire.is_again = told.is_again
        call = await self._call_of(told)
        if call is None:
            await edge.aclose("error", {})
            return
        is_declined = False
        self._live[told.id] = live = _Live(told, call, wire, edge)
        try:
            if told.dial:
                await self._carry_placed(call, edge)
            else:
                await self._phones.carry(call, edge)
            is_declined = live.has_left
        except PennyError:
            pass  # told and counted there; the dialplan goes on
        finally:
            del self._live[told.id]
            now_s = self._clock()
            self._announced.end(told.id, wire.then, now_s)
            self._announced.hand(told.id, _handed(wire, call), now_s)
            if told.person_of is not None:
                self._announced.whispered(told.person_of, now_s, declined=is_declined)

    async def _call_of(self, told: Announced) -> PhoneCall | None:
        """What an announced call is; None for a placed one that is over."""
        handed = told.handed
        if told.person_of is not None:
            assert handed is not None
            return leg_to_person(handed)
        if told.dial:
            assert self.placed is not None
            call = await self.placed.find(told.dial)
        else:
            call = self._describe(told)
        if call is None:
            return None
        anew = {"anew": "1"} if told.is_again else {}
        call = replace(
            call, context={**call.context, "line": told.line, **anew}, analogue=told.analogue
        )
        if handed is None:
            return call
        return come_back(call, "no-answer", handed.session_id, handed.language)

    async def _carry_placed(self, call: PhoneCall, edge: PhoneEdge) -> None:
        assert self.placed is not None
        reason = "error"
        try:
            begin = partial(self.placed.began, call.session_id)
            reason = await self._phones.carry(call, edge, begin)
        finally:
            await self.placed.ended(call.session_id, reason)

    def _describe(self, call: Announced) -> PhoneCall:
        number = self._config.telephony.numbers.get(call.did, NumberSection())
        if number.tenant != call.tenant:
            number = NumberSection()
        number = number.model_copy(
            update={"tenant": call.tenant, "mode": number.mode or self._section.mode}
        )
        return replace(incoming_call(number, call.caller, call.did), context={"line": call.line})


def _handed(wire: AsteriskWire, call: PhoneCall) -> Handed:
    return Handed(call.session_id, call.tenant, call.mode, call.language, wire.summary)


def _say(word: str, status: int = 200) -> web.Response:
    return web.Response(text=word, status=status, headers={"Cache-Control": "no-store"})
