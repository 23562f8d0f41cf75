"""`/v1/realtime/calls`: Realtime sessions over WebRTC, as OpenAI's API opens them.

The offer comes by POST, as SDP alone or with a session in a form, and the answer carries every
candidate. The session lives on as a task of the door's own. What speaks WebRTC is a native library
that is loaded with the first call, so that a gateway without calls pays nothing for it.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import BodyPartReader, web

from config.credentials import is_loopback, read_secret
from config.schema import Config
from penny.aio.tasks import TaskOwner
from penny.dense import check_values
from penny.edges.socket.edge import SocketEdge
from penny.edges.webrtc.channel import ChannelConnection
from penny.edges.webrtc.edge import WebRtcEdge
from penny.errors import ModeUnavailable, PennyError, ProtocolError
from penny.gateway.realtime import Asked, LiveCall, RealtimeDoor, refuse
from penny.ids import new_id
from penny.protocol.error import SessionError
from penny.protocol.session import MediaAnswer
from penny.trust.client_secrets import check_session


if TYPE_CHECKING:
    from penny.edges.webrtc.peer import Peer

log = structlog.get_logger()

Json = dict[str, Any]

PATH = "/v1/realtime/calls"
MAX_OFFER_BYTES = 65_536
"""A browser's offer is about 2 KiB; with video and many candidates 10."""
BODY_WAIT_S = 10.0
SIP_ONLY = ("accept", "reject", "refer")
ANY_PAGE = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Location"}
"""A browser asks from the page of whoever uses this API. What it shows, and what the gate makes of
its origin, decides; no cookie travels with ``*``."""


class Peers:
    """Makes peer connections, and loads the native library that carries them with the first.

    Args:
        host: the address listened on; on loopback only, calls may come over loopback.
    """

    def __init__(self, config: Config, host: str) -> None:
        self._section = config.gateway.webrtc
        self._is_local = is_loopback(host)
        self._is_loaded = False

    async def load(self) -> None:
        """Raises ModeUnavailable where the library is not installed."""
        if self._is_loaded:
            return
        try:
            await asyncio.to_thread(partial(_import_engine, loopback=self._is_local))
        except ImportError as error:
            log.error("webrtc_missing", reason=str(error))  # noqa: TRY400
            raise ModeUnavailable(
                "WebRTC is not installed here; connect by WebSocket to /v1/realtime",
                remedy="install requirements/base.txt again",
            ) from error
        self._is_loaded = True

    def make(self) -> Peer:
        """A connection that has yet to answer its offer; after ``load``."""
        from penny.edges.webrtc.peer import IceSettings, Peer

        servers = []
        for server in self._section.ice_servers:
            secret = read_secret(server.credential_env, os.environ)
            word = secret.get_secret_value() if secret is not None else None
            servers.append((server.urls, server.username, word))
        return Peer(IceSettings(servers, self._section.port_range))


class SocketMedia:
    """The peer connection beside one session of ``/ws``: each offer takes the place of the last."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._tasks = TaskOwner("media")
        self._peer: Peer | None = None
        self.edge: SocketEdge

    def take(self, offer: str) -> None:
        self._tasks.spawn(self._answer(offer), name="media offer")

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._leave()

    async def _answer(self, offer: str) -> None:
        edge, tracks = self.edge, self.edge.media
        await self._leave()
        try:
            await self._peers.load()
            self._peer = peer = self._peers.make()
            answer = await peer.answer(
                offer,
                on_audio=tracks.hear,
                on_channel=lambda channel: channel.close(),
                on_gone=tracks.stop,
                on_connected=lambda: edge.start_media(peer),
            )
        except PennyError as error:
            await self._leave()
            edge.post(
                SessionError(code=error.code, message=error.message, retryable=False, field="sdp")
            )
        else:
            edge.post(MediaAnswer(sdp=answer))

    async def _leave(self) -> None:
        peer, self._peer = self._peer, None
        self.edge.media.stop()
        if peer is not None:
            await peer.aclose()


class WebRtcDoor:
    """Answers offers and carries the calls.

    Args:
        door: opens the sessions, and keeps the table of calls that other connections may join.
    """

    def __init__(self, door: RealtimeDoor, peers: Peers) -> None:
        self._door = door
        self._peers = peers
        self._tasks = TaskOwner("calls")

    def add_to(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._call)
        app.router.add_options(PATH, self._allow)
        app.router.add_post(PATH + "/{call_id}/hangup", self._hang_up)
        app.router.add_options(PATH + "/{call_id}/hangup", self._allow)
        for verb in SIP_ONLY:
            app.router.add_post(PATH + "/{call_id}/" + verb, self._refuse_sip)
        app.on_response_prepare.append(_open_to_pages)

    async def aclose(self) -> None:
        """End what still lives."""
        await self._tasks.aclose()

    # -- requests -----------------------------------------------------------------------------

    async def _allow(self, request: web.Request) -> web.Response:
        """What a browser asks before it sends another origin's offer with a key (CORS)."""
        asked = request.headers.get("Access-Control-Request-Headers", "")
        return web.Response(status=204, headers={"Access-Control-Allow-Headers": asked})

    async def _call(self, request: web.Request) -> web.Response:
        try:
            await self._door.identify(request)  # before a stranger's body is read
            offer, session = await _read_offer(request)
            asked = await self._door.ask(request, session)
            await self._peers.load()
            call_id = new_id("rtc")
            answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self._tasks.spawn(self._carry(call_id, asked, offer, answered), name=call_id)
            answer = await asyncio.shield(answered)
        except PennyError as error:
            return refuse(error)
        headers = {"Location": f"{PATH}/{call_id}"}
        return web.Response(
            status=201, text=answer, content_type="application/sdp", headers=headers
        )

    async def _hang_up(self, request: web.Request) -> web.Response:
        try:
            (await self._find(request)).edge.hang_up()
        except PennyError as error:
            return refuse(error)
        return web.Response()

    async def _refuse_sip(self, request: web.Request) -> web.Response:
        verb = request.path.rpartition("/")[2]
        try:
            await self._find(request)
        except PennyError as error:
            return refuse(error)
        return refuse(ProtocolError(f"'{verb}' is for SIP calls; this one came by WebRTC"))

    async def _find(self, request: web.Request) -> LiveCall:
        """The call that the address names. Raises PennyError."""
        identity = await self._door.identify(request)
        return self._door.find_call(identity, request.match_info["call_id"])

    # -- a call -------------------------------------------------------------------------------

    async def _carry(
        self, call_id: str, asked: Asked, offer: str, answered: asyncio.Future[str]
    ) -> None:
        """One call from the offer to the end; ``answered`` gets the SDP, or why there is none."""
        try:
            async with self._door.opened(asked, WebRtcEdge.name, holds_playback=True) as speaker:
                channel = ChannelConnection()
                events = self._door.edge(asked, channel)
                session = speaker.info["session"]
                peer = self._peers.make()
                clock = asyncio.get_running_loop().time
                edge = WebRtcEdge(channel, events, session, peer, clock, self._door.wall_clock)
                try:
                    answer = await peer.answer(
                        offer, on_audio=edge.hear, on_channel=channel.open, on_gone=channel.lost
                    )
                except ProtocolError:
                    await peer.aclose()
                    raise
                answered.set_result(answer)
                events.open(session)
                self._door.calls[call_id] = LiveCall(asked, edge)
                try:
                    await self._door.run(asked, edge, speaker)
                finally:
                    del self._door.calls[call_id]
        except PennyError as error:
            if answered.done():
                raise
            answered.set_exception(error)
        finally:
            if not answered.done():
                answered.cancel()


def _import_engine(*, loopback: bool) -> None:
    import webrtc

    if loopback:
        # Refused where an earlier gateway of this process has had calls: then it is allowed.
        with suppress(webrtc.InvalidStateError):
            webrtc.allow_loopback()
    import penny.edges.webrtc.peer  # noqa: F401


async def _open_to_pages(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(PATH):
        response.headers.update(ANY_PAGE)


async def _read_offer(request: web.Request) -> tuple[str, Json]:
    """The SDP, and the session that came with it.

    Raises:
        ProtocolError: there is none, or it is too long or late.
    """
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            if request.content_type == "application/sdp":
                return await _read_text(request.content, "sdp"), {}
            if request.content_type == "multipart/form-data":
                return await _read_form(request)
    except TimeoutError:
        raise ProtocolError(
            f"the body did not arrive within {BODY_WAIT_S:g} s", code="request_timeout"
        ) from None
    except ValueError as error:
        raise ProtocolError(f"the body cannot be read: {error}") from error
    raise ProtocolError(
        "Content-Type: send application/sdp, or multipart/form-data with 'sdp' and 'session'",
        field="Content-Type",
    )


async def _read_form(request: web.Request) -> tuple[str, Json]:
    offer = ""
    session: Json = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise ProtocolError("the form is nested; send 'sdp' and 'session' side by side")
        text = await _read_text(part, part.name or "a part")
        if part.name == "sdp":
            offer = text
        elif part.name == "session":
            try:
                check_values(text)
                session, _ = check_session(json.loads(text))
            except (ValueError, RecursionError) as error:
                raise ProtocolError("session: is not JSON", field="session") from error
    if not offer:
        raise ProtocolError("sdp: the form has none", field="sdp")
    return offer, session


async def _read_text(source: Any, name: str) -> str:
    """What is left of a body or of a part of a form. Raises ProtocolError, UnicodeDecodeError."""
    body = bytearray()
    while True:
        piece = await (
            source.read_chunk() if isinstance(source, BodyPartReader) else source.readany()
        )
        if not piece:
            return body.decode()
        body += piece
        if len(body) > MAX_OFFER_BYTES:
            raise ProtocolError(
                f"{name}: is longer than {MAX_OFFER_BYTES} bytes", code="too_long", field=name
            )
