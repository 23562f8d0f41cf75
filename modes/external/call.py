"""A call in EXTERNAL: the speaker's stream, with a brain, tools and a memory beside it.

To the session this is a Speaker like any other: Realtime events in and out. What Penny adds to
the upstream's conversation for herself (notes, her own tools) does not show.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import structlog

from brain.brain import SessionBrain
from brain.folio import Folio
from brain.journal import Journal
from brain.service import BrainCounts
from modes.external.attendant import Attendant
from modes.external.ear import Ear
from modes.external.injector import Injector
from modes.external.mirror import ConversationMirror
from modes.external.sequencer import ResponseSequencer
from modes.external.session_fields import merge
from modes.external.session_view import SessionView
from modes.external.speaker import Json, UpstreamSpeaker
from modes.external.tools import ToolDesk
from modes.external.upstreams import Upstreams
from penny.aio.channel import Channel, ChannelClosed
from penny.aio.tasks import TaskOwner
from penny.errors import SpeakerLost
from penny.ids import new_id


log = structlog.get_logger()

QUIET_POLL_S = 0.25
OUTBOUND_EVENTS = 4_096
"""Events waiting for the session. When it is full the upstream is read no further."""


class ExternalCall:
    """One call. ``wire`` first: the parts know each other through it."""

    def __init__(
        self,
        mirror: ConversationMirror,
        view: SessionView,
        journal: Journal,
        clock: Callable[[], float],
        session: Json,
        counts: BrainCounts,
    ) -> None:
        self._counts = counts
        self.info: Json = {}
        self.mirror = mirror
        self.view = view
        self.sequencer = ResponseSequencer()
        self.journal = journal
        self.clock = clock
        self._session = session
        self._out: Channel[Json] = Channel(OUTBOUND_EVENTS)
        self._error: SpeakerLost | None = None
        self._tasks = TaskOwner("call")
        self._pump_wanted = False
        self._told_worth: Json = {}
        self._closed = False
        self._closing: list[Callable[[], None]] = []

    def on_close(self, act: Callable[[], None]) -> None:
        """Have something done when the call ends."""
        self._closing.append(act)

    def wire(
        self,
        upstreams: Upstreams,
        injector: Injector,
        brain: SessionBrain | None,
        tools: ToolDesk | None,
        attendant: Attendant,
    ) -> None:
        self.upstreams = upstreams
        self.injector = injector
        self.brain = brain
        self.tools = tools
        self.attendant = attendant
        self._ear = Ear(self)

    async def start(self) -> None:
        """Open the upstream. Raises ModeUnavailable."""
        upstream = await self.upstreams.start()
        self._present(upstream)

    def _present(self, upstream: UpstreamSpeaker) -> None:
        self.info.update(upstream.info)
        effective = self.info.get("session") or {}
        self.info["session"] = self.view.inward(effective, self.injector.desk.context.base)
        heard = ((effective.get("audio") or {}).get("input") or {}).get("transcription") or {}
        self.info["capabilities"] = {
            "context_updates": self.brain is not None,
            "tools": self.tools is not None,
            "cost": True,
        }
        self.tell(
            {
                "type": "penny.speaker",
                "model": self.info.get("model") or "",
                "transcription_model": heard.get("model") or "",
            }
        )

    # -- the session's side -------------------------------------------------------------------

    async def send(self, event: Json) -> None:
        """Take a client event. Raises SpeakerLost when there is no upstream any more."""
        if self._error is not None:
            raise self._error
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            await self.upstreams.send(event)
        elif kind == "response.create":
            await self.attendant.response_wanted(event)
        elif kind == "response.cancel":
            await self._send_all(self.sequencer.cancel(event.get("response_id")))
        elif kind == "session.update":
            await self.upstreams.send(self._outward(event))
        elif kind == "conversation.item.truncate":
            await self._truncate(event)
        else:
            if kind == "conversation.item.delete":
                self.mirror.cut(event.get("item_id") or "", 0.0, self.clock())
            elif kind == "conversation.item.create":
                self.attendant.typed(event.get("item") or {})
            await self.upstreams.send(event)

    def _outward(self, event: Json) -> Json:
        fields = event.get("session")
        if not isinstance(fields, dict):
            return event
        context = self.injector.desk.context
        if isinstance(fields.get("instructions"), str):
            context.put("base", fields["instructions"])
        outward = self.view.outward(fields, context.render())
        self._session = merge(self._session, outward)
        return {**event, "session": outward}

    async def _truncate(self, event: Json) -> None:
        item_id = event.get("item_id") or ""
        item = self.mirror.get(item_id)
        now_s = self.clock()
        if item is not None:
            end_ms = event.get("audio_end_ms") or 0
            if item.audio_ms and end_ms > item.audio_ms:
                # A caller's clock may run ahead; the provider refuses what lies past the end.
                event = {**event, "audio_end_ms": int(item.audio_ms)}
            self.mirror.cut(item_id, float(event.get("audio_end_ms") or 0), now_s)
        upstream = self.upstreams.current
        if item is None or not item.is_seeded or upstream is None:
            await self.upstreams.send(event)
            return
        # The present upstream never spoke it: it knows the item as text and is told less of it.
        content = [{"type": "output_text", "text": item.heard(now_s)}]
        raw = {"id": item_id, "type": "message", "role": "assistant", "content": content}
        with suppress(SpeakerLost):  # the next one is seeded with what was heard anyway
            await upstream.seed(raw)
        self.tell({**event, "type": "conversation.item.truncated", "event_id": new_id("event")})

    async def events(self) -> AsyncIterator[Json]:
        async for event in self._out:
            yield event
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._tasks.aclose()
        await self.attendant.aclose()
        if self.tools is not None:
            await self.tools.aclose()
        if self.brain is not None:
            await self.brain.aclose()
        await self.upstreams.aclose()
        self._out.close()
        worth = self.injector.desk.worth
        self.journal.write("session_ended", effectiveness=worth.as_json())
        await self.journal.aclose()
        for act in self._closing:
            act()

    # -- the upstream's side (UpstreamHost) ---------------------------------------------------

    async def take(self, event: Json) -> None:
        """One event of the upstream: pass it on, then do what follows from it."""
        shown = self._ear.take(event)
        if shown is not None:
            await self._emit(shown)
        await self._send_all(self._ear.drain())
        if self._pump_wanted:
            self._pump_wanted = False
            await self.injector.pump()
            worth = self.injector.desk.worth.as_json()
            if worth != self._told_worth and self.brain is not None:
                self._told_worth = worth
                self.tell({"type": "penny.effectiveness", "effectiveness": worth})

    def compose(self) -> tuple[Json, list[Json]]:
        session = {**self._session, "instructions": self.injector.desk.context.render()}
        return session, self.mirror.seed(self.clock())

    def lost(self) -> None:
        for event in self._ear.close_response():
            self.tell(event)
        if self.sequencer.reset():
            self.attendant.owe_answer()

    def replay_from_ms(self) -> float:
        return self._ear.replay_from_ms(self.upstreams.kept.position_ms)

    async def swapped(self, reason: str) -> None:
        self.mirror.mark_seeded()
        self.injector.upstream_replaced()
        if reason == "fallback":
            await self._leave_brain()
        self.upstreams.forget_requests()
        if self.upstreams.current is not None and reason == "fallback":
            self._present(self.upstreams.current)
        self._counts.rollovers[reason] += 1
        self.tell({"type": "penny.upstream_replaced", "reason": reason})
        await self.attendant.settle_debt()
        await self._send_all(self.sequencer.flush())
        await self.injector.pump()

    def failed(self, error: SpeakerLost) -> None:
        self._error = error
        self._out.close()

    async def _leave_brain(self) -> None:
        """Private from here on: nothing goes to the vendors any more."""
        self.view.leave_turns()
        if self.brain is not None:
            await self.brain.aclose()
            self.brain = None
        message = "the fast speaker is gone; the call goes on privately"
        self.tell({"type": "penny.warning", "code": "mode_changed", "message": message})

    # -- for the parts ------------------------------------------------------------------------

    @property
    def upstream(self) -> UpstreamSpeaker | None:
        return self.upstreams.current

    def is_safe(self) -> bool:
        return self.sequencer.state == "idle" and not self.attendant.is_busy

    def is_quiet(self) -> bool:
        return (
            self.is_safe()
            and self.sequencer.is_idle
            and not self._ear.is_speaking
            and not self.mirror.is_sounding(self.clock())
        )

    def is_speaking(self) -> bool:
        return self._ear.is_speaking

    async def send_up(self, event: Json) -> None:
        await self.upstreams.send(event)

    async def ask_response(self, params: Json | None = None, event_id: str | None = None) -> None:
        """Ask for a response, now or when the running one has ended."""
        events = self.sequencer.request(params, event_id or new_id("event"))
        if events is None:
            fault = {
                "type": "invalid_request_error",
                "code": "conversation_already_has_active_response",
                "message": "too many responses wait",
                "event_id": event_id,
            }
            self.tell({"type": "error", "event_id": new_id("event"), "error": fault})
            return
        await self._send_all(events)

    def want_pump(self) -> None:
        self._pump_wanted = True

    def offer(self, folio: Folio) -> None:
        """A folio of the brain's."""
        if self.injector.desk.offer(folio, self.clock()) and not self._closed:
            self._tasks.spawn(self.injector.pump(), name="pump")

    def speak_when_quiet(self) -> None:
        """Something new stands in the context that is to be said."""
        if not self._closed:
            self._tasks.spawn(self._speak_when_quiet(), name="speak")

    async def _speak_when_quiet(self) -> None:
        turn = self.mirror.turn
        while not self.is_quiet():
            await asyncio.sleep(QUIET_POLL_S)
            if self.mirror.turn != turn:
                return  # the next turn's answer says it
        await self.ask_response()

    def count_action(self, status: str) -> None:
        self._counts.actions[status] += 1

    def tell(self, event: Json) -> None:
        """Pass an event of Penny's own on. A session that reads nothing loses it, counted."""
        try:
            if not self._out.try_send(event):
                log.warning("event_not_told", event_type=event["type"])
        except ChannelClosed:
            pass  # the session has ended

    async def _emit(self, event: Json) -> None:
        with suppress(ChannelClosed):  # the session has ended; the reader is about to be told
            await self._out.send(event)

    async def _send_all(self, events: list[Json]) -> None:
        for event in events:
            await self.upstreams.send(event)
