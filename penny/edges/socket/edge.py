"""The `/ws` edge: one WebSocket client on one side, Realtime events on the other.

Two tasks touch the socket: the reader (``read``, run by the gateway's handler) and the writer
(``write``), which alone sends. What the writer sends first is control messages, then audio that
is due: an interruption never waits behind the voice it interrupts.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from penny.aio.channel import Channel, ChannelClosed
from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.player import Player
from penny.edges.socket.translate import Effects, Translator
from penny.errors import PennyError, ProtocolError
from penny.ids import new_id
from penny.protocol.codec import check_audio, dump, parse_client_message
from penny.protocol.conversation import Interrupt, Playback, TextInput
from penny.protocol.error import CloseCode, SessionError, SessionWarning
from penny.protocol.message import ClientMessage, ServerEvent
from penny.protocol.session import (
    AudioFormats,
    Ping,
    Pong,
    SessionEnd,
    SessionEnded,
    SessionStart,
    StreamFormat,
    Totals,
)


log = structlog.get_logger()

Json = dict[str, Any]

INBOUND_EVENTS = 256
"""Caller events waiting for the speaker (five seconds of 20 ms audio). When it is full the reader
stops reading and TCP holds the client back."""
CONTROL_EVENTS = 4_096
"""Messages waiting for a client that does not read; past that the session ends."""

CLOSE_CODES: dict[str, int] = {
    "client_ended": CloseCode.NORMAL,
    "drain": CloseCode.GOING_AWAY,
    "speaker_lost": CloseCode.SPEAKER_LOST,
    "error": CloseCode.INTERNAL_ERROR,
}


@dataclass(frozen=True, slots=True)
class PlaybackSettings:
    """``lead_ms``: how far ahead of being heard audio is sent. ``limit_ms``: most that may wait."""

    lead_ms: int = 120
    limit_ms: int = 300_000


class SocketEdge:
    """One client of ``/ws`` after its ``session_start``."""

    name = "socket"

    def __init__(
        self,
        socket: web.WebSocketResponse,
        formats: AudioFormats,
        settings: PlaybackSettings,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._formats = formats
        self._clock = clock
        self._to_24k = Converter(_format(formats.input), PCM24K)
        self._player = Player(
            _format(formats.output), lead_ms=settings.lead_ms, limit_ms=settings.limit_ms
        )
        self._view = Translator(self._player)
        self._inbound: Channel[Json] = Channel(INBOUND_EVENTS, on_full="pause")
        self._control: deque[str] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.end_reason = "client_gone"

    # -- reading ------------------------------------------------------------------------------

    async def read(self) -> None:
        """Read the socket until it ends; then no more events come from this caller."""
        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY:
                    await self._take_audio(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._take_text(message.data)
                else:
                    break
        except ChannelClosed:
            pass
        finally:
            self._inbound.close()

    async def _take_audio(self, data: bytes) -> None:
        try:
            check_audio(len(data), self._formats.input)
        except ProtocolError as error:
            self.post(_as_event(error))
            return
        pcm = self._to_24k.process(data)
        if pcm:
            await self._inbound.send(
                {"type": "input_audio_buffer.append", "audio": b64encode(pcm).decode("ascii")}
            )

    async def _take_text(self, text: str) -> None:
        try:
            message = parse_client_message(text)
        except ProtocolError as error:
            self.post(_as_event(error))
            return
        for field in message.ignored:
            self.post(
                SessionWarning(code="field_ignored", message=f"{field}: is not known", field=field)
            )
        await self._take_message(message)

    async def _take_message(self, message: ClientMessage) -> None:
        now_s = self._clock()
        match message:
            case Playback(item_id=item_id, played_ms=played_ms, ended=ended):
                self._player.report(item_id, played_ms, now_s, ended=ended)
                self._wake.set()
            case TextInput(text=text):
                await self._take_typed(text)
            case Interrupt():
                await self._apply(self._view.interrupt(now_s))
            case Ping(nonce=nonce):
                self.post(Pong(nonce=nonce))
            case SessionEnd():
                self.end_reason = "client_ended"
                self._inbound.close()
            case SessionStart():
                self.post(
                    SessionError(
                        code="session_already_started",
                        message="this connection has a session; open another for a second one",
                        retryable=False,
                    )
                )

    async def _take_typed(self, text: str) -> None:
        if self._player.is_playing(self._clock()):
            await self._apply(self._view.interrupt(self._clock()))
        item_id = new_id("item")
        self.post(self._view.typed(item_id, text))
        content = [{"type": "input_text", "text": text}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        await self._inbound.send({"type": "conversation.item.create", "item": item})
        await self._inbound.send({"type": "response.create"})

    # -- the session's side -------------------------------------------------------------------

    async def events(self) -> AsyncIterator[Json]:
        async for event in self._inbound:
            yield event

    async def deliver(self, event: Json) -> None:
        await self._apply(self._view.speaker_event(event, self._clock()))
        self._wake.set()

    async def _apply(self, effects: Effects) -> None:
        for event in effects.to_caller:
            self.post(event)
        for realtime in effects.to_speaker:
            try:
                await self._inbound.send(realtime)
            except ChannelClosed:
                return  # the caller hung up meanwhile; there is no history left to cut

    def post(self, event: ServerEvent) -> None:
        """Queue a message for the client. A client that reads nothing loses its session."""
        if len(self._control) >= CONTROL_EVENTS:
            log.warning("client_does_not_read", waiting=len(self._control))
            self._inbound.close()
            return
        self._control.append(dump(event))
        self._wake.set()

    async def write(self) -> None:
        """Send what is queued, control first, audio when it is due, until the edge closes."""
        while not self._closed:
            self._wake.clear()
            await self._send_control()
            for due in self._player.due(self._clock()):
                sent = self._view.played(due)
                if isinstance(sent, bytes):
                    await self._socket.send_bytes(sent)
                else:
                    self._control.append(dump(sent))
                    await self._send_control()
                if self._control:
                    await self._send_control()
            await self._rest()

    async def _send_control(self) -> None:
        while self._control:
            await self._socket.send_str(self._control.popleft())

    async def _rest(self) -> None:
        """Sleep until something is posted or the next frame is due."""
        if self._control:
            return
        now_s = self._clock()
        due_s = self._player.next_due_s(now_s)
        if due_s is None:
            await self._wake.wait()
        elif due_s > now_s:
            timer = asyncio.get_running_loop().call_at(due_s, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    async def aclose(self, reason: str, totals: Json) -> None:
        """Say ``session_ended`` and close the socket."""
        if self._closed:
            return
        self._closed = True
        self._inbound.close()
        self._wake.set()
        if self._socket.closed:
            return
        ended = SessionEnded(
            reason=reason,  # type: ignore[arg-type]  # the session's reasons are the protocol's
            totals=Totals.model_validate(
                {
                    **totals,
                    "turns": self._view.turns,
                    "interruptions": self._view.interruptions,
                    "audio_out_ms": round(self._player.sent_total_ms),
                }
            ),
        )
        try:
            async with asyncio.timeout(2.0):
                await self._send_control()
                await self._socket.send_str(dump(ended))
                await self._socket.close(code=CLOSE_CODES.get(reason, CloseCode.NORMAL))
        except (ConnectionError, TimeoutError):
            log.info("client_left_before_goodbye", reason=reason)


def _format(stream: StreamFormat) -> AudioFormat:
    return AudioFormat(stream.encoding, stream.rate_hz)


def _as_event(error: PennyError) -> SessionError:
    return SessionError(
        code=error.code, message=error.message, retryable=error.retryable, field=error.field
    )
