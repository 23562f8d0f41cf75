"""The `/ws` edge: one WebSocket client on one side, Realtime events on the other.

No task belongs to it: a message goes its whole way, in either direction, in the step in which it
arrives, and audio leaves when a timer says that it is due. Control goes out before audio, so an
interruption never waits behind the voice it interrupts.

The edge outlives its socket: a connection that is lost without a goodbye leaves the edge waiting
``hold_s`` for another (``reconnect``), which gets every message the first one missed. The session
behind it notices nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from config.trust import ResumeSection
from penny.aio.websocket import SocketConnection
from penny.audio.format import AudioFormat
from penny.edges.player import FRAME_MS, Frame, Player
from penny.edges.socket.inbound import CallerAudio
from penny.edges.socket.media import MediaTracks
from penny.edges.socket.sender import ResumableSender
from penny.edges.socket.translate import NOTHING, Effects, Translator
from penny.edges.webrtc.track import Voice
from penny.errors import PennyError, ProtocolError
from penny.ids import new_id
from penny.protocol.codec import dump, parse_client_message
from penny.protocol.conversation import Interrupt, Interruption, Playback, TextInput
from penny.protocol.error import CloseCode, SessionError, SessionWarning
from penny.protocol.message import ClientMessage, ServerEvent
from penny.protocol.session import (
    AudioFormats,
    MediaOffer,
    Ping,
    Pong,
    SessionEnd,
    SessionEnded,
    SessionResume,
    SessionResumed,
    SessionStart,
    Totals,
)
from penny.session.edge import EdgeSink
from penny.trust.limits import MOST_REST_S, MessageRate


log = structlog.get_logger()

Json = dict[str, Any]

DOES_NOT_READ = "client_does_not_read"
CLOSE_CODES: dict[str, int] = {
    "client_ended": CloseCode.NORMAL,
    "drain": CloseCode.GOING_AWAY,
    DOES_NOT_READ: CloseCode.DOES_NOT_READ,
    "speaker_lost": CloseCode.SPEAKER_LOST,
    "error": CloseCode.INTERNAL_ERROR,
}


LEAD_MS = 120
"""How far ahead of being heard audio is sent: the client's jitter buffer."""
LIMIT_MS = 300_000
"""Most audio that may wait to be sent."""
NO_HOLD = ResumeSection(hold_s=0.0)


class SocketEdge:
    """One client of ``/ws`` after its ``session_start``.

    Args:
        clock: the loop's clock, seconds.
        hold: how long a lost client may take to come back, and what is kept for it.
        rate: of its JSON messages; one too many is answered by an error and not taken.
        answer_offer: answers an offer (SDP) to carry the audio by WebRTC, in its own time.
    """

    name = "socket"

    def __init__(
        self,
        connection: SocketConnection,
        formats: AudioFormats,
        *,
        clock: Callable[[], float],
        hold: ResumeSection = NO_HOLD,
        rate: MessageRate | None = None,
        answer_offer: Callable[[str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._answer_offer = answer_offer
        self._rate = rate or MessageRate(None)
        output = AudioFormat(formats.output.encoding, formats.output.rate_hz)
        self._player = Player(output, lead_ms=LEAD_MS, limit_ms=LIMIT_MS)
        self._view = Translator(self._player)
        self._audio = CallerAudio(formats.input)
        self.media = MediaTracks(output, clock, self._to_session)
        self._sender = ResumableSender(connection, hold, self._hang_up)
        self._sink: EdgeSink | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_at_s = 0.0
        self._is_paused = False
        self._has_left = False
        self._closed = False
        self._taken_texts = 0
        self.end_reason = "client_gone"
        self.resumed = 0
        """Times the client came back."""

    # -- connections --------------------------------------------------------------------------

    def start(self, sink: EdgeSink) -> None:
        self._sink = sink
        if self._has_left:
            self._sink = None
            sink.on_closed()
        elif self._sender.connection is not None:
            self._sender.connection.start(self)

    def pause(self) -> None:
        self._is_paused = True
        self.media.ears.pause()
        if self._sender.connection is not None:
            self._sender.connection.pause()

    def resume(self) -> None:
        self._is_paused = False
        self.media.ears.resume()
        if self._sender.connection is not None:
            self._sender.connection.resume()

    def reconnect(self, session_id: str, connection: SocketConnection, received: int) -> bool:
        """Go on over another connection; False when that is not possible any more.

        Args:
            received: messages the client has of this session.
        """
        missed = None if self._is_leaving else self._sender.reconnect(connection, received)
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
            received=self._taken_texts,
            lost_audio_ms=missed.lost_frames * FRAME_MS,
        )
        self._sender.greet(dump(resumed))
        self._play(now_s)
        if self._is_paused:
            connection.pause()
        if self._sink is not None:
            connection.start(self)
        return True

    @property
    def _is_leaving(self) -> bool:
        return self._closed or self._has_left

    @property
    def lost_s(self) -> float | None:
        """Since when the client is lost, by the loop's clock; None while it is there."""
        return None if self._is_leaving else self._sender.lost_s

    def give_up(self) -> None:
        """Wait no longer for a client that is lost."""
        self._hang_up()

    def _hang_up(self) -> None:
        """The client is gone for good."""
        if not self._has_left:
            self._has_left = True
            sink, self._sink = self._sink, None
            if sink is not None:
                sink.on_closed()

    # -- what the client sends ----------------------------------------------------------------

    def on_message(self, message: str | bytes) -> None:
        """Take one message of the client's."""
        if self._sink is None:
            return
        if isinstance(message, str):
            self._taken_texts += 1
            self._take_text(message)
            return
        try:
            event = self._audio.event(message)
        except ProtocolError as error:
            self.post(_as_event(error))
            return
        if event is not None:
            self._sink.on_event(event)

    def on_closed(self) -> None:
        """A connection has ended: this client's, or one that another replaced before."""
        connection = self._sender.connection
        if connection is not None and connection.close_code is not None:
            self._sender.lose(leaving=self._is_leaving)

    def on_writable(self) -> None:
        """Send what waits, and what is due by now."""
        self._sender.flush()
        self._play(self._clock())

    def _to_session(self, event: Json) -> None:
        if self._sink is not None:
            self._sink.on_event(event)

    def _take_text(self, text: str) -> None:
        if self._is_too_fast(self._rate.take(self._clock(), len(text))):
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

    def _is_too_fast(self, wait_s: float, allowed_s: float = 0.0) -> bool:
        connection = self._sender.connection
        if wait_s > 0 and connection is not None:
            connection.slow_down(*([wait_s] if allowed_s else []))
        if wait_s > allowed_s:
            self.post(_too_fast(wait_s))
        return wait_s > allowed_s

    def _take_message(self, message: ClientMessage) -> None:
        now_s = self._clock()
        match message:
            case Playback() if self.media.is_on:
                pass  # of what came before the tracks
            case Playback(item_id=item_id, played_ms=played_ms, ended=ended):
                self._player.report(item_id, played_ms, now_s, ended=ended)
                self._sender.note_played(item_id, played_ms)
                self._wake_for(now_s)  # an item may be over sooner
            case TextInput(text=text):
                rest_s = self._rate.take_turn(now_s)
                if self._is_too_fast(rest_s, MOST_REST_S):
                    return
                self._take_typed(text)
            case Interrupt():
                self._apply(self._view.interrupt(now_s))
            case MediaOffer(sdp=sdp):
                self._take_offer(sdp)
            case Ping(nonce=nonce):
                self.post(Pong(nonce=nonce))
            case SessionEnd():
                self.end_reason = "client_ended"
                self._hang_up()
            case SessionStart() | SessionResume():
                self.post(
                    SessionError(
                        code="session_already_started",
                        message="this connection has a session; open another for a second one",
                        retryable=False,
                    )
                )

    def start_media(self, voice: Voice) -> None:
        """Audio goes on tracks from now on."""
        self._player.estimate()
        self.media.start(voice)

    def _take_offer(self, sdp: str) -> None:
        if self._answer_offer is None:
            self.post(_as_event(ProtocolError("media_offer: WebRTC is off here", field="type")))
        else:
            self._answer_offer(sdp)

    def _take_typed(self, text: str) -> None:
        self._apply(self._view.interrupt(self._clock()))
        item_id = new_id("item")
        self.post(self._view.typed(item_id, text))
        content = [{"type": "input_text", "text": text}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        self._to_session({"type": "conversation.item.create", "item": item})
        self._to_session(self._view.wish.begin(new_id("event")))

    # -- the session's side -------------------------------------------------------------------

    def deliver(self, event: Json) -> None:
        now_s = self._clock()
        effects = self._view.speaker_event(event, now_s)
        if effects is not NOTHING:
            self._apply(effects)
        self._play(now_s)

    def _play(self, now_s: float) -> None:
        """Send what is due, and look again when the next is. A client that is slow to take it,
        or away, gets it when it can: the player keeps and bounds it."""
        if self._closed or not (self._sender.is_ready or self.media.is_on):
            return
        for due in self._player.due(now_s):
            if not isinstance(due, Frame):
                self._sender.play(dump(self._view.played(due)))
            elif self.media.is_on:
                self.media.play(due.data)
            else:
                self._sender.play(due)
        self._wake_for(now_s)

    def _wake_for(self, now_s: float) -> None:
        """Have ``_play`` called when the player has something.

        A timer once set is kept, also when its cause has gone: making and cancelling one for each
        frame costs more than the wake-up too many.
        """
        due_s = self._player.next_due_s(now_s)
        if due_s is None or (self._timer is not None and self._due_at_s <= due_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_at_s = due_s
        self._timer = asyncio.get_running_loop().call_at(due_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._play(self._clock())

    def _apply(self, effects: Effects) -> None:
        for event in effects.to_caller:
            if isinstance(event, Interruption):
                self.media.flush()
            self.post(event)
        for realtime in effects.to_speaker:
            self._to_session(realtime)

    def post(self, event: ServerEvent) -> None:
        """Send a message to the client. One who reads nothing loses its session."""
        if self.end_reason == DOES_NOT_READ or self._sender.post(dump(event)):
            return
        log.warning("client_does_not_read", waiting_bytes=self._sender.waiting_bytes)
        if self._sender.connection is not None:
            self.end_reason = DOES_NOT_READ
        self._sender.forget_waiting()
        self._hang_up()

    async def aclose(self, reason: str, totals: Json) -> None:
        """Say ``session_ended`` and close the socket."""
        if self._closed:
            return
        self._closed = True
        self._sink = None
        if self._timer is not None:
            self._timer.cancel()
        self.media.stop()
        self._sender.forget_hold()
        connection = self._sender.connection
        if connection is None or not connection.is_open:
            return
        ended = SessionEnded(
            reason=reason,  # type: ignore[arg-type]  # the session's reasons are the protocol's
            totals=Totals.model_validate(
                {
                    **totals,
                    "turns": self._view.turns,
                    "interruptions": self._view.interruptions,
                    "audio_in_ms": round(self._audio.total_ms + self.media.ears.total_ms),
                    "audio_out_ms": round(self._player.sent_total_ms),
                }
            ),
            details=totals.get("details", {}),
        )
        self._sender.finish(dump(ended))
        # Not waited for: a client that is slow to answer holds neither its place nor the speaker.
        connection.begin_close(CLOSE_CODES.get(reason, CloseCode.NORMAL), reason)


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
