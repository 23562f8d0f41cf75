"""The `/ws` edge: one WebSocket client on one side, Realtime events on the other.

Two tasks touch the socket: the reader (``read``, run by the gateway's handler) and the writer
(``write``), which sends: control messages first, then audio that is due, so an interruption never
waits behind the voice it interrupts. While both rest and nobody has to wait, a message takes no
turn of theirs: it goes its whole way, in either direction, in the step in which it arrives.

The edge outlives its socket: a connection that is lost without a goodbye leaves the edge waiting
``hold_s`` for another (``resume``), which gets every message the first one missed. The session
behind it notices nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from aiohttp import WSMsgType

from penny.aio.channel import ChannelClosed
from penny.aio.inlet import Message, find_inlet
from penny.audio.format import AudioFormat
from penny.edges.player import FRAME_MS, Frame, Player
from penny.edges.socket.caller_audio import CallerAudio
from penny.edges.socket.inbox import Inbox
from penny.edges.socket.translate import NOTHING, Effects, Translator
from penny.edges.socket.wire import HoldSettings, Line, Wire
from penny.errors import PennyError, ProtocolError
from penny.ids import new_id
from penny.protocol.codec import dump, parse_client_message
from penny.protocol.conversation import Interrupt, Playback, TextInput
from penny.protocol.error import CloseCode, SessionError, SessionWarning
from penny.protocol.message import ClientMessage, ServerEvent
from penny.protocol.session import (
    AudioFormats,
    Ping,
    Pong,
    SessionEnd,
    SessionEnded,
    SessionResume,
    SessionResumed,
    SessionStart,
    Totals,
)
from penny.trust.limits import MessageRate


log = structlog.get_logger()

Json = dict[str, Any]

GOODBYE_S = 1.0
"""Most that a client who hangs up waits for its last words to be taken."""

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
    """One client of ``/ws`` after its ``session_start``.

    Args:
        clock: the loop's clock, seconds.
        hold: whether a lost client may come back; None: it may not.
        rate: of its JSON messages; one too many is answered by an error and not taken.
        on_leave: ends the session of a client that said goodbye.
    """

    name = "socket"

    def __init__(
        self,
        line: Line,
        formats: AudioFormats,
        settings: PlaybackSettings,
        *,
        clock: Callable[[], float],
        hold: HoldSettings | None = None,
        rate: MessageRate | None = None,
        on_leave: Callable[[], object] | None = None,
    ) -> None:
        self._on_leave = on_leave
        self._clock = clock
        self._rate = rate or MessageRate(None)
        output = AudioFormat(formats.output.encoding, formats.output.rate_hz)
        self._player = Player(output, lead_ms=settings.lead_ms, limit_ms=settings.limit_ms)
        self._view = Translator(self._player)
        self._inbox = Inbox()
        self._audio = CallerAudio(formats.input, self._inbox)
        self._wire = Wire(line, hold or HoldSettings(), self._inbox.close)
        self._closed = False
        self.end_reason = "client_gone"
        self.resumed = 0
        """Times the client came back."""

    @property
    def dropped_in(self) -> int:
        """Audio messages of the caller that a frozen speaker never took."""
        return self._inbox.dropped

    # -- connections --------------------------------------------------------------------------

    def resume(self, session_id: str, line: Line, received: int) -> bool:
        """Go on over another connection; False when that is not possible any more.

        Args:
            received: messages the client has of this session.
        """
        missed = None if self._is_leaving else self._wire.resume(line, received)
        if missed is None:
            return False
        self.resumed += 1
        now_s = self._clock()
        self._player.start_again(now_s)
        for item_id, audio_ms in missed.audio_ms.items():
            self._player.resend(item_id, audio_ms, now_s)
        resumed = SessionResumed(
            session_id=session_id,
            replayed=missed.messages,
            lost_audio_ms=missed.lost_frames * FRAME_MS,
        )
        self._wire.greet(dump(resumed))
        return True

    @property
    def _is_leaving(self) -> bool:
        return self._closed or self.end_reason == "client_ended"

    # -- reading ------------------------------------------------------------------------------

    async def read(self, line: Line | None = None) -> None:
        """Read a connection (the first one unless given) until it ends or another replaces it."""
        line = line or self._wire.line
        if line is None:
            return
        inlet = find_inlet(line.socket)
        if inlet is not None:
            inlet.take = partial(self._take_at_once, line)
        try:
            while True:
                message = await line.socket.receive()
                if line is not self._wire.line:
                    return
                if message.type is WSMsgType.BINARY:
                    await self._take_audio(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._take_text(message.data)
                else:
                    break
        except ChannelClosed:
            return
        finally:
            if inlet is not None:
                inlet.take = None  # it would hold the edge, and the edge holds it
            self._wire.lose(line, leaving=self._is_leaving)

    def _take_at_once(self, line: Line, message: Message) -> bool:
        """Take a message in the step in which it arrives; False leaves it to ``read``."""
        if line is not self._wire.line or not self._inbox.filled.is_waited_for:
            return False  # the speaker is behind: whoever reads may have to wait
        if message.type is WSMsgType.BINARY:
            try:
                self._audio.take_at_once(message.data)
            except ProtocolError as error:
                self.post(_as_event(error))
            return True
        if message.type is WSMsgType.TEXT:
            self._take_text(message.data)
            return True
        return False

    async def _take_audio(self, data: bytes) -> None:
        try:
            await self._audio.take(data)
        except ProtocolError as error:
            self.post(_as_event(error))

    def _take_text(self, text: str) -> None:
        wait_s = self._rate.take(self._clock())
        if wait_s > 0:
            self.post(_too_fast(wait_s))
            return
        try:
            message = parse_client_message(text)
        except ProtocolError as error:
            self.post(_as_event(error))
            return
        for field in message.ignored:
            self.post(
                SessionWarning(code="field_ignored", message=f"{field}: is not known", field=field)
            )
        self._take_message(message)

    def _take_message(self, message: ClientMessage) -> None:
        now_s = self._clock()
        match message:
            case Playback(item_id=item_id, played_ms=played_ms, ended=ended):
                self._player.report(item_id, played_ms, now_s, ended=ended)
                self._wire.note_played(item_id, played_ms)
                self._ring(now_s)  # an item may be over sooner
            case TextInput(text=text):
                self._take_typed(text)
            case Interrupt():
                self._apply(self._view.interrupt(now_s))
            case Ping(nonce=nonce):
                self.post(Pong(nonce=nonce))
            case SessionEnd():
                self._leave()
            case SessionStart() | SessionResume():
                self.post(
                    SessionError(
                        code="session_already_started",
                        message="this connection has a session; open another for a second one",
                        retryable=False,
                    )
                )

    def _leave(self) -> None:
        """A goodbye waits for what was said before it, but not for a speaker that takes nothing."""
        self.end_reason = "client_ended"
        self._inbox.close()
        if self._on_leave is not None:
            asyncio.get_running_loop().call_later(GOODBYE_S, self._on_leave)

    def _take_typed(self, text: str) -> None:
        if self._player.is_playing(self._clock()):
            self._apply(self._view.interrupt(self._clock()))
        item_id = new_id("item")
        self.post(self._view.typed(item_id, text))
        content = [{"type": "input_text", "text": text}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        self._inbox.put({"type": "conversation.item.create", "item": item})
        self._inbox.put({"type": "response.create"})

    # -- the session's side -------------------------------------------------------------------

    def events(self) -> AsyncIterator[Json]:
        return aiter(self._inbox)

    def hand_over_to(self, carry: Callable[[Json], bool]) -> None:
        self._audio.hand_over_to(carry)

    def deliver(self, event: Json) -> None:
        now_s = self._clock()
        effects = self._view.speaker_event(event, now_s)
        if effects is not NOTHING:
            self._apply(effects)
        if not self._wire.is_resting:
            self._wire.wake.set()
            return
        # Waking the writer for each frame would cost more than writing it here.
        for due in self._player.due(now_s):
            self._wire.write(due if isinstance(due, Frame) else dump(self._view.played(due)))
        self._ring(now_s)

    def _ring(self, now_s: float) -> None:
        """Have the writer woken when the player has something."""
        due_s = self._player.next_due_s(now_s)
        if due_s is not None:
            self._wire.wake.ring_at(due_s)

    def _apply(self, effects: Effects) -> None:
        for event in effects.to_caller:
            self.post(event)
        for realtime in effects.to_speaker:
            try:
                self._inbox.put(realtime)
            except ChannelClosed:
                return  # the caller hung up meanwhile; there is no history left to cut

    def post(self, event: ServerEvent) -> None:
        """Queue a message for the client. A client that reads nothing loses its session."""
        if not self._wire.post(dump(event)):
            log.warning("client_does_not_read", waiting=self._wire.waiting)
            self._inbox.close()

    async def write(self) -> None:
        """Send what is queued, control first, audio when it is due, until the edge closes."""
        while not self._closed:
            line = self._wire.line
            if line is None:
                await self._wire.wake.wait()
                continue
            try:
                if self._wire.waiting:
                    await self._wire.send_control(line)
                for due in self._player.due(self._clock()):
                    self._wire.play(due if isinstance(due, Frame) else dump(self._view.played(due)))
                await self._wire.send_all(line)
            except ConnectionError:
                self._wire.lose(line, leaving=self._is_leaving)
                continue
            await self._rest()

    async def _rest(self) -> None:
        """Sleep until something is posted or the next frame is due."""
        if self._wire.waiting:
            return
        now_s = self._clock()
        due_s = self._player.next_due_s(now_s)
        if due_s is None or due_s > now_s:
            await self._wire.wake.wait(due_s)

    async def aclose(self, reason: str, totals: Json) -> None:
        """Say ``session_ended`` and close the socket."""
        if self._closed:
            return
        self._closed = True
        self._inbox.close()
        self._wire.wake.set()
        self._wire.wake.close()
        self._wire.forget_hold()
        line = self._wire.line
        if line is None or line.socket.closed:
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
            details=totals.get("details", {}),
        )
        try:
            async with asyncio.timeout(2.0):
                await self._wire.send_control(line)
                await line.socket.send_str(dump(ended))
                await line.socket.close(code=CLOSE_CODES.get(reason, CloseCode.NORMAL))
        except (ConnectionError, TimeoutError):
            log.info("client_left_before_goodbye", reason=reason)
            line.abort()


def _too_fast(wait_s: float) -> SessionError:
    return SessionError(
        code="rate_limited",
        message="too many messages; this one was not taken",
        retryable=True,
        retry_after_ms=round(wait_s * 1000),
    )


def _as_event(error: PennyError) -> SessionError:
    return SessionError(
        code=error.code, message=error.message, retryable=error.retryable, field=error.field
    )
