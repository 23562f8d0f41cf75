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
from typing import Any

import structlog
from aiohttp import BodyPartReader, web

from config.credentials import is_loopback, read_secret
from config.schema import Config
from penny.aio.tasks import TaskOwner
from penny.edges.webrtc.channel import ChannelConnection
from penny.edges.webrtc.edge import WebRtcEdge
from penny.errors import ModeUnavailable, PennyError, ProtocolError
from penny.gateway.realtime import Asked, LiveCall, RealtimeDoor, refuse
from penny.ids import new_id
from penny.trust.client_secrets import check_session


log = structlog.get_logger()

Json = dict[str, Any]

PATH = "/v1/realtime/calls"
MAX_OFFER_BYTES = 65_536
"""A browser's offer is about 2 KiB; with video and many candidates 10."""
BODY_WAIT_S = 10.0
SIP_ONLY = ("accept", "reject", "refer")


class WebRtcDoor:
    """Answers offers and carries the calls.

    Args:
        door: opens the sessions, and keeps the table of calls that other connections may join.
        host: the address listened on; on loopback only, calls may come over loopback.
    """

    def __init__(self, door: RealtimeDoor, config: Config, host: str) -> None:
        self._door = door
        self._config = config
        self._is_local = is_loopback(host)
        self._tasks = TaskOwner("calls")
        self._is_loaded = False

    def add_to(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._call)
        app.router.add_post(PATH + "/{call_id}/hangup", self._hang_up)
        for verb in SIP_ONLY:
            app.router.add_post(PATH + "/{call_id}/" + verb, self._refuse_sip)

    async def aclose(self) -> None:
        """End what still lives."""
        await self._tasks.aclose()

    # -- requests -----------------------------------------------------------------------------

    async def _call(self, request: web.Request) -> web.Response:
        try:
            offer, session = await _read_offer(request)
            asked = await self._door.ask(request, session)
            await self._load()
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
            call_id = request.match_info["call_id"]
            call = self._door.find_call(await self._door.identify(request), call_id)
        except PennyError as error:
            return refuse(error)
        call.edge.hang_up()
        return web.Response()

    async def _refuse_sip(self, request: web.Request) -> web.Response:
        verb = request.path.rpartition("/")[2]
        return refuse(ProtocolError(f"'{verb}' is for SIP calls; this gateway takes WebRTC calls"))

    # -- a call -------------------------------------------------------------------------------

    async def _carry(
        self, call_id: str, asked: Asked, offer: str, answered: asyncio.Future[str]
    ) -> None:
        """One call from the offer to the end; ``answered`` gets the SDP, or why there is none."""
        from penny.edges.webrtc.peer import Peer  # loaded by ``_load``

        try:
            async with self._door.opened(asked, WebRtcEdge.name) as speaker:
                channel = ChannelConnection()
                events = self._door.edge(asked, channel)
                session = speaker.info["session"]
                peer = Peer(self._ice())
                clock = asyncio.get_running_loop().time
                edge = WebRtcEdge(channel, events, session, peer, clock)
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

    async def _load(self) -> None:
        """Load the native library, once. Raises ModeUnavailable where it is not installed."""
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

    def _ice(self) -> Any:
        from penny.edges.webrtc.peer import IceSettings

        section = self._config.gateway.webrtc
        servers = []
        for server in section.ice_servers:
            secret = read_secret(server.credential_env, os.environ)
            word = secret.get_secret_value() if secret is not None else None
            servers.append((server.urls, server.username, word))
        return IceSettings(servers, section.port_range)


def _import_engine(*, loopback: bool) -> None:
    import webrtc

    if loopback:
        # Refused where an earlier gateway of this process has had calls: then it is allowed.
        with suppress(webrtc.InvalidStateError):
            webrtc.allow_loopback()
    import penny.edges.webrtc.peer  # noqa: F401


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
