"""A Realtime client over WebRTC: its events on a data channel, the voices on tracks.

The channel is a Realtime client like one on a socket (``RealtimeEdge``). What is added is
playback, which on this carrier is the server's: audio is paced here, what was not heard is cut
from the history here, and the client is told by ``output_audio_buffer.*`` events. Keys that the
caller presses sound as tones on the track: they are told, and not heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from penny.audio.format import PCM24K, AudioFormat
from penny.audio.keypad import KeyTones
from penny.edges.playback import Playback
from penny.edges.player import Cut, Frame, ItemHeard, ItemStarted
from penny.edges.realtime.edge import RealtimeEdge
from penny.edges.webrtc.channel import ChannelConnection
from penny.edges.webrtc.track import SILENCE, TrackClock, TrackEars, Voice
from penny.ids import new_id
from penny.session.edge import EdgeSink


log = structlog.get_logger()

Json = dict[str, Any]

FLUSH_S = 2.0
"""Most that a goodbye takes to leave."""


class WebRtcEdge:
    """One caller on a peer connection.

    Args:
        channel: what ``events`` writes on.
        events: the client's events, without audio.
        session: the effective session, whose ``interrupt_response`` decides whether speech stops
            the playback.
        voice: plays what the caller is to hear; it gets 20 ms every 20 ms.
        clock: the loop's, seconds.
        wall_clock: Unix time in seconds, at which a key is told to have come.
    """

    name = "webrtc"

    def __init__(
        self,
        channel: ChannelConnection,
        events: RealtimeEdge,
        session: Json,
        voice: Voice,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._channel = channel
        self._events = events
        self._side: list[RealtimeEdge] = []
        self._session = session
        self._clock = TrackClock(clock, self._send_frame)
        self._ears = TrackEars(self._to_session)
        self._tones = KeyTones(PCM24K)
        self._wall_clock = wall_clock
        self._playback = Playback(PCM24K, lead_ms=0)
        self._playback.may_interrupt = interrupts(session)
        self._voice = voice
        self._sink: EdgeSink | None = None
        self._sounding = ""
        self._closed = False
        self.end_reason = "client_gone"

    # -- what the caller sends ----------------------------------------------------------------

    def start(self, sink: EdgeSink) -> None:
        self._sink = sink
        self._clock.start()
        self._ears.resume()
        self._events.start(self)

    def hear(self, pcm: bytes, heard: AudioFormat) -> None:
        """Take a piece of the caller's voice."""
        if self._tones.line != heard:
            self._tones = KeyTones(heard)
        sound, keys = self._tones.take(pcm)
        for key in keys:
            pressed = {"event": key, "received_at": int(self._wall_clock())}
            self._tell({"type": "input_audio_buffer.dtmf_event_received", **pressed})
        self._ears.hear(sound, heard)

    def on_event(self, event: Json) -> None:
        """Take an event of the client's channel, or of a sideband connection."""
        if event["type"] == "output_audio_buffer.clear":
            self._take_cuts(self._playback.interrupt(self._clock.next_s))
            return
        if event["type"] == "session.update":
            event = {**event, "session": without_formats(event["session"])}
        self._to_session(event)

    def on_closed(self) -> None:
        """The client's channel or its connection is gone."""
        self.end_reason = self._events.end_reason
        if self._sink is not None and not self._closed:
            self._sink.on_closed()

    def pause(self) -> None:
        self._ears.pause()
        self._events.pause()

    def resume(self) -> None:
        self._events.resume()
        self._ears.resume()

    def _to_session(self, event: Json) -> None:
        if self._sink is not None and not self._closed:
            self._sink.on_event(event)

    # -- the session's side -------------------------------------------------------------------

    def attach(self, side: RealtimeEdge) -> None:
        """Another connection takes part (``?call_id=``): it sees every event and may send."""
        self._side.append(side)
        side.open(self._session)
        side.start(_Sideband(self, side))

    def detach(self, side: RealtimeEdge) -> None:
        if side in self._side:
            self._side.remove(side)

    def deliver(self, event: Json) -> None:
        kind = event["type"]
        if kind != "response.output_audio.delta":
            if kind == "session.updated":
                self._session = event["session"]
                self._playback.may_interrupt = interrupts(self._session)
            self._tell(event)
        cuts = self._playback.take(event, self._clock.next_s)
        if cuts is not None:
            self._take_cuts(cuts)
        elif kind == "response.done":
            self._end_sounding()

    def _tell(self, event: Json) -> None:
        self._events.deliver(event)
        for side in self._side:
            side.deliver(event)

    # -- playback -----------------------------------------------------------------------------

    def _send_frame(self, now_s: float) -> None:
        voice = b""
        for due in self._playback.player.due(now_s):
            match due:
                case Frame(data=data):
                    voice += data
                case ItemStarted(response_id=response_id) if response_id != self._sounding:
                    self._end_sounding()
                    self._sounding = response_id
                    self._tell_buffer("started", response_id)
                case ItemHeard():
                    self._end_sounding()
                case _:
                    pass
        self._voice.play(voice + SILENCE[len(voice) :])

    def _end_sounding(self) -> None:
        """Say that a response was heard to its end, once nothing more of it can come."""
        response_id = self._sounding
        if not response_id or self._playback.is_active(response_id):
            return
        if not self._playback.player.is_playing(self._clock.next_s):
            self._sounding = ""
            self._tell_buffer("stopped", response_id)

    def _take_cuts(self, cuts: list[Cut]) -> None:
        """Drop from the history what was not heard."""
        for cut in cuts:
            self._to_session(cut.as_event())
        if self._sounding:
            self._tell_buffer("cleared", self._sounding)
            self._sounding = ""

    def _tell_buffer(self, what: str, response_id: str) -> None:
        kind = f"output_audio_buffer.{what}"
        self._tell({"type": kind, "event_id": new_id("event"), "response_id": response_id})

    # -- the end ------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """End the call as if the client had said goodbye (``POST …/hangup``)."""
        self._channel.lost(1000)

    async def aclose(self, reason: str, totals: Json) -> None:
        if self._closed:
            return
        self._closed = True
        self._clock.stop()
        for edge in (*self._side, self._events):
            await edge.aclose(reason, totals)
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._channel.flushed.wait()
        except TimeoutError:
            log.info("webrtc_goodbye_unread")
        await self._voice.aclose()


class _Sideband:
    """Hands a sideband connection's events on; its end does not end the call."""

    def __init__(self, edge: WebRtcEdge, side: RealtimeEdge) -> None:
        self._edge = edge
        self._side = side

    def on_event(self, event: Json) -> None:
        self._edge.on_event(event)

    def on_closed(self) -> None:
        self._edge.detach(self._side)


def interrupts(session: Json) -> bool:
    """Whether the caller's speech stops an answer (``turn_detection.interrupt_response``)."""
    detection = session.get("audio", {}).get("input", {}).get("turn_detection")
    return isinstance(detection, dict) and detection.get("interrupt_response", True) is not False


def without_formats(session: Json) -> Json:
    """The session less its audio formats: what travels is agreed on in the SDP."""
    audio = session.get("audio")
    if not isinstance(audio, dict):
        return session
    sides = {
        name: {k: v for k, v in side.items() if k != "format"} if isinstance(side, dict) else side
        for name, side in audio.items()
    }
    return {**session, "audio": sides}
