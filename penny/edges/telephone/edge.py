"""A caller on a telephone, whatever carries the call.

The carrier's side is a ``Wire``; all that telephone wires share is here: pacing, position and
marks, gaps, keys, the last word before hanging up, and the end of a call whose peer is dead. It
begins before its session does: silence flows and the caller's first words are kept while what
answers still starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from penny.audio.format import AudioFormat
from penny.edges.player import Cut
from penny.edges.socket.typed import TypedWish
from penny.edges.telephone.concealment import Arrivals
from penny.edges.telephone.echo import FOUND_WITHIN_MS
from penny.edges.telephone.first_words import FirstWords, HandOver
from penny.edges.telephone.hold import HoldMusic
from penny.edges.telephone.keys import KEYS, Keys
from penny.edges.telephone.playout import Playout
from penny.edges.telephone.ticker import Ticker
from penny.edges.telephone.wire import Wire
from penny.edges.webrtc.track import TrackEars
from penny.ids import new_id
from penny.session.edge import EdgeSink


log = structlog.get_logger()

Json = dict[str, Any]

LAST_WORD_S = 30.0
"""Most that a call goes on for what is still to be heard when it ends."""
AFTER_LAST_WORD_S = 0.2
AT_ONCE = frozenset({"client_ended", "client_gone", "drain", "no_sound", "operator"})
"""Ends of a session at which the caller is not let hear the rest."""
HANDOFF = "handoff"
NO_SOUND = "no_sound"
"""The end of a call of whose caller nothing ever came."""
FAILED = frozenset({"error", "speaker_lost", "drain", "client_gone"})
"""Ends that leave the caller to what the carrier was told for that: they may still be there."""


class PhoneEdge:
    """One telephone call.

    Args:
        wire: the carrier's side; give it this edge.
        ticker: the process's.
        clock: the loop's, seconds.
    """

    name = "phone"

    def __init__(self, wire: Wire, ticker: Ticker, clock: Callable[[], float]) -> None:
        self._wire = wire
        self._ticker = ticker
        self._clock = clock
        self.playout = Playout(wire)
        self._line = AudioFormat("pcm16", wire.format.rate_hz)
        self._arrivals = Arrivals(wire.format.rate_hz)
        self._ears = TrackEars(self._to_session)
        self._keys = Keys()
        self._wish = TypedWish()
        self._sink: EdgeSink | None = None
        self._began_s = self._heard_s = clock()
        self._has_heard = False
        self._destination = self._summary = ""
        self._is_gone = self._is_closing = False
        self._quiet: asyncio.Future[None] | None = None
        self._quiet_since_s: float | None = None
        self.end_reason = "client_gone"
        self._entries: list[str] = []
        """Keyed in before the session began, or before its opening was heard."""
        self._first: FirstWords | None = None
        self._then: Callable[[], object] | None = None
        self._hand_over: HandOver | None = None
        self._is_paused = False
        self.only_listens = False
        """Whether nothing is answered for now: who is there is not known."""
        ticker.join(self._tick)

    # -- the carrier's side -------------------------------------------------------------------

    def hear(self, audio: bytes, at: int | None = None) -> None:
        """Take the caller's audio, in the wire's format.

        Args:
            at: the carrier's timestamp, in milliseconds or samples; None where it has none.
        """
        now_s = self._heard_s = self._clock()
        self._has_heard = True
        echo = self.playout.echo
        if self.playout.hold is not None:
            return
        was_known = echo.gain > 0
        pcm = echo.take(self._wire.format.to_pcm16(audio), now_s)
        if echo.gain > 0 and not was_known:
            self._ears.hush(FOUND_WITHIN_MS)
        self._ears.hear(self._arrivals.take(pcm, now_s, at), self._line)

    def press(self, key: str) -> None:
        """Take a key of the caller's, which stops what is being said to them; neither a last word
        is stopped nor what tells of a person."""
        now_s = self._heard_s = self._clock()
        if key not in KEYS or self._is_closing or self.playout.hold is not None:
            return
        if not self._keys and not self._must_hear:
            self._stop_answers(now_s)
        self._enter(self._keys.press(key, now_s))

    def marked(self, name: str) -> None:
        """A mark came back."""
        now_s = self._heard_s = self._clock()
        self.playout.marked(name, now_s)

    def left(self) -> None:
        """The caller hung up."""
        self.end_reason = "client_ended"
        self._end()

    def lost(self) -> None:
        """The connection to the carrier is gone, or nothing comes on it any more."""
        self._end()

    # -- the application's side ---------------------------------------------------------------

    def send_keys(self, digits: str) -> None:
        """Send keys to the other side (``Wire.send_keys``)."""
        self._wire.send_keys(digits)

    def hold(self, music: bytes | None) -> None:
        """Keep the caller waiting: what is being answered stops, they hear this and are not heard;
        None: they are back.

        Args:
            music: PCM16 at 8 000 Hz.
        """
        if self._is_closing or (music is None) == (self.playout.hold is None):
            return
        if music is None:
            self.playout.hold = None
            self._wire.flush()
            return
        self._stop_answers(self._clock())
        self.playout.hold = HoldMusic(music, self._wire.format)

    def answer_with(self, response: Json) -> None:
        """Stop what is being answered, and have this instead (of ``response.create``)."""
        if not self._is_closing and not self._must_hear and not self.only_listens:
            self._stop_answers(self._clock())
            self._to_session(self._wish.begin(new_id("event"), response))

    def ask(self, event: Json) -> None:
        """Send the speaker a client event of the application's."""
        self._to_session(event)

    def ask_for(self, response: Json) -> None:
        """Have the speaker say this (of ``response.create``), after what it is saying."""
        self._to_session(self._wish.begin(new_id("event"), response))

    def open_with(
        self,
        is_said: Callable[[str], bool],
        line: str,
        again: Json,
        then: Callable[[], object] | None = None,
    ) -> None:
        """Let the caller be heard only once they have heard the beginning of ``line``, the next
        thing that the speaker is asked to say, by ``is_said``; where it was cut, the response
        ``again`` (of ``response.create``) says it once more. What they say and key in meanwhile
        waits.

        Args:
            then: called once ``line`` was heard to its end, or given up; without it the caller is
                heard as soon as ``is_said``.
        """
        self._ears.pause()
        self._first = FirstWords(is_said, line, again, self._clock(), is_whole=then is not None)
        self._then = then

    def can_hand_over_to(self, name: str) -> bool:
        """Whether this call's carrier knows the name."""
        return self._wire.can_transfer(name)

    def hand_over_to(self, name: str) -> None:
        """Who the call goes to when its session ends by a hand-off."""
        self._destination = name

    @property
    def has_begun(self) -> bool:
        """Whether a session has it."""
        return self._sink is not None

    # -- the session's side -------------------------------------------------------------------

    def start(self, sink: EdgeSink) -> None:
        self._sink = sink
        if self._is_gone:
            sink.on_closed()
            return
        self._hear_caller()

    def deliver(self, event: Json) -> None:
        now_s = self._clock()
        for followed in (self._first, self._hand_over):
            if followed is not None:
                followed.take(event)
        self._tell_cuts(self.playout.take(event, now_s))
        if self._wire.lead_ms and event["type"] == "response.output_audio.delta":
            self.playout.send_due(now_s)  # a far side that buffers need not wait for the slot
        if event["type"] == "penny.handoff":
            self._destination = str(event.get("destination") or "")
            told = (event.get("reason"), event.get("summary"))
            self._summary = ". ".join(str(each) for each in told if each)
            self._hand_over = HandOver(event, now_s)
            self._ears.pause()
        elif event["type"] == "error" and (again := self._wish.again(event["error"])) is not None:
            self._to_session(again)

    def pause(self) -> None:
        self._is_paused = True
        self._ears.pause()

    def resume(self) -> None:
        self._is_paused = False
        if not self._must_hear:
            self._ears.resume()

    async def aclose(self, reason: str, totals: Json) -> None:
        """Let the last word be heard, then hang up, or hand the call over. Idempotent."""
        if self._is_closing:
            return
        self._is_closing = True
        self.playout.hold = None
        try:
            if reason not in AT_ONCE and not self._is_gone:
                await self._last_word()
        finally:
            self._ticker.leave(self._tick)
            await self._let_go(reason)

    async def _let_go(self, reason: str) -> None:
        if reason == HANDOFF and self._destination and not self._is_gone:
            if not await self._wire.transfer(self._destination, self._summary):
                await self._wire.leave()
        elif reason == NO_SOUND:
            await self._wire.connect_anew()
        elif reason in FAILED:
            await self._wire.leave()
        else:
            await self._wire.hang_up()

    async def _last_word(self) -> None:
        """Until the far side has played all that was said, and a moment more."""
        self._quiet = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(LAST_WORD_S):
                await self._quiet
        except TimeoutError:
            log.warning("last_word_not_heard", limit_s=LAST_WORD_S)

    # -- inside -------------------------------------------------------------------------------

    def _tick(self, slot_s: float) -> None:
        """One slot of the process's ticker: a fault here ends this call and no other."""
        try:
            self.playout.play(slot_s)
            if missing := self._arrivals.tick(slot_s):
                self._ears.hear(missing, self._line)
            self._enter(self._keys.due(slot_s))
            self._look_for_first_words(slot_s)
            self._look_for_quiet(slot_s)
            self._look_for_sound(slot_s)
            dead_s = self._wire.dead_after_s
            if dead_s is not None and slot_s - self._heard_s > dead_s:
                log.warning("phone_peer_dead", after_s=dead_s)
                self._end()
        except Exception:
            log.exception("phone_slot_failed")
            self._end()

    def _look_for_sound(self, slot_s: float) -> None:
        within_s = self._wire.heard_within_s
        if within_s is None or self._has_heard or slot_s - self._began_s <= within_s:
            return
        if not self._is_gone:
            log.warning("caller_not_connected", after_s=within_s)
            self.end_reason = NO_SOUND
            self._end()

    @property
    def _must_hear(self) -> bool:
        """Whether something is being told that the caller may not interrupt."""
        return self._first is not None or self._hand_over is not None

    def _look_for_first_words(self, slot_s: float) -> None:
        is_playing = self.playout.is_playing(slot_s)
        if self._hand_over is not None and self._hand_over.is_told(slot_s, is_playing=is_playing):
            self._hand_over = None
            self._hear_caller()
        if self._first is None or self._sink is None:
            return
        heard = self.playout.heard_words(slot_s)
        match self._first.look(heard, slot_s, is_playing=is_playing):
            case "again":
                self._to_session(self._wish.begin(new_id("event"), self._first.again))
            case "given_up":
                log.error("opening_not_heard")
                self._open()
            case "heard":
                self._open()

    def _open(self) -> None:
        """The opening was heard."""
        self._first = None
        self._hear_caller()
        then, self._then = self._then, None
        if then is not None:
            then()

    def _hear_caller(self) -> None:
        """From now on, where they may interrupt; first, what waited."""
        if self._must_hear:
            return
        if not self._is_paused:
            self._ears.resume()
        entries, self._entries = self._entries, []
        for entry in entries:
            self._enter(entry)

    def _look_for_quiet(self, slot_s: float) -> None:
        if self._quiet is None or self._quiet.done():
            return
        if self.playout.is_playing(slot_s):
            self._quiet_since_s = None
        elif self._quiet_since_s is None:
            self._quiet_since_s = slot_s
        elif slot_s - self._quiet_since_s >= AFTER_LAST_WORD_S:
            self._quiet.set_result(None)

    def _stop_answers(self, now_s: float) -> None:
        for response_id in self.playout.playback.unfinished:
            self._to_session({"type": "response.cancel", "response_id": response_id})
        self._tell_cuts(self.playout.flush(now_s))

    def _enter(self, entry: str) -> None:
        """What was keyed in is what the caller typed: an item of theirs, and the wish to answer."""
        if not entry:
            return
        if self._sink is None or self._must_hear or self.only_listens:
            self._entries.append(entry)
            return
        content = [{"type": "input_text", "text": entry}]
        item = {"id": new_id("item"), "type": "message", "role": "user", "content": content}
        self._to_session({"type": "conversation.item.create", "item": item})
        self._to_session(self._wish.begin(new_id("event")))

    def _tell_cuts(self, cuts: list[Cut]) -> None:
        for cut in cuts:
            self._to_session(cut.as_event())

    def _to_session(self, event: Json) -> None:
        if self._sink is not None and not self._is_gone:
            self._sink.on_event(event)

    def _end(self) -> None:
        """The caller is gone: nothing more is sent, and the last word is not waited for."""
        if self._is_gone:
            return
        self._is_gone = True
        self._ticker.leave(self._tick)
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)
        if self._sink is not None and not self._is_closing:
            self._sink.on_closed()
